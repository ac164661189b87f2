"""A term grows with the number of tokens or elements it is taken over."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import by_step, number, python_name
from poise.doctor.shares import known_weight
from poise.doctor.stats import line, smooth
from poise.doctor.trace import Stretch
from poise.run import Floats, Kind, Series

SLOPE = 0.5
"""Log-log slope from which a term scales with the count: a sum has 1, a mean 0."""
R2 = 0.5
"""Share of the variance that the count must explain."""
WINDOW = 31
"""Records of the running median that takes the training's own trend out."""
VARIES = 0.05
"""Least standard deviation of the log count: counts that hardly vary explain nothing."""
SAMPLE = 6_000
"""Records that are looked at, evenly spread in runs of 1000: enough for a slope to 2%."""


@final
class ScalesWithLength:
    """A term grows with the number of tokens or elements of its batch: a sum where a mean is meant.

    Long batches then weigh more, the balance between terms changes with the lengths, and gradient
    accumulation weighs micro-batches wrongly.

    Statistic: slope of log(term) over log(count), both after a running median of 31 records is
    taken out. Where several micro-batches share an optimizer step, terms and counts are added up
    over the step first. Thresholds: slope above 0.5 and R² above 0.5, over 40 or more records whose
    log count scatters by more than 0.05. Seeded sums had slope 1.01 and R² 0.99, means 0.

    Healthy look-alikes: a sum by design with a learning rate tuned for it; longer samples that are
    harder (a small slope, a low R²); a curriculum of lengths (taken out with the trend);
    micro-batches divided by the count of the whole step, each of which is its part of the mean: it
    grows with its own count, and what they add up to does not grow with the whole.
    """

    name: ClassVar[str] = "scales-with-length"
    fault: ClassVar[Fault] = Fault.SCALE_WITH_LENGTH
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.TOKENS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term, with the count that explains it best.

        A total that grows with its terms is their consequence and is not reported besides.
        """
        stretch = case.stretches[0]
        counts = list(case.train.of_kind(Kind.COUNT))
        for kind in (Kind.TERM, Kind.TOTAL):
            found = [
                _finding(case, stretch, term, count, fit)
                for term in case.train.of_kind(kind)
                for fit, count in [_best(stretch, term, counts)]
                if fit is not None and count is not None
            ]
            yield from found
            if found:
                return


def _best(
    stretch: Stretch, term: Series, counts: list[Series]
) -> tuple[tuple[float, float, int] | None, Series | None]:
    """The fit on the count that explains a term best; counts of the term itself come first."""
    own = [one for one in counts if one.of == term.name]
    own = own or [one for one in counts if one.of is None]
    fits = [(fit, one) for one in own if (fit := _fit(stretch, term, one)) is not None]
    return max(fits, key=lambda item: item[0][1], default=(None, None))


def _fit(stretch: Stretch, term: Series, count: Series) -> tuple[float, float, int] | None:
    """Slope, R² and records, if they exceed the thresholds."""
    rows, values = stretch.table.aligned([term.name, count.name])
    lo, hi = np.searchsorted(rows, [stretch.begin, stretch.stop])
    _, values = by_step(stretch.table, rows[lo:hi], values[lo:hi])
    values = _sampled(values)
    values = values[np.isfinite(values).all(axis=1) & (values > 0).all(axis=1)]
    if len(values) < 40:
        return None
    y, x = np.log(values).T
    if np.all(np.diff(x) >= 0):  # a running number of samples, not the size of a batch
        return None
    x, y = x - smooth(x, WINDOW), y - smooth(y, WINDOW)
    if float(np.std(x)) < VARIES:
        return None
    slope, r2 = line(x, y)
    return (slope, r2, len(x)) if slope > SLOPE and r2 > R2 else None


def _sampled(values: Floats) -> Floats:
    """At most `SAMPLE` rows: unbroken pieces of 1000 rows, evenly spread."""
    if len(values) <= SAMPLE:
        return values
    pieces = SAMPLE // 1000
    begins = np.linspace(0, len(values) - 1000, pieces).astype(np.int64)
    return values[(begins[:, None] + np.arange(1000)).ravel()]


def _finding(
    case: Case, stretch: Stretch, term: Series, count: Series, fit: tuple[float, float, int]
) -> Finding:
    slope, r2, records = fit
    steps = (int(stretch.table.steps[stretch.begin]), int(stretch.table.steps[stretch.stop - 1]))
    return Finding(
        rule=ScalesWithLength.name,
        fault=Fault.SCALE_WITH_LENGTH,
        severity=Severity.NOTE if known_weight(case, term.name) == 0.0 else Severity.WARNING,
        terms=(term.name,),
        steps=steps,
        summary=f"'{term.name}' grows with '{count.name}': log-log slope {number(slope)}, "
        f"R² {number(r2)} (a sum has 1, a mean 0)",
        evidence=(
            Evidence(
                text=f"slope of log '{term.name}' over log '{count.name}' is {number(slope)} over "
                f"{records} records, both detrended",
                series=term.name,
                steps=steps,
                value=slope,
                threshold=SLOPE,
            ),
            Evidence(
                text=f"'{count.name}' explains {r2:.0%} of the scatter of '{term.name}'",
                series=count.name,
                steps=steps,
                value=r2,
                threshold=R2,
            ),
        ),
        cause="The term is summed over tokens or elements, or divided by a fixed number. Expected "
        "if it is a sum by design and the learning rate is tuned for it.",
        action=f"Divide '{term.name}' by the count it is taken over, over all micro-batches and "
        "ranks together.",
        verify=f"print({python_name(term.name)}(batch), {python_name(term.name)}(torch.cat([batch, "
        "batch])))  # a mean stays, a sum doubles",
    )
