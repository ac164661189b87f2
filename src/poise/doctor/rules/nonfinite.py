"""NaN and infinity: which quantity is the first offender, and whether the run recovers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import named
from poise.run import Kind, Run, Series, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where one series holds NaN or infinity.

    Attributes:
        series: The series.
        bad: True for the values that are not finite, shape (len(series),).
        first: Index of the first of them.
        step: Its step.
        row: Its record.
        steps: First and last step of the trouble.
    """

    series: Series
    bad: NDArray[np.bool_]
    first: int
    step: int
    row: int
    steps: tuple[int, int]

    @property
    def count(self) -> int:
        """How many values are not finite."""
        return int(self.bad.sum())

    @property
    def always(self) -> bool:
        """No value at all is finite."""
        return bool(self.bad.all())

    @property
    def recovered(self) -> bool:
        """The last value is finite again."""
        return not self.bad[-1]

    @property
    def infinite_first(self) -> bool:
        """The first offender is an infinity and NaN follows: the number overflowed."""
        values = self.series.values
        return bool(np.isinf(values[self.first]) and np.isnan(values).any())

    def story(self) -> str:
        """What happened, in words."""
        value = self.series.values[self.first]
        word = "NaN" if np.isnan(value) else "infinite"
        if self.always:
            return f"{word} at every one of its {len(self.series)} records"
        after = ", then NaN" if self.infinite_first else ""
        end = "on, finite again at the end" if self.recovered else "to the end"
        share = f"{self.count} of {len(self.series)} records"
        return f"{word}{after} in {share} from step {self.step} {end}"

    def evidence(self) -> Evidence:
        """The break as a measured fact."""
        return Evidence(
            text=f"'{self.series.name}' is {self.story()}",
            series=self.series.name,
            steps=self.steps,
            value=float(self.count),
            threshold=0.0,
        )


def breaks(table: Table, *kinds: Kind) -> list[Break]:
    """The series of some kinds that hold NaN or infinity, the earliest record first."""
    found = [one for series in table.of_kind(*kinds) if (one := _break(table, series))]
    return sorted(found, key=lambda one: one.row)


def _break(table: Table, series: Series) -> Break | None:
    bad = ~np.isfinite(series.values)
    if not bad.any():
        return None
    where = np.flatnonzero(bad)
    steps = table.steps[series.rows[where]]
    return Break(
        series=series,
        bad=bad,
        first=int(where[0]),
        step=int(steps[0]),
        row=int(series.rows[where[0]]),
        steps=(int(steps.min()), int(steps.max())),
    )


def _train_tables(run: Run) -> Iterator[Table]:
    return (one for one in run.tables if one.split == run.train.split)


def _worth(one: Break) -> Severity:
    """A break that never heals is a broken training; one that heals spared the parameters.

    Skipping a step on overflow costs less than one in a thousand steps in a healthy mixed
    precision training.
    """
    if not one.recovered:
        return Severity.ERROR
    rare = one.count <= max(1, len(one.series) // 1000) and len(one.series) >= 20
    return Severity.NOTE if rare else Severity.WARNING


@final
class NonfiniteTerm:
    """A loss term is NaN or infinite.

    Every term that shares parameters with it is lost too: one NaN in the sum is NaN in every
    gradient. The rule names the first offender, which is the one to look at; terms that break in
    the same or a later record are consequences until shown otherwise. Where several break at once
    after a gradient that was not finite, none is to blame: the update with it broke the parameters.

    Statistic: values that are not finite, per term, by record; whether a logged gradient norm broke
    before and stayed so. Threshold: none are expected. It is an error if the term never becomes
    finite again, since then the parameters are lost, and a warning if it does. At most one record
    in a thousand, with finite values after it, is a note: that is what gradient scaling and skipped
    batches leave behind.

    Healthy look-alikes: a term without samples in a batch (a mean over nothing) that the training
    leaves out of the sum: then the total stays finite, and this is said.
    """

    name: ClassVar[str] = "nonfinite-term"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM})

    def check(self, case: Case) -> Iterable[Finding]:
        """The terms that are not finite in the training tables, first offender first."""
        for table in _train_tables(case.run):
            found = breaks(table, Kind.TERM)
            if found:
                yield self._finding(case, table, found)
                return

    def _finding(self, case: Case, table: Table, found: list[Break]) -> Finding:
        first = found[0]
        together = [one for one in found if one.row == first.row]
        later = [one for one in found if one.row > first.row]
        spared = _total_is_finite(case, table, found)
        severity = min((_worth(one) for one in found), key=lambda one: one.rank)
        if spared:
            severity = Severity.NOTE
        names = [one.series.name for one in together]
        tail = f"; {named([one.series.name for one in later])} follow later" if later else ""
        broke = _gradient_before(table, first) if len(together) > 1 else None
        who = f"{named(names)} first"
        if len(together) > 1 and len(together) == len(case.terms):
            who = f"all {len(names)} terms at once ({named(names)})"
        if broke is not None:
            tail = f", after a gradient that was not finite at step {broke.step}{tail}"
        at = first.step if broke is None else broke.step
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=severity,
            terms=tuple(one.series.name for one in found),
            steps=(first.step, max(one.steps[1] for one in found)),
            summary=f"{who}: {first.story()}{tail}.",
            evidence=tuple(one.evidence() for one in found),
            cause=_cause(first, spared=spared, alone=len(together) == 1)
            if broke is None
            else BY_GRADIENT,
            action=(
                f"Save the batch of step {at} and run the term '{first.series.name}' on it "
                "alone, checking every intermediate for the first NaN or infinity."
                if len(together) == 1
                else "Find the term whose gradient is not finite at step "
                f"{at if broke else at - 1}; the terms are sound up to there."
            ),
            verify=f"torch.autograd.set_detect_anomaly(True)  # before step {at}: names the line",
            caused_by=() if broke is None else ("term-gradient-nonfinite", "nonfinite-gradient"),
        )


