"""Terms that fall in training while they rise in evaluation."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.eval_mismatch import partner, train_at
from poise.doctor.series import number, roughness
from poise.run import Floats, Ints, Kind, Series, Table


@final
class EvalRises:
    """A term gets worse in evaluation while it still gets better in training.

    The model memorises the training data in this term. Other terms may still improve, so the total
    alone does not show it, or shows it late.

    Statistic: the term's evaluations, each replaced by the median of itself and its neighbours,
    against their own best and against training. Thresholds: at least 5 evaluations; the last one
    above 1.2 times the best, by more than three standard deviations of the noise from one
    evaluation to the next, and above twice the training value there; at least 4 evaluations since
    the best, of which the later half lies above the earlier; training has fallen by a tenth since
    the best. All must hold, so noisy evaluations alone never count.

    Healthy look-alikes: augmentation and dropout, which only training has, make training worse than
    evaluation, so they do not fire; a term that rises in both splits is another fault; losses that
    go negative are not judged, because ratios mean nothing there.
    """

    name: ClassVar[str] = "eval-rises"
    fault: ClassVar[Fault] = Fault.GENERALISATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term of every evaluation table that rises."""
        for table in case.run.evals:
            for one in table.of_kind(Kind.TERM, Kind.TOTAL):
                found = partner(case, table, one.name)
                if found is not None:
                    yield from self._judge(*found, table, one)

    def _judge(self, home: Table, train: Series, table: Table, one: Series) -> Iterable[Finding]:
        steps = table.steps_of(one)
        beside = train_at(home.steps_of(train), train.values, steps)
        good = np.isfinite(one.values) & np.isfinite(beside)
        values, beside, steps = one.values[good], beside[good], steps[good]
        ordered = len(steps) < 2 or bool((np.diff(steps) > 0).all())
        if len(values) < 5 or not ordered or min(values.min(), beside.min()) <= 0:
            return
        if rises(values, beside):
            yield self._finding(table, one.name, values, beside, steps)

    def _finding(
        self, table: Table, name: str, values: Floats, beside: Floats, steps: Ints
    ) -> Finding:
        level = calm(values)
        best = int(np.argmin(level))
        low, last, trained = float(level[best]), float(level[-1]), float(np.median(beside[-3:]))
        where = (int(steps[best]), int(steps[-1]))
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(name,),
            steps=where,
            summary=(
                f"'{name}' of split '{table.split}' rises from {number(low)} at step {where[0]} to "
                f"{number(last)}, while in training it falls to {number(trained)}."
            ),
            evidence=(
                Evidence(
                    text="median of the last 3 evaluations over the best one",
                    series=name,
                    steps=where,
                    value=last / low,
                    threshold=1.2,
                ),
                Evidence(
                    text="the same over the training value",
                    series=name,
                    steps=where,
                    value=last / trained,
                    threshold=2.0,
                ),
            ),
            cause=(
                "The model memorises the training data in this term. The same picture comes from "
                "an evaluation in the wrong mode; then training batches rise in that mode too."
            ),
            action=f"Use the checkpoint of step {where[0]}, or regularise what '{name}' trains.",
            verify=f"evaluate training batches in evaluation mode: does '{name}' stay low?",
            caused_by=("eval-objective",),
        )


def calm(values: Floats) -> Floats:
    """Median of every value and its two neighbours; the ends keep the median of their three.

    Example:
        >>> calm(np.array([3.0, 1.0, 2.0, 9.0])).tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    middle = np.median(np.column_stack((values[:-2], values[1:-1], values[2:])), axis=1)
    return np.concatenate((middle[:1], middle, middle[-1:]))


def rises(values: Floats, beside: Floats) -> bool:
    """True if evaluation rises after its best value while training falls; see `EvalRises`."""
    level = calm(values)
    best = int(np.argmin(level))
    after = values[best + 1 :]
    if len(after) < 4:
        return False
    low, last, trained = float(level[best]), float(level[-1]), float(np.median(beside[-3:]))
    early, late = np.median(after[: len(after) // 2]), np.median(after[len(after) // 2 :])
    clear = last - low > 3 * 1.05 * roughness(values)
    grows = clear and bool(late > early) and last > 1.2 * low
    return grows and last > 2 * trained and trained < 0.9 * float(beside[best])
