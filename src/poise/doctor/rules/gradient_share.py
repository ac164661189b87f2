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
    balanced,
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
from poise.doctor.series import multiple, named, number, python_name
from poise.doctor.shares import value_shares
from poise.doctor.wish import declared_shares, wish_of
from poise.run import Floats

OWNS = 0.95
"""Share from which one term owns the gradient."""
LACKS = 0.01
"""Share below which a term has next to none of it."""
OFTEN = 0.5
"""Part of the windows that must show it."""
APART = 3.0
"""Factor between a declared and a measured share from which it is not honoured."""
MEANT = 0.05
"""Share that a starved task is to be given for a start."""
VANISHING = 1e-4
"""Share at which even a weight ten times as large leaves less than a tenth of 1%."""
LONG = 100
"""Steps from which a term that does not move was given its chance."""

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


def _often(hit: NDArray[np.bool_] | Floats) -> bool:
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
    steady (within 10%, not the beginning of a ramp). A warning if two probes agree and, in 20
    records or more, the term has lost less than 5% of its start while another task lost 30%; or if
    its share is below 0.0001, so that a weight ten times as large would change nothing either, and
    it lags as in `value-starvation`: not halved, and less than a third of the other tasks' median
    fall in the logarithm. Else a note.

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
            if judged(case, term) and place.of(term).any() and _often(low):
                yield self._finding(case, place, term)

    def _finding(self, case: Case, place: Place, term: str) -> Finding:
        still = held_back(case, term)
        slow = place.median(term) < VANISHING and lags(case, term)
        sure = (still or slow) and len(place) >= ENOUGH
        top = max(place.names, key=place.median)
        facts = [*share_facts(case, place, term)]
        told = [term, *movers(case, term)] if slow else [term]
        facts += [one for one in (progress(case, name) for name in told) if one is not None]
        how = "; it hardly falls" if still else "; it lags behind"
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
    the windows. A warning if a task with a weight hardly falls meanwhile (less than 5% in 20
    records while the owner or another lost 30%) and two probes agree; else a note. Where it does
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
        if judged(case, top) and tasks and _often(in_windows(place.of(top)) > OWNS):
            yield self._finding(case, place, top, [one for one in tasks if held_back(case, one)])
            return
        owned = [part for part in _stages(case, place) if _owner(case, part)]
        if owned:
            longest = max(owned, key=len)
            yield self._stage(case, longest, _owner(case, longest))

    def _finding(self, case: Case, place: Place, top: str, victims: list[str]) -> Finding:
        weights = {n: abs(float(weight_at(case, n, place.steps)[-1])) for n in place.names}
        asked = weights[top] >= 10 * max(w for n, w in weights.items() if n != top)
        sure = bool(victims) and not asked and len(place) >= ENOUGH
        facts = [*share_facts(case, place, top)]
        facts += [one for one in (progress(case, name) for name in victims) if one is not None]
        meanwhile = f"; {named(victims)} hardly falls" if victims else ""
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


@final
class ShareTooSmall:
    """A declared gradient share is honoured, and keeps its term from moving.

    A share is a wish. Given exactly as asked, a tenth of the gradient may still be too little for a
    term whose output has far to go: then the wish is the fault, not the balancing.

    Statistic: measured against declared share, and how far the term fell. Thresholds: measured
    between half and twice the declared share, the term lost less than 5% of its start over 100
    steps or more while another task lost 30%.

    Healthy look-alikes: terms whose rest is noise, terms that started converged, roles other than
    task (not judged).
    """

    name: ClassVar[str] = "share-too-small"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that its declared share keeps still."""
        place, wanted = shares(case), declared_shares(case)
        long = int(np.ptp(case.train.steps)) + 1 >= LONG
        for term in () if place is None or not long else place.names:
            assert place is not None  # no names without a place
            share, wish = place.median(term), wanted.get(term)
            if wish and 0.5 <= share / wish <= 2 and judged(case, term) and held_back(case, term):
                yield self._finding(case, place, term, wish)

    def _finding(self, case: Case, place: Place, term: str, wish: float) -> Finding:
        best = max(movers(case, term), key=lambda one: fallen(case, one) or 0.0)
        told = wish_of(case, term)
        facts = [*share_facts(case, place, term)]
        facts += [one for one in (progress(case, term), progress(case, best)) if one is not None]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' has the gradient share that was declared ({wish:.0%} declared, "
            f"{place.median(term):.1%} measured) and hardly moves: the declared share is too small",
            evidence=tuple(facts),
            cause="The balancing does what it was told; the wish keeps the term still, or its "
            "output has too far to go in this many steps. Expected if the term's rest is noise.",
            action=f"Declare a larger share for '{term}'." if told is None else told.action,
            verify=rerun("that share", f"'{term}' must end below {number(level(case, term)[1])}"),
        )


@final
class ShareNotHonoured:
    """A declared gradient share is not what is measured.

    Statistic: median of each window against the declared share. Threshold: apart by a factor of 3
    in at least half of the windows, 3 probes or more, declared 1% or more.

    Where a balancer weighs the terms at a fork, that is the place; else all shared parameters.

    Healthy look-alikes: a balancer in its first steps (three probes outlast them), shares declared
    for one place and measured at another: the finding names the place.
    """

    name: ClassVar[str] = "share-not-honoured"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding: the term that is farthest off."""
        place, wanted = balanced(case) or shares(case), declared_shares(case)
        if place is None or len(place) < 3:
            return
        off = {
            term: abs(float(np.log(max(place.median(term), 1e-12) / wish)))
            for term, wish in wanted.items()
            if term in place.names and wish >= LACKS
            and _often(np.abs(np.log(np.maximum(in_windows(place.of(term)), 1e-12) / wish))
                       > np.log(APART))
        }  # fmt: skip
        if off:
            term = max(off, key=off.__getitem__)
            yield self._finding(case, place, term, wanted[term])

    def _finding(self, case: Case, place: Place, term: str, wish: float) -> Finding:
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' was declared a gradient share of {wish:.0%} and has "
            f"{percent(place.median(term))} {at(case, place, term)}",
            evidence=tuple(share_facts(case, place, term)),
            cause="Nothing balances the gradients to the declared shares, or it does so at another "
            "place than was measured. Expected in a balancer's first steps.",
            action="Hand the weights that the balancer computes to the total, and balance at the "
            "tensor that the terms share; or paste the constant weights of "
            "`poise suggest`.",
            verify=f"print(torch.autograd.grad({python_name(term)}, shared_tensor, "
            "retain_graph=True)[0].norm())  # times its weight, over the sum of all terms'",
            caused_by=NORMALISERS,
        )