BY_GRADIENT = (
    "The parameters were broken: an update with a gradient that was not finite makes every term "
    "that uses them NaN at once. No term is to blame for its value; one is for its gradient."
)


def _gradient_before(table: Table, first: Break) -> Break | None:
    """The gradient norm that broke before a term did, and was not finite again until then."""
    for one in breaks(table, Kind.GRAD_NORM):
        until = one.bad[one.first : int(np.searchsorted(one.series.rows, first.row))]
        if len(until) and until.all():
            return one
    return None


def _total_is_finite(case: Case, table: Table, found: list[Break]) -> bool:
    """True if the total is logged and finite wherever these terms are not."""
    total = None if case.composition is None else table.series.get(case.composition.total)
    if total is None:
        return False
    good = total.rows[np.isfinite(total.values)]
    return all(bool(np.isin(one.series.rows[one.bad], good).all()) for one in found)


def _cause(first: Break, *, spared: bool, alone: bool) -> str:
    if spared:
        return (
            "The total stays finite at these records, so the term is left out there: expected if a "
            "batch had no samples for it, else its mean is taken over nothing."
        )
    if first.always:
        return (
            "It is so from the first record on, so the cause is in the data or in the formula, not "
            "in the training: log, division or square root of 0, or a mean over no elements."
        )
    if first.infinite_first:
        return "It overflowed to infinity first and NaN followed: exp, a power or half precision."
    if not alone:
        return (
            "Several terms break in one record, so it is what they share: the update before, whose "
            "gradient was not finite, or the inputs of this batch."
        )
    return (
        "It was finite before, so either one batch holds a value its formula cannot take (log, "
        "division or square root of 0), or the parameters were already broken by a step too large."
    )


@final
class NonfiniteTotal:
    """The total is NaN or infinite although every logged term is finite.

    Then the culprit is a part of the total that is not logged, or the weighting itself: a learned
    weight, a division by a running mean, a regulariser that is added later.

    Statistic: records in which the total is not finite and all terms of the same record are.
    Threshold: none are expected. In a log without terms every such record of the total counts.

    Healthy look-alikes: a skipped step of mixed precision (a note where it is rarer than one
    record in a thousand and the total recovers).
    """

    name: ClassVar[str] = "nonfinite-total"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TOTAL})

    def check(self, case: Case) -> Iterable[Finding]:
        """The first training table whose total breaks while its terms do not."""
        for table in _train_tables(case.run):
            for one in breaks(table, Kind.TOTAL):
                if len(lonely := _lonely_rows(table, one)):
                    yield self._finding(table, one, lonely)
                    return

    def _finding(self, table: Table, one: Break, rows: NDArray[np.int64]) -> Finding:
        steps = table.steps[rows]
        terms = [series.name for series in table.of_kind(Kind.TERM)]
        beside = f"while {named(terms)} are finite" if terms else "and the log has no terms"
        count = len(rows)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=_worth(one),
            terms=(one.series.name,),
            steps=(int(steps.min()), int(steps.max())),
            summary=f"'{one.series.name}' is {one.story()}, {beside} in {count} of these records.",
            evidence=(one.evidence(),),
            cause=(
                "A part of the total that is not logged, or its weight, is not finite. Expected "
                "only if the training skips such steps, as mixed precision does."
                if terms
                else "The log does not say which term: log every term to see the first offender."
            ),
            action="Log every summand and every weight of the total, and look at this step again.",
            verify=f"print({{name: w * t for name, (w, t) in summands.items()}})  # at "
            f"step {int(steps[0])}",
            caused_by=("nonfinite-term",),
        )


