"""An evaluation that is far off before anything could be memorised."""

from collections.abc import Iterator
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.eval_mismatch import EvalFactor, EvalObjective
from poise.doctor.rules.generalisation import Gap, gap_of
from poise.doctor.series import multiple, named, number, python_name
from poise.run import Kind, Table

APART = 3.0
"""Factor between evaluation and training, as in `eval-factor`."""
FRESH = 0.5
"""Part of its start that a training value still has at an early evaluation."""


@final
class EvalApart:
    """A loss is several times as large in evaluation from the first evaluation on.

    At that time hardly anything was learned, so nothing was memorised either: the evaluation
    measures something else. Its targets are in another unit, it misses a step of the preparation of
    the data, or it sums where training averages.

    Statistic: evaluation over training (median of the records before it), for every loss of both.
    Thresholds: above 3 at all of 5 evaluations or more, while training still has half of its start
    at the first. Told of terms, of the total only if it has none; not where the factor is constant
    or the weights differ (`eval-factor`, `eval-objective`).

    Healthy look-alikes: evaluation data that are harder from the start (below a factor of 3), a
    gap that opens while training (the first evaluation is near), a late first evaluation.
    """

    name: ClassVar[str] = "eval-apart"
    fault: ClassVar[Fault] = Fault.EVAL_MISMATCH
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every evaluation table."""
        known = [*EvalFactor().check(case), *EvalObjective().check(case)]
        told = {name for one in known for name in one.terms}
        for table in case.run.evals:
            losses = [one for one in table.of_kind(Kind.TERM, Kind.TOTAL) if one.name not in told]
            gaps = [gap for one in losses if (gap := gap_of(case, table, one)) and _apart(gap)]
            terms = [gap for gap in gaps if gap.kind == Kind.TERM] or gaps
            if terms:
                yield _finding(table, sorted(terms, key=lambda gap: -_factor(gap)))


def _factor(gap: Gap) -> float:
    """Evaluation over training at the first evaluation."""
    return float(gap.values[0] / gap.beside[0])


def _apart(gap: Gap) -> bool:
    fresh = gap.beside[0] >= FRESH * gap.begin
    return bool(fresh and (gap.values > APART * gap.beside).all())


def _finding(table: Table, gaps: list[Gap]) -> Finding:
    top, *others = gaps
    also = f"; so is {named([one.name for one in others])}" if others else ""
    return Finding(
        rule=EvalApart.name,
        fault=EvalApart.fault,
        severity=Severity.WARNING,
        terms=tuple(one.name for one in gaps),
        steps=(int(top.steps[0]), int(top.steps[-1])),
        summary=f"'{top.name}' of split '{table.split}' is {multiple(_factor(top))} times the "
        f"training value from the first evaluation on ({number(float(top.values[0]))} beside "
        f"{number(float(top.beside[0]))}){also}",
        evidence=tuple(
            Evidence(
                text=f"'{one.name}': {multiple(_factor(one))} times at the first evaluation, when "
                f"training was at {number(float(one.beside[0]))} of {number(one.begin)}; at least "
                f"{multiple(float((one.values / one.beside).min()))} times at all "
                f"{len(one.values)}",
                series=one.name,
                steps=(int(one.steps[0]), int(one.steps[-1])),
                value=_factor(one),
                threshold=APART,
            )
            for one in gaps
        ),
        cause="Evaluation measures something else: targets in another unit or not standardised, "
        "another preparation of the data, a sum beside a mean. Expected if its data are of another "
        "kind.",
        action=f"Pass one training batch through the evaluation code and compare '{top.name}'.",
        verify=f"print({python_name(top.name)}(training_batch))  # in both codes: must agree",
    )
