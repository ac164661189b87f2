"""Starvation by a value normaliser: terms that are divided by their own running mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.doctor.shares import GRADIENT_UNKNOWN
from poise.doctor.trace import Trace
from poise.run import Floats, Ints, Kind, Table

DECAYS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Decays of the running mean that are tried: those that people write."""
WARM_UPS = (1, 5, 10, 20, 50, 100)
"""Records over which the mean is a plain one before it decays."""
RECORDS = 400
"""The first records of the training decide; more add cost and no information."""
FIT = 1e-3
"""Rest of the total below which the arithmetic is taken for proved. Losses printed with four
digits leave 1e-4; weights that do not change leave more than ten times as much."""
BEHIND = 0.5
"""Pace (fall in the logarithm) below which, in units of the others' median, a term lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser:
    """total = sum of weight * value / (running mean of value), as recovered from a log.

    Attributes:
        decay: Of the running mean.
        weights: Of the normalised terms, shape (k,).
        factors: What one unit of each term weighs at the end: weight / running mean, shape (k,).
        rest: Median |total - sum| over median |total|.
        plain: The same rest with the best weights that do not change.
    """

    decay: float
    weights: Floats
    factors: Floats
    rest: float
    plain: float


def running_mean(values: Floats, *, decay: float, warm_up: int) -> Floats:
    """A plain mean over the first `warm_up` records, an exponential one from there on.

    Each mean includes the record it is taken at.

    Args:
        values: Shape (n, k).
        decay: Weight of the past, 0 to 1.
        warm_up: At least 1.

    Returns:
        Shape (n, k).

    Example:
        >>> running_mean(np.array([[2.0], [4.0], [7.0]]), decay=0.5, warm_up=2)[:, 0].tolist()
        [2.0, 3.0, 5.0]
    """
    means = np.empty_like(values)
    begun = min(warm_up, len(values))
    means[:begun] = np.cumsum(values[:begun], axis=0) / np.arange(1, begun + 1)[:, None]
    for row in range(begun, len(values)):
        means[row] = decay * means[row - 1] + (1.0 - decay) * values[row]
    return means


def recover(total: Floats, terms: Floats) -> Normaliser | None:
    """The normaliser that made a total, if one did.

    Args:
        total: Consecutive records from the first on, shape (n,).
        terms: Positive values of the same records, shape (n, k).
    """
    plain, _ = _solved(total, terms)
    best: Normaliser | None = None
    for decay in DECAYS:
        for warm_up in WARM_UPS:
            means = running_mean(terms, decay=decay, warm_up=warm_up)
            rest, weights = _solved(total, terms / means)
            proved = rest < FIT and rest < 0.1 * plain and bool(np.all(weights > 0))
            if proved and (best is None or rest < best.rest):
                factors = weights / means[-1]
                best = Normaliser(
                    decay=decay, weights=weights, factors=factors, rest=rest, plain=plain
                )
    return best


def _solved(total: Floats, columns: Floats) -> tuple[float, Floats]:
    """Rest of the least squares fit of a total, and the weights."""
    weights: Floats = np.linalg.lstsq(columns, total, rcond=None)[0].astype(np.float64)
    left = np.abs(total - columns @ weights)
    return float(np.median(left) / np.median(np.abs(total))), weights


@final
class ValueNormaliser:
    """Every term is divided by the running mean of its own value before it is weighted.

    The weights then share out relative change, not gradient. A term that is large because its unit
    is (a count of steps under a Huber or L1 loss, whose gradient does not grow with its value)
    loses its gradient by just that factor: it is starved by the cure for its size.

    Statistic: the total is fitted by weighted terms, each over a plain and then exponential running
    mean of itself, for the usual decays. Threshold: a rest below 0.001 of the total and below a
    tenth of what constant weights leave; the arithmetic is then proved. A warning if the term with
    the smallest factor falls at less than half of the others' median pace in the logarithm; else a
    note. Needs a log of every step from the first on.

    Healthy look-alikes: terms that learn alike under a normaliser; it is then a note, and expected
    if the normaliser is there on purpose.
    """

    name: ClassVar[str] = "value-normaliser"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COMPOSITION, Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        composition, table = case.composition, case.train
        if composition is None or composition.exact or composition.total not in table.series:
            return
        names = [one.name for one in table.of_kind(Kind.TERM)]
        rows, values = table.aligned([composition.total, *names])
        values = values[:RECORDS]
        if not _usable(table, rows[:RECORDS], values):
            return
        found = recover(values[:, 0], values[:, 1:])
        if found is not None:
            yield _finding(case, composition.total, names, found)


def _usable(table: Table, rows: Ints, values: Floats) -> bool:
    """True for every step from the first on, with positive finite values that are not constant."""
    if len(values) < max(20, 3 * values.shape[1]):
        return False
    if table.steps[rows[0]] > 1 or not (np.diff(table.steps[rows]) == 1).all():
        return False
    positive = np.isfinite(values).all() and (values > 0).all()
    return bool(positive) and bool((np.ptp(values, axis=0) > 0).all())


def _pace(one: Trace) -> float:
    return -float(np.log(max(1.0 - one.fall, 1e-12)))


def _finding(case: Case, total: str, names: list[str], found: Normaliser) -> Finding:
    traces = [case.stretches[0].traces[name] for name in names]
    last = int(found.factors.argmin())
    victim, top = traces[last], int(found.factors.argmax())
    others = [one for one in traces if one is not victim]
    typical = float(np.median([_pace(one) for one in others]))
    middle = float(np.median([one.fall for one in others]))
    starved = _pace(victim) < BEHIND * typical
    ratio = float(found.factors[top] / found.factors[last])
    weights = ", ".join(f"{n} {w:.2g}" for n, w in zip(names, found.weights, strict=True))
    falls = f"'{victim.name}' falls by {victim.fall:.0%}, " + ", ".join(
        f"'{one.name}' by {one.fall:.0%}" for one in others[:4]
    )
    summary = (
        f"'{total}' is a sum of terms that are each divided by the running mean of their own "
        f"value: one unit of '{victim.name}' weighs {ratio:,.0f} times less than one of "
        f"'{names[top]}'"
    )
    lags = f"it falls by {victim.fall:.0%} while the median of the others falls by {middle:.0%}"
    steps = victim.steps
    return Finding(
        rule=ValueNormaliser.name,
        fault=ValueNormaliser.fault,
        severity=Severity.WARNING if starved else Severity.NOTE,
        terms=(victim.name,) if starved else tuple(names),
        steps=steps,
        summary=f"{summary}; {lags}; {GRADIENT_UNKNOWN}" if starved else summary,
        evidence=tuple(_facts(total, victim, found, steps, weights, falls, typical)),
        cause="Dividing by the value takes the size out of a term's gradient whether or not the "
        "gradient had it. Under a Huber or L1 loss in its linear regime it had not: the term is "
        "left with almost nothing. Expected to be harmless if all terms are squared errors.",
        action="Drop the normaliser and use plain weights; let the head of "
        f"'{victim.name}' predict in units of its target's range.",
        verify=f"Train the same number of steps with plain weights: '{victim.name}' must end below "
        f"{number(victim.end)}.",
    )


def _facts(
    total: str,
    victim: Trace,
    found: Normaliser,
    steps: tuple[int, int],
    weights: str,
    falls: str,
    typical: float,
) -> Iterable[Evidence]:
    yield Evidence(
        text=f"value / running mean (decay {found.decay}) with weights {weights} reproduces "
        f"'{total}' to {found.rest:.1e}; constant weights leave {found.plain:.1e}",
        series=total,
        steps=steps,
        value=found.rest,
        threshold=FIT,
    )
    yield Evidence(
        text=f"one unit of '{victim.name}' enters the total with {found.factors.min():.2g}, the "
        f"heaviest term with {found.factors.max():.2g}",
        series=victim.name,
        steps=steps,
        value=float(found.factors.min() / found.factors.max()),
    )
    yield Evidence(
        text=falls,
        series=victim.name,
        steps=steps,
        value=_pace(victim),
        threshold=BEHIND * typical,
    )
