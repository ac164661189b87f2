"""A value normaliser seen in the recorded weights: weight times running mean is constant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import STILL, Place, at, fallen, held_back, judged, lags, level, shares
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.gradient_share import progress, share_facts
from poise.doctor.series import number, steps_between, weights_at
from poise.read.weights.normaliser import DECAYS, FIT, RECORDS, WARM_UPS, consecutive, running_mean
from poise.run import Floats, Kind, Series

VARIES = 0.02
"""Relative range of a weight from which it is worth explaining."""
HARDLY = 0.1
"""Fall before the division, at most, that counts as hardly moving."""
STARVED = 0.2
"""Part of its nominal weight below which a gradient share is starved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """weight of a term = nominal weight / running mean of its value.

    Attributes:
        names: The terms, k of them.
        raw: Name of the series that holds each term's value before it is divided.
        decay: Of the running mean.
        nominal: Weights before the division, shape (k,).
        means: Last running mean of each, shape (k,).
        rest: Largest relative deviation of weight * running mean from its median, after the first
            records.
        steps: First and last step.
    """

    names: tuple[str, ...]
    raw: tuple[str, ...]
    decay: float
    nominal: Floats
    means: Floats
    rest: float
    steps: tuple[int, int]


def recover_weights(case: Case) -> Recovered | None:
    """The normaliser that made the weights of a run, if one did.

    Either the recorded weights change so that each times the running mean of its term is constant,
    or the terms are recorded after the division and their values beside them, by a logged name
    that contains the term's.
    """
    names = [one.name for one in case.terms]
    if len(names) < 2:
        return None
    raws = [_raw(case, name) for name in names]
    for columns in (case.terms, raws):
        known = [one for one in columns if one is not None]
        if len(known) == len(names) and (found := _recover(case, names, known)) is not None:
            return found
    return None


def _raw(case: Case, term: str) -> Series | None:
    """A logged statistic whose name contains the term's."""
    statistics = case.train.of_kind(Kind.STATISTIC)
    return next((one for one in statistics if term.lower() in one.name.lower()), None)


def _recover(case: Case, names: list[str], raw: Sequence[Series]) -> Recovered | None:
    table = case.train
    rows, values = table.aligned([*names, *(one.name for one in raw)])
    rows, values = rows[:RECORDS], values[:RECORDS]
    steps = table.steps[rows]
    if not consecutive(steps, values):
        return None
    weights = weights_at(table, {name: case.weight(name) or 1.0 for name in names}, steps)
    terms, base = values[:, : len(names)], values[:, len(names) :]
    if not base.all():
        return None  # 0 has no running mean to be divided by
    factors = weights * terms / base
    if not np.median(factors, axis=0).all():
        return None  # off most of the time (a ramp, a stage): no normaliser does that
    if float((np.ptp(factors, axis=0) / np.abs(factors).max(axis=0)).max()) < VARIES:
        return None
    best: Recovered | None = None
    for decay, warm_up in product(DECAYS, WARM_UPS):
        means = running_mean(base, decay=decay, warm_up=warm_up)
        scaled = factors * means
        nominal = np.median(scaled, axis=0)
        rest = float(np.median(np.abs(scaled / nominal - 1), axis=0).max())
        if rest < FIT and (best is None or rest < best.rest):
            best = Recovered(
                names=tuple(names),
                raw=tuple(one.name for one in raw),
                decay=decay,
                nominal=nominal,
                means=means[-1],
                rest=rest,
                steps=steps_between(steps),
            )
    return best


def divided_before(case: Case) -> bool:
    """True if the terms were divided by their own running means before they were recorded.

    Then each is exactly 1 at the first step, whatever its unit, and no constant afterwards.
    """
    table = case.train
    rows, values = table.aligned([one.name for one in case.terms])
    if values.shape[1] < 2 or not consecutive(table.steps[rows], values):
        return False
    return bool((np.abs(values[0] - 1) < 1e-6).all()) and bool((np.ptp(values, axis=0) > 0).all())


def hidden_fall(values: Floats, decay: float = 0.9) -> float:
    """Share of its start that a term lost before it was divided, for a mean of that decay.

    From value = raw / mean and mean = decay * mean + (1 - decay) * raw follows the growth of the
    mean. A slower mean gives a smaller fall, so the fastest usual one gives the largest.

    Example:
        >>> hidden_fall(np.ones(50))
        0.0
    """
    means = np.cumprod(decay / np.maximum(1 - (1 - decay) * values, 1e-9))
    tail = max(3, len(values) // 10)
    return max(0.0, 1 - float(np.median((values * means)[-tail:])))


@final
class NormaliserStarvesGradient:
    """Weights follow 1 / running mean of the loss value, and a term is starved of gradient by it.

    The normaliser makes all losses the same size. The gradient of a term whose value is large
    because of its unit (a Huber or L1 loss of targets in tens) was never that large; dividing by
    the value leaves it next to nothing where the terms share parameters.

    Statistic: recorded weight times the running mean of the term, for the usual decays; then the
    gradient share of each term at the shared parameters. Thresholds: the product constant to 0.1%
    (the arithmetic is then proved) while a weight varies by 2%; a term is starved if its gradient
    share is below a fifth of its nominal weight's part. An error if that term also lost less than
    5% of its start while another task lost 30%; a warning if it lags (not halved, and less than a
    third of the others' fall in the logarithm); else a note. Needs every step from the first.
    Terms that are recorded after the division are each exactly 1 at the first step; what they lost
    before it is recomputed from them, and less than 10% counts as hardly moving there.

    Healthy look-alikes: a normaliser under which all terms learn alike or keep their share: a note.
    """

    name: ClassVar[str] = "normaliser-starves-gradient"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.WEIGHTS, Need.TERMS, Need.HISTORY, Need.GRADIENT_SHARES}
    )

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        place = shares(case)
        if place is None:
            return
        found = recover_weights(case)
        if found is None:
            yield from _hidden(case, place)
            return
        asked = dict(zip(found.names, found.nominal / found.nominal.sum(), strict=True))
        ratio = {n: place.median(n) / asked[n] for n in place.names if judged(case, n)}
        victim = min(ratio, key=ratio.__getitem__, default=None)
        if victim is not None:
            starved = ratio[victim] < STARVED
            yield _finding(case, place, found, victim, asked=asked[victim], starved=starved)


