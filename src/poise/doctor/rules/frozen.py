"""What should move and does not: evaluations, losses and shares that stand still."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import ENOUGH, series_at
from poise.doctor.proofs import MOTION, gradient
from poise.doctor.rule import Need
from poise.doctor.series import (
    constant,
    digits,
    finite,
    longest,
    micro_at,
    multiple,
    named,
    number,
    span,
    steps_between,
)
from poise.run import Floats, Kind, Series, Table

DIGITS = 4
"""Significant digits from which two equal printed losses are called equal: with 3 or fewer, a
converged loss repeats by rounding alone."""

PRECISE = 6
"""Digits from which rounding is out of the question: a loss that sits at a constant to 1 in 10,000
may repeat in 4 digits, but float32 carries 7."""

PARALLEL = 0.999
"""Cosine above which two gradients are one, up to rounding in half precision."""


@final
class EvalIdentical:
    """The evaluation losses are the same to the last digit at several evaluations.

    Two evaluations of different parameters never agree to the last digit, so what is evaluated
    does not change: a stale copy, an average that is never updated, a cached result, or parameters
    that do not move.

    Statistic: length of the longest stretch of evaluations at different steps in which every
    evaluation loss repeats. Thresholds: 3 evaluations (two may be one checkpoint twice) with
    at least 6 significant digits, or 5 with at least 4, while the training losses move. An error if
    it is so in all evaluations with 6 digits, else a warning.

    Healthy look-alikes: values printed with few digits, a learning rate that has ended at 0
    (a note), the same checkpoint evaluated again with
    nothing done in between (not counted).
    """

    name: ClassVar[str] = "eval-identical"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALS, Need.EVAL_LOSS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every evaluation table that stands still."""
        for table in case.run.evals:
            losses = [one for one in table.of_kind(Kind.TOTAL, Kind.TERM) if len(one) >= 3]
            losses = [one for one in losses if bool(np.any(finite(one.values)))]
            if losses:
                yield from self._table(case, table, losses)

    def _table(self, case: Case, table: Table, losses: list[Series]) -> Iterator[Finding]:
        rows, values = table.aligned([one.name for one in losses])
        steps = table.steps[rows]
        if len(rows) < 3:
            return
        fresh = _apart(table, rows)
        steps, values = steps[fresh], values[fresh]
        first, last = longest((values[1:] == values[:-1]).all(axis=1))
        count = last - first + 1
        where = steps_between(steps[first : last + 1])
        shown = max(digits(float(one)) for one in values[first])
        precise = shown >= PRECISE
        enough = count >= (3 if precise else 5) and shown >= DIGITS
        if enough and _trains(case.train, where):
            sure = precise and count == len(steps)
            yield self._finding(table, losses, where, (count, len(steps)), sure=sure)

    def _finding(
        self,
        table: Table,
        losses: list[Series],
        steps: tuple[int, int],
        counts: tuple[int, int],
        *,
        sure: bool,
    ) -> Finding:
        count, of = counts
        names = [one.name for one in losses]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if sure else Severity.WARNING,
            terms=tuple(names),
            steps=steps,
            summary=(
                f"All losses of split '{table.split}' are identical to the last digit in {count} "
                f"of {of} evaluations, while the training losses change."
            ),
            evidence=(
                Evidence(
                    text=f"{named(names)} repeat {count} times",
                    series=names[0],
                    steps=steps,
                    value=float(count),
                    threshold=3.0,
                ),
            ),
            cause=(
                "What is evaluated does not change: a stale copy or an average that is never "
                "updated, a cached result, or parameters that do not move. Expected only if "
                "nothing is meant to train between these evaluations."
            ),
            action="Evaluate the very module that the optimizer updates.",
            verify="print(sum(p.double().sum() for p in evaluated.parameters()))  # at two "
            "evaluations",
            caused_by=("optimizer-never-steps", "lr-zero", "parameters-still", "loss-identical"),
        )


