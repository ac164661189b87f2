"""Who owns the gradient of what the terms share: one term nearly all, another nearly none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.measured import percent
from poise.doctor.probes import (
    ENOUGH,
    STEADY,
    STILL,
    Place,
    at,
    fallen,
    held_back,
    in_windows,
    judged,
    lags,
    level,
    movers,
    scale_free,
    shares,
    weight_at,
    windows,
)
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import multiple, named, number
from poise.doctor.shares import value_shares
from poise.run import Floats

OWNS = 0.95
"""Share from which one term owns the gradient."""
LACKS = 0.01
"""Share below which a term has next to none of it."""
OFTEN = 0.5
"""Part of the windows that must show it."""
MEANT = 0.05
"""Share that a starved task is to be given for a start."""
VANISHING = 1e-4
"""Share at which even a weight ten times as large leaves less than a tenth of 1%."""
ROUNDED = 2.0**-24
"""Share below which a gradient is rounded away in the sum with the others, in single precision."""
LOST = "; it is rounded away in the sum"
RISEN = 3.0
"""Factor by which a term that has no gradient does not rise: then something drives it up."""
MEANS = 10.0
"""Factor by which a share falls short of what its weight asks for, from which the weight does not
mean what it says."""

NORMALISERS = ("normaliser-starves-gradient", "value-normaliser")


def share_facts(case: Case, place: Place, first: str) -> Iterator[Evidence]:
    """Gradient share of a term, those of the others, and its value share beside them."""
    others = [name for name in place.names if name != first]
    told = ", ".join(f"'{one}' {percent(place.median(one))}" for one in others)
    probes = "1 probe" if len(place) == 1 else f"median of {len(place)} probes"
    yield Evidence(
        text=f"gradient share {at(case, place, first)}: '{first}' {percent(place.median(first))}, "
        f"{told}; {probes}",
        series=f"gradient_share/{first}",
        steps=place.span,
        value=place.median(first),
    )
    values = value_shares(case, case.stretches[0])
    if values is not None and first in values.names:
        share = values.of(first)
        yield Evidence(
            text=f"'{first}' holds {percent(share)} of the weighted loss value meanwhile",
            series=first,
            steps=place.span,
            value=share,
        )


def progress(case: Case, term: str) -> Evidence | None:
    """How far a term fell, as a fact; None where that is not known."""
    lost = fallen(case, term)
    if lost is None:
        return None
    start, end = level(case, term)
    return Evidence(
        text=f"'{term}' goes from {number(start)} to {number(end)}: {lost:.1%} down",
        series=term,
        steps=case.stretches[0].traces[term].steps,
        value=lost,
        threshold=STILL,
    )


def asked_share(case: Case, place: Place, term: str) -> float:
    """Part of a term's weight in the weights of all terms that were measured beside it.

    What its gradient share would be if all gradients were of one length; a median over the probes.
    """
    weights = np.stack([np.abs(weight_at(case, one, place.steps)) for one in place.names], axis=1)
    whole = weights.sum(axis=1)
    parts = weights[:, place.names.index(term)] / np.where(whole > 0, whole, 1.0)
    return float(np.median(parts))


def _rounded_away(place: Place, term: str) -> bool:
    """Is a term's gradient lost in the sum with the others, at every probe?"""
    return bool((place.of(term) < ROUNDED).all())


def often(hit: NDArray[np.bool_] | Floats) -> bool:
    """True if at least half of the windows show it."""
    return len(hit) > 0 and float(np.mean(hit)) >= OFTEN


def _steady(case: Case, place: Place, term: str) -> Floats:
    """For each window: is the weight of a term steady, not zero, and no beginning of a ramp?"""
    weights = np.abs(weight_at(case, term, place.steps))
    top = float(weights.max())
    found = [
        top > 0 and float(np.ptp(weights[one])) <= STEADY * top and weights[one].min() >= top / 2
        for one in windows(len(place))
    ]
    return np.array(found, np.float64)


