"""What the counts and the absence of values say about the data."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import words
from poise.doctor.probes import weight_at
from poise.doctor.rule import Need
from poise.doctor.series import named, number, span
from poise.doctor.trace import Trace
from poise.run import Kind, Series, Table

BELOW = 0.95
"""Part of the last quarter's records in which a divergence must be negative."""

DRY = 50
"""Records without a single element from which a source has run dry."""

NO_DIVERGENCE = frozenset(
    (
        *("approx", "approxkl", "old", "coef", "coeff", "weight", "beta", "target", "reward"),
        *("penalty", "scale", "factor", "log", "min"),
    )
)
"""Words that say that a quantity is not the divergence of a sampling distribution itself."""


@final
class CountZero:
    """A logged count is 0 in some or all records.

    A loss over no elements is 0 or NaN and trains nothing: the mask is empty, the batch has no
    targets, or the filter removes everything.

    Statistic: share of records whose count is 0. Thresholds: all of at least 20 records, or all of
    the last fifth (50 records or more) after other counts before, are a warning if the count is
    that of a term of the total, else a note; some are a note.

    Healthy look-alikes: counts of events that need not happen (skipped steps, failed samples),
    batches without targets for a rare class, a term that has no weight meanwhile: a stage that is
    over (a note).
    """

    name: ClassVar[str] = "count-zero"
    fault: ClassVar[Fault] = Fault.DATA
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TOKENS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every count of the training table that is 0 somewhere."""
        for one in case.train.of_kind(Kind.COUNT):
            zeros = int((one.values == 0).sum())
            if zeros:
                yield self._finding(case, one, zeros)

    def _finding(self, case: Case, one: Series, zeros: int) -> Finding:
        every = (zeros == len(one) and len(one) >= 20) or _runs_dry(one)
        severe = every and one.of in case.run.terms and _weighed(case, one)
        about = f" of '{one.of}'" if one.of else ""
        share = zeros / len(one)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if severe else Severity.NOTE,
            terms=(one.of or one.name,),
            steps=span(case.train, one),
            summary=f"The count '{one.name}'{about} is 0 in {zeros} of {len(one)} records"
            + (", to the end." if _runs_dry(one) else "."),
            evidence=(
                Evidence(
                    text=f"{number(100 * share)}% of the records",
                    series=one.name,
                    steps=span(case.train, one),
                    value=share,
                    threshold=0.0,
                ),
            ),
            cause=(
                "An empty mask, batches without targets, or a filter that removes everything. "
                "Expected of counts of rare events."
            ),
            action="Look at one batch whose count is 0: should it have targets?",
            verify="print(sum(len(targets) == 0 for _, targets in loader))  # batches "
            "without targets",
        )


def _weighed(case: Case, one: Series) -> bool:
    """True if the term of a count has a weight in some record without an element."""
    steps = case.train.steps_of(one)[one.values == 0]
    return bool(weight_at(case, one.of or "", steps).any())


def _runs_dry(one: Series) -> bool:
    """True if a count that was not 0 is 0 for the last fifth of the records, 50 or more."""
    known = np.flatnonzero(one.values)
    left = len(one) - 1 - int(known[-1]) if len(known) else 0
    return left >= max(DRY, len(one) // 5)


@final
class TermSparse:
    """A term is missing from many records, at irregular places.

    Its value exists only for some batches, so its weight in the training is smaller than it looks,
    and its curve is drawn from fewer points.

    Statistic: records with the term among all records between its first and its last one, and the
    share of equal distances between them. Thresholds: fewer than half of the records, and fewer
    than 9 in 10 distances equal (a term that is logged every k-th record is a matter of logging);
    always a note.

    Healthy look-alikes: terms of rare classes or of one task in a mixture.
    """

    name: ClassVar[str] = "term-sparse"
    fault: ClassVar[Fault] = Fault.DATA
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note about all such terms."""
        found = [one for one in case.terms if _sparse(one)]
        if found and len(found) < len(case.terms):
            yield self._finding(case.train, found)

    def _finding(self, table: Table, found: list[Series]) -> Finding:
        names = [one.name for one in found]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=tuple(names),
            steps=span(table, found[0]),
            summary=(
                f"{named(names)} have values in few records: "
                f"{len(found[0])} of {_extent(found[0])} for '{names[0]}'."
            ),
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}' in {len(one)} of {_extent(one)} records",
                    series=one.name,
                    steps=span(table, one),
                    value=len(one) / _extent(one),
                    threshold=0.5,
                )
                for one in found[:8]
            ),
            cause=(
                "Only some batches have samples for it, or it is computed now and then. Expected "
                "of rare classes and of one task in a mixture."
            ),
            action="Weight it by how often it occurs, and log its count.",
            verify="print(sum(has_samples(batch) for batch in loader), len(loader))",
        )


def _extent(series: Series) -> int:
    return int(series.rows[-1] - series.rows[0]) + 1


def _sparse(series: Series) -> bool:
    if len(series) < 3 or len(series) >= 0.5 * _extent(series):
        return False
    distances = np.diff(series.rows)
    return float((distances == np.median(distances)).mean()) < 0.9


@final
class DivergenceNegative:
    """A logged divergence (KL) is negative and stays so, which no divergence can be.

    It is estimated from samples as log p - log q. That is only a divergence if the samples come
    from the very p that scores them: other sampling settings (temperature, top-k, a padding side, a
    mask that differs) make it negative, and a penalty on it then rewards drifting away.

    Statistic: share of the last quarter's records (at least 10) in which a quantity with `kl` in
    its name is below zero. Threshold: 95%; an estimate that scatters around zero does that by
    chance in fewer than one run in a thousand. Ratios of successive policies (`approx_kl`), which
    are taken on samples that were already trained on, targets and factors are not judged.

    Healthy look-alikes: an estimate that scatters around zero; a term from which a free amount is
    subtracted.
    """

    name: ClassVar[str] = "divergence-negative"
    fault: ClassVar[Fault] = Fault.DATA
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every divergence that stays negative."""
        for one in case.stretches[0].of_kind(Kind.TERM, Kind.STATISTIC):
            said = {*words(one.name)}
            if not said & {"kl", "kld"} or said & NO_DIVERGENCE:
                continue
            tail = one.mid[-(len(one) // 4) :]
            below = float(np.mean(tail < 0))
            if len(tail) >= 10 and below >= BELOW and one.end < 0:
                yield _negative(one, below)


def _negative(one: Trace, below: float) -> Finding:
    late = len(one) - len(one) // 4
    return Finding(
        rule=DivergenceNegative.name,
        fault=Fault.DATA,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=(int(one.first[late]), one.steps[1]),
        summary=f"'{one.name}' is {number(one.end)} at the end and negative in {below:.0%} of the "
        "last quarter's records; a divergence cannot be negative",
        evidence=(
            Evidence(
                text=f"'{one.name}' goes from {number(one.opening)} to {number(one.end)}, lowest "
                f"{number(float(one.low.min()))}; below 0 in {below:.0%} of the last quarter",
                series=one.name,
                steps=(int(one.first[late]), one.steps[1]),
                value=below,
                threshold=BELOW,
            ),
        ),
        cause="The samples do not come from the distribution that scores them: sampling settings "
        "(temperature, top-k), padding or masks differ. Expected only if a free amount is "
        "subtracted from the term.",
        action="Sample with temperature 1 and no truncation, and score with the same padding and "
        "mask.",
        verify="model.eval(); print((logp(model, samples) - logp_when_sampled).abs().max())  "
        "# must be near 0 before any update",
    )