def _lonely_rows(table: Table, total: Break) -> NDArray[np.int64]:
    """Records in which the total is not finite and no term is to blame."""
    rows = total.series.rows[total.bad]
    for term in breaks(table, Kind.TERM):
        rows = rows[~np.isin(rows, term.series.rows[term.bad])]
    return rows


@final
class NonfiniteEval:
    """A loss is NaN or infinite in evaluation while the training losses are finite.

    The parameters are fine, so evaluation does something that training does not: another mode of
    dropout or normalisation, other lengths, an empty set, half precision. Checkpoints that are
    chosen by this number are chosen at random.

    Statistic: evaluation losses that are not finite, per series; only evaluations before any
    training loss broke count. Threshold: none are expected; one alone that heals is a note.

    Healthy look-alikes: a term whose evaluation set has no samples for it, which is NaN at every
    evaluation while the evaluation total is finite (a note).
    """

    name: ClassVar[str] = "nonfinite-eval"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table with such losses."""
        broken = breaks(case.train, Kind.TERM, Kind.TOTAL)
        limit = broken[0].step if broken else None
        for table in case.run.evals:
            found = breaks(table, Kind.TERM, Kind.TOTAL)
            found = [one for one in found if limit is None or one.step < limit]
            if found:
                yield self._finding(table, found)

    def _finding(self, table: Table, found: list[Break]) -> Finding:
        first = found[0]
        totals = {one.name for one in table.of_kind(Kind.TOTAL)}
        only_terms = bool(totals) and not any(one.series.name in totals for one in found)
        alone = all(one.count == 1 and one.recovered for one in found)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if only_terms or alone else Severity.WARNING,
            terms=tuple(one.series.name for one in found),
            steps=(first.step, max(one.steps[1] for one in found)),
            summary=(
                f"'{first.series.name}' of split '{table.split}' is {first.story()}, "
                "while the training losses are finite."
            ),
            evidence=tuple(one.evidence() for one in found),
            cause=(
                "Evaluation computes something that training does not: another mode, other "
                "lengths, half precision, or a mean over an empty set. Expected only if the "
                "evaluation set has no samples for it."
            ),
            action="Evaluate one training batch in evaluation mode and look for the first NaN.",
            verify="for mode in (True, False): model.train(mode); print(mode, "
            "loss(training_batch))",
        )


@final
class NonfiniteStatistic:
    """A statistic is NaN or infinite while the losses are finite.

    Usually harmless: the average precision of a class without samples is NaN by definition. It is
    worth a look where the statistic was finite before.

    Statistic: values that are not finite among the statistics of every split. Threshold: none;
    always a note.

    Healthy look-alikes: nearly all of them, in evaluation metrics above all.
    """

    name: ClassVar[str] = "nonfinite-statistic"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.STATISTIC})

    def check(self, case: Case) -> Iterable[Finding]:
        """One note for every table with such statistics."""
        for table in case.run.tables:
            if found := breaks(table, Kind.STATISTIC):
                yield self._finding(table, found)

    def _finding(self, table: Table, found: list[Break]) -> Finding:
        later = [one for one in found if not one.always and one.first > 0]
        first = (later or found)[0]
        names = [one.series.name for one in found]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=tuple(names),
            steps=(min(one.steps[0] for one in found), max(one.steps[1] for one in found)),
            summary=(
                f"{len(names)} statistics of split '{table.split}' hold NaN or infinity "
                f"({named(names)}); '{first.series.name}' is {first.story()}."
            ),
            evidence=tuple(one.evidence() for one in found[:8]),
            cause=(
                "Expected if the statistic is undefined there, as the average precision of a class "
                "without samples; else look at what it divides by."
            ),
            action="Nothing, if it is undefined by design; else guard its division.",
            verify=f"print(len(samples))  # those that '{first.series.name}' is taken over: 0?",
        )