@final
class GradientStarvation:
    """A task has less than 1% of the gradient where it shares parameters with others.

    Whatever its value says, the shared parameters are moved for the other terms. Its own head may
    still learn, under Adam at full speed.

    Statistic: share of the term in the sum of the norms of the weighted gradients, median of each
    window of 10 probes. Threshold: below 0.01 in at least half of the windows while its weight is
    steady (within 10%, not the beginning of a ramp). A note; a warning if two probes agree and

    - in 20 records or more the term has lost less than 5% of its start while another task lost 30%,
      and it has not risen to three times its start (then see `rises-while-others-fall`);
    - or it lags as in `value-starvation` (not halved, and less than a third of the other tasks'
      median fall in the logarithm), and its share is below a tenth of its weight's part in all
      weights, or below 0.0001, so that a weight ten times as large would change nothing either;
    - or its share is below 2^-24 at every probe: then the sum of the gradients in single precision
      is that without the term, to the last bit.

    Healthy look-alikes: regularisers, constraints, adversaries, monitors (not judged, by declared
    role or name), ramps, terms that have converged and tasks that learn all the same (notes).
    """

    name: ClassVar[str] = "gradient-starvation"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every starved task."""
        place = shares(case)
        for term in () if place is None else place.names:
            assert place is not None  # no names without a place
            low = (in_windows(place.of(term)) < LACKS) * _steady(case, place, term)
            if judged(case, term) and place.of(term).any() and often(low):
                yield self._finding(case, place, term)

    def _finding(self, case: Case, place: Place, term: str) -> Finding:
        asked = asked_share(case, place, term)
        start, end = level(case, term)
        still = held_back(case, term) and not end > RISEN * start
        slow = lags(case, term) and place.median(term) < max(VANISHING, asked / MEANS)
        lost = _rounded_away(place, term)
        sure = (still or slow or lost) and len(place) >= ENOUGH
        top = max(place.names, key=place.median)
        facts = [*share_facts(case, place, term)]
        told = [term, *movers(case, term)] if slow else [term]
        facts += [one for one in (progress(case, name) for name in told) if one is not None]
        how = "; it hardly falls" if still else "; it lags behind" if slow else LOST
        heads = "; its own head, under Adam, learns at full speed" if scale_free(case) else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if sure else Severity.NOTE,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' has {percent(place.median(term))} of the gradient "
            f"{at(case, place, term)}, '{top}' {place.median(top):.0%}" + (how if sure else ""),
            evidence=tuple(facts),
            cause=f"The weights leave the shared parameters to '{top}'{heads}. Expected for a "
            "regulariser (declare its role) and for a term that has converged.",
            action=_raise(case, place, term),
            verify=rerun("that weight", f"'{term}' must end lower and no other term higher"),
            caused_by=(*NORMALISERS, "gradient-dominance", "counts-apart"),
        )


def _raise(case: Case, place: Place, term: str) -> str:
    """What to do for a starved term: the factor that brings its share to 5%, others unchanged."""
    share = place.median(term)
    weight = float(weight_at(case, term, place.steps)[-1])
    if not 0 < share < MEANT:
        return f"Raise the weight of '{term}' ({number(weight)}) until its share is {MEANT:.0%}."
    factor = MEANT / (1 - MEANT) * (1 - share) / share
    return (
        f"Multiply the weight of '{term}' by {multiple(factor)} ({number(weight)} -> "
        f"{factor * weight:.2g}): that is {MEANT:.0%} of the gradient as it stands; look at the "
        "share again, since its gradient changes as it learns."
    )


@final
class GradientDominance:
    """One term owns more than 95% of the gradient of what the terms share.

    Statistic: gradient share as in `gradient-starvation`. Threshold: above 0.95 in at least half of
    the windows. A warning if two probes agree and a task with a weight hardly falls meanwhile (less
    than 5% in 20 records while the owner or another lost 30%), or lags as in `value-starvation`
    although its weight, 1 or more, says nothing of it, or is rounded away as in
    `gradient-starvation`; else a note. Where it does
    not hold for the whole run, the stages are judged, each by its median: stretches of at least 3
    probes and a tenth of all over which no weight changes by more than 10%; then it is a note.

    Healthy look-alikes: a weight chosen to be ten times that of the others, other terms that have
    converged or learn all the same, one generator term against small penalties: notes. An
    adversary that owns it is not reported.
    """

    name: ClassVar[str] = "gradient-dominance"
    fault: ClassVar[Fault] = Fault.DOMINANCE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        place = shares(case)
        if place is None:
            return
        top = max(place.names, key=place.median)
        tasks = [one for one in place.names if one != top and judged(case, one)]
        if judged(case, top) and tasks and often(in_windows(place.of(top)) > OWNS):
            victims = [one for one in tasks if _suffers(case, place, one)]
            yield self._finding(case, place, top, victims)
            return
        owned = [part for part in _stages(case, place) if _owner(case, part)]
        if owned:
            longest = max(owned, key=len)
            yield self._stage(case, longest, _owner(case, longest))

    def _finding(self, case: Case, place: Place, top: str, victims: list[str]) -> Finding:
        weights = {n: abs(float(weight_at(case, n, place.steps)[-1])) for n in place.names}
        asked = weights[top] >= MEANS * max(w for n, w in weights.items() if n != top)
        demoted = asked and all(weights[one] < 1 for one in victims)
        sure = bool(victims) and not demoted and len(place) >= ENOUGH
        facts = [*share_facts(case, place, top)]
        facts += [one for one in (progress(case, name) for name in victims) if one is not None]
        still = all(held_back(case, one) for one in victims)
        slow = all(held_back(case, one) or lags(case, one) for one in victims)
        how = "hardly falls" if still else "lags behind" if slow else "is rounded away"
        meanwhile = f"; {named(victims)} {how}" if victims else ""
        meant = f" Its weight of {number(weights[top])} asks for it." if asked else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if sure else Severity.NOTE,
            terms=(top, *victims),
            steps=place.span,
            summary=f"'{top}' owns {place.median(top):.1%} of the gradient {at(case, place, top)}"
            f"{meanwhile}",
            evidence=tuple(facts),
            cause=f"The units and weights of the terms make it so.{meant} Expected if the others "
            "have converged, or if the weight was meant to.",
            action=f"Lower the weight of '{top}' {multiple(place.median(top) / 0.5)} times or more "
            "and compare what the other terms reach.",
            verify=rerun("that weight", "the other terms must end lower"),
            caused_by=(*NORMALISERS, "counts-apart", "term-gradient-zero", "gradient-jump"),
        )

    def _stage(self, case: Case, part: Place, top: str) -> Finding:
        """The finding about a stage in which `top` owns the gradient."""
        whole = self._finding(case, part, top, [])
        weights = {n: number(float(weight_at(case, n, part.steps)[0])) for n in part.names}
        told = ", ".join(f"'{name}' {weight}" for name, weight in weights.items())
        return replace(
            whole,
            summary=f"'{top}' owns {part.median(top):.1%} of the gradient "
            f"{at(case, part, top)} in the stage of steps {part.span[0]} to {part.span[1]}, with "
            f"weights {told}",
            evidence=whole.evidence[:1],
        )


def _suffers(case: Case, place: Place, term: str) -> bool:
    """Does a task hardly move, is it rounded away, or does it lag at a weight of 1 or more?"""
    weight = abs(float(weight_at(case, term, place.steps)[-1]))
    lost = _rounded_away(place, term)
    return lost or held_back(case, term) or (weight >= 1 and lags(case, term))


def _stages(case: Case, place: Place) -> Iterator[Place]:
    """Parts of a place over which no weight changes, long enough to be judged, in order.

    A run whose weights never change has none: it is judged as a whole.
    """
    weights = np.stack([weight_at(case, one, place.steps) for one in place.names], axis=1)
    first, count = 0, len(place)
    for end in range(1, count + 1):
        top = np.abs(weights[first])
        if end < count and (np.abs(weights[end] - weights[first]) <= STEADY * top).all():
            continue
        if max(3, count // 10) <= end - first < count:
            part = slice(first, end)
            yield replace(place, steps=place.steps[part], values=place.values[part])
        first = end


def _owner(case: Case, part: Place) -> str:
    """The term that owns the gradient in a stage while another task has a weight; else empty."""
    top = max(part.names, key=part.median)
    others = [
        name
        for name in part.names
        if name != top and judged(case, name) and weight_at(case, name, part.steps)[-1] != 0
    ]
    return top if others and judged(case, top) and part.median(top) > OWNS else ""