def _severity(case: Case, victim: str, *, starved: bool) -> Severity:
    if starved and held_back(case, victim):
        return Severity.ERROR
    return Severity.WARNING if starved and lags(case, victim) else Severity.NOTE


def _finding(
    case: Case, place: Place, found: Recovered, victim: str, *, asked: float, starved: bool
) -> Finding:
    k = found.names.index(victim)
    start, end = level(case, victim)
    share = place.median(victim)
    nominal = ", ".join(f"{n} {w:.3g}" for n, w in zip(found.names, found.nominal, strict=True))
    means = ", ".join(f"{n} {m:.3g}" for n, m in zip(found.names, found.means, strict=True))
    steady = f"constant to {found.rest:.1e}" if found.rest else "exactly constant"
    facts = [
        Evidence(
            text=f"weight * running mean (decay {found.decay}) is {steady}: "
            f"{nominal}; the running means end at {means}",
            series=f"weight/{victim}",
            steps=found.steps,
            value=found.rest,
            threshold=FIT,
        ),
        *share_facts(case, place, victim),
        *(one for one in (progress(case, victim),) if one is not None),
    ]
    where = at(case, place, victim)
    summary = (
        f"every weight is divided by the running mean of its term's value: '{victim}', divided by "
        f"{number(float(found.means[k]))}, is left {share:.2%} of the gradient {where} where "
        f"{asked:.0%} were meant"
    )
    stuck = f", and stays at {number(start)} -> {number(end)}"
    lost = fallen(case, victim)
    still = starved and held_back(case, victim) and lost is not None and lost < STILL
    return Finding(
        rule=NormaliserStarvesGradient.name,
        fault=Fault.STARVATION,
        severity=_severity(case, victim, starved=starved),
        terms=(victim,),
        steps=found.steps,
        summary=summary + (stuck if still else ""),
        evidence=tuple(facts),
        cause="The normaliser. Dividing by the value takes a term's size out of its gradient "
        "whether or not the gradient had it; under a Huber or L1 loss in its linear regime it had "
        "not. Expected to be harmless if all terms are squared errors.",
        action="Drop the normaliser and use plain weights ("
        f"{nominal}); multiply the output of the head of '{victim}' by the range of its target, so "
        "that it predicts in unit scale.",
        verify=rerun("plain weights", f"'{victim}' must end well below {number(end)}"),
    )


def _hidden(case: Case, place: Place) -> Iterator[Finding]:
    """The same for terms whose values before the division nobody recorded."""
    if not divided_before(case):
        return
    weights = {name: abs(case.weight(name) or 1.0) for name in place.names}
    asked = {name: one / sum(weights.values()) for name, one in weights.items()}
    ratio = {n: place.median(n) / asked[n] for n in place.names if judged(case, n) and asked[n]}
    victim = min(ratio, key=ratio.__getitem__, default=None)
    if victim is None:
        return
    lost = hidden_fall(case.train.series[victim].values)
    starved = ratio[victim] < STARVED and lost < HARDLY
    facts = [
        Evidence(
            text="each term is exactly 1 at its first step: recorded after a division by its own "
            f"running mean; before it, '{victim}' has lost {lost:.1%} at most",
            series=victim,
            steps=place.span,
            value=lost,
            threshold=HARDLY,
        ),
        *share_facts(case, place, victim),
    ]
    yield Finding(
        rule=NormaliserStarvesGradient.name,
        fault=Fault.STARVATION,
        severity=Severity.ERROR if starved else Severity.NOTE,
        terms=(victim,),
        steps=place.span,
        summary="every term is divided by the running mean of its value before it is weighted: "
        f"'{victim}' is left {place.median(victim):.2%} of the gradient {at(case, place, victim)} "
        f"where {asked[victim]:.0%} were meant",
        evidence=tuple(facts),
        cause="The normaliser: dividing by the value takes a term's size out of its gradient "
        "whether or not the gradient had it. Expected to be harmless if all terms are squared "
        "errors.",
        action="Drop the normaliser and use plain weights; multiply the output of the head of "
        f"'{victim}' by the range of its target, so that it predicts in unit scale.",
        verify=rerun("no division, and the raw terms in watch.log", f"'{victim}' must end lower"),
    )