def _apart(table: Table, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where steps or micro-batches were made since the row before, shape (n,)."""
    apart = np.diff(table.steps[rows]) != 0
    micro = micro_at(table, rows)
    if micro is not None:
        apart |= np.diff(micro) > 0
    return np.concatenate(([True], apart))


def _trains(train: Table, steps: tuple[int, int]) -> bool:
    """True if a training loss changes between two steps and a learning rate, if any, is not 0."""
    inside = (train.steps >= steps[0]) & (train.steps <= steps[1])
    changes = any(_distinct(one, inside) for one in train.of_kind(Kind.TOTAL, Kind.TERM))
    for rate in train.of_kind(Kind.LEARNING_RATE):
        peak = float(np.max(np.abs(finite(rate.values)), initial=0.0))
        here = rate.values[inside[rate.rows]]
        if len(here) and peak > 0 and float(np.abs(here).max()) < 1e-6 * peak:
            return False
    return changes


def _distinct(series: Series, inside: NDArray[np.bool_]) -> bool:
    values = series.values[inside[series.rows]]
    return len(values) > 1 and not constant(values)


@final
class LossIdentical:
    """Every training loss is the same to the last digit, record after record.

    Different batches never give the same losses to the last digit, so neither the data nor the
    parameters change: one cached batch and no step, or a logger that repeats an old value.

    Statistic: the longest stretch of records in which every training loss repeats. Thresholds: 20
    records and a tenth of the run, at least one loss with 4 significant digits. Over the whole run
    it is an error with 6 digits and a warning with 4; a note where the run moved before.

    Healthy look-alikes: a full-batch training whose optimizer has converged (L-BFGS), which is why
    a stretch after movement is a note; losses printed with few digits.
    """

    name: ClassVar[str] = "loss-identical"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the longest stretch."""
        table = case.train
        losses = [one for one in table.of_kind(Kind.TOTAL, Kind.TERM) if len(one) >= 20]
        losses = [one for one in losses if bool(np.any(finite(one.values)))]
        if not losses:
            return
        still = np.ones(len(table) - 1, np.bool_)
        for one in losses:
            still &= _still(one, len(table))
        first, last = longest(still)
        count = last - first + 1
        values = [
            float(one.values[min(np.searchsorted(one.rows, first), len(one) - 1)]) for one in losses
        ]
        if count >= max(20, len(table) // 10) and max(map(digits, values)) >= DIGITS:
            sure = count == len(table) and max(map(digits, values)) >= PRECISE
            yield self._finding(table, losses, (first, last), count, sure=sure)

    def _finding(
        self,
        table: Table,
        losses: list[Series],
        rows: tuple[int, int],
        count: int,
        *,
        sure: bool,
    ) -> Finding:
        names = [one.name for one in losses]
        whole = count == len(table)
        steps = steps_between(table.steps[rows[0] : rows[1] + 1])
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=(Severity.ERROR if sure else Severity.WARNING if whole else Severity.NOTE),
            terms=tuple(names),
            steps=steps,
            summary=(
                f"All {len(names)} training losses are identical to the last digit in {count} of "
                f"{len(table)} records in a row."
            ),
            evidence=(
                Evidence(
                    text=f"{named(names)} repeat {count} times",
                    series=names[0],
                    steps=steps,
                    value=float(count),
                    threshold=float(max(20, len(table) // 10)),
                ),
            ),
            cause=(
                "The parameters do not move and the batch is always the same, or the logger "
                "repeats an old value. Expected only if a full-batch optimizer has converged."
            ),
            action="Check that the optimizer steps and that it holds these parameters.",
            verify=MOTION,
            caused_by=("lr-zero",),
        )


def _still(series: Series, size: int) -> NDArray[np.bool_]:
    """True between two records if the series repeats or is absent, shape (size - 1,)."""
    if len(series) == size:
        return series.values[1:] == series.values[:-1]
    change = np.zeros(size - 1, np.bool_)
    rows = series.rows[1:][series.values[1:] != series.values[:-1]]
    change[rows - 1] = True
    return ~change


@final
class ShareConstant:
    """The ratio of two terms never changes although both move.

    Two different losses of one training do not keep their ratio to six digits: the one is a
    multiple of the other. Either one quantity is logged twice, or one term is computed from the
    other's tensors, or a normaliser cancels both.

    Statistic: spread of the ratio, (largest - smallest) / median, over all records. Threshold: 1e-6
    over at least 20 records in which the terms change by more than 1%. A warning if it holds for
    all terms (at least three, so that no term is independent), or if the gradients of two were
    measured and point the same way (cosine above 0.999 at 2 probes and more): then one term is
    trained twice. Else a note.

    Healthy look-alikes: a term logged raw and weighted, which is why a pair is a note; the codebook
    and the commitment term of a quantiser, equal in value and without a common gradient.
    """

    name: ClassVar[str] = "share-constant"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every group of terms that keep their ratios."""
        left = [one for one in case.terms if len(one) >= 20 and _moves(one.values)]
        count = len(left)
        while left:
            head, *rest = left
            twins = [one for one in rest if _proportional(head, one)]
            left = [one for one in rest if one not in twins]
            if twins:
                yield self._finding(case, head, twins, everything=len(twins) + 1 == count)

    def _finding(
        self, case: Case, head: Series, twins: list[Series], *, everything: bool
    ) -> Finding:
        table = case.train
        names = [head.name, *(one.name for one in twins)]
        twice = [one.name for one in twins if _parallel(case, head.name, one.name)]
        strong = (everything and len(names) >= 3) or bool(twice)
        ratio = float(np.median(twins[0].values / head.values))
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if strong else Severity.NOTE,
            terms=tuple(names),
            steps=span(table, head),
            summary=(
                f"{named(names)} keep their ratio to six digits in all {len(head)} records: "
                f"'{names[1]}' is {multiple(ratio)} times '{names[0]}'"
                + (f", and the gradient of {named(twice)} is parallel to its own" if twice else "")
                + "."
            ),
            evidence=(
                Evidence(
                    text=f"spread of the ratio {number(_spread(head, twins[0]))}",
                    series=names[1],
                    steps=span(table, twins[0]),
                    value=_spread(head, twins[0]),
                    threshold=1e-6,
                ),
            ),
            cause=(
                "One is computed from the other. Expected if the log holds one term twice, raw and "
                "weighted; else two terms share their tensors, or a normaliser cancels both."
            ),
            action="Check the inputs of these terms; log the raw values.",
            verify=gradient(names[0], f"those of '{names[1]}' times one number: they are one term"),
        )


def _parallel(case: Case, first: str, second: str) -> bool:
    """True if the gradients of two terms were measured and point the same way at every probe."""
    pairs = (f"cosine/{first}/{second}", f"cosine/{second}/{first}")
    for one in series_at(case, Kind.COSINE):
        values = finite(one.values)
        if one.name.partition("@")[0] in pairs and len(values) >= ENOUGH:
            return bool(values.min() > PARALLEL)
    return False


def _moves(values: Floats) -> bool:
    good = finite(values)
    if not len(good) or (good == 0).any():
        return False
    return float(good.max() - good.min()) > 0.01 * float(np.abs(good).max())


def _spread(one: Series, other: Series) -> float:
    with np.errstate(all="ignore"):
        ratio = finite(other.values / one.values)
    middle = abs(float(np.median(ratio))) if len(ratio) else 0.0
    return float(np.ptp(ratio)) / middle if middle else float("inf")


def _proportional(one: Series, other: Series) -> bool:
    if not (len(one) == len(other) and bool(np.array_equal(one.rows, other.rows))):
        return False
    if not _same_ratio(one.values[:64], other.values[:64]):
        return False
    return _spread(one, other) < 1e-6


def _same_ratio(one: Floats, other: Floats) -> bool:
    """A cheap look at a few values before the whole series is compared."""
    with np.errstate(all="ignore"):
        ratio = other / one
        return bool(np.all(np.abs(ratio - ratio[0]) <= 1e-6 * abs(ratio[0])))
