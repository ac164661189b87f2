"""One term holds almost the whole loss value."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.starvation import ValueStarvation
from poise.doctor.rules.stuck import Plateau, StuckAtLogK
from poise.doctor.series import named, number
from poise.doctor.shares import GRADIENT_UNKNOWN, Shares, value_shares
from poise.doctor.trace import Stretch, Trace
from poise.run import Floats

SHARE = 0.9
"""Value share that is called dominant."""
NEGLIGIBLE = 0.01
"""Value share below which a term hardly changes the total."""
VANISHING = 1e-4
"""Value share that no difference between value and gradient makes up for: at equal values,
gradients at shared parameters were measured up to 1000 times apart, not 10000 times."""
CONVERGED = 0.9
"""A term that lost this part of its starting value has little left to learn."""
LAG = 0.75
"""A term whose log-improvement is below this part of the dominant one's lags behind it."""
MOVED = 0.3
"""A term that lost this part of its starting value shows that the training works."""
MAJORITY = 0.7
"""Share from which on a term counts as what starves another."""
RECORDS = 8
"""Records from which a term's progress is judged."""


@final
class ValueDominance:
    """One term holds almost the whole loss value while others still have something to learn.

    Where the gradient follows the value, the other terms then hardly move the shared parameters.
    But value is not gradient: a term with 90% of the value can have 1% of the gradient, so a high
    share alone is no more than a note.

    Statistic: median value share (weighted value over the sum of absolute weighted values) of a
    family of terms; `loss_dice`, `loss_dice_0` ... count as one. Thresholds: above 0.9 in a quarter
    of the records, or in most of the first quarter, is a note. It is a warning if the weights are
    known, some term has fallen by 30%, the median share is above 0.9, and either two or more other
    task terms, each below 0.01, have not converged (less than 90% down) and fell by less than three
    quarters of the dominant one's fall in the logarithm, or one of three or more terms is below
    0.0001 and has not even halved. Shares like these harmed other tasks in measured trainings where
    the gradient followed the value; 0.0001 is below what the 1000-fold gap between value and
    gradient seen there can make up for.

    Nothing is said of adversaries whose weights are unknown: each has an optimizer of its own.

    Healthy look-alikes: a reconstruction loss beside small penalties, one small auxiliary loss by
    design, other terms that have already converged (physics-informed initial conditions), terms
    whose unit makes them large.
    """

    name: ClassVar[str] = "value-dominance"
    fault: ClassVar[Fault] = Fault.DOMINANCE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: no two families can hold more than 0.9."""
        stretch = case.stretches[0]
        shares = None if case.gradients_known else value_shares(case, stretch)
        if shares is None or len(shares.families) < 2:
            return
        key = max(shares.families, key=lambda one: float(np.median(shares.of_family(one))))
        held = shares.of_family(key)
        owners = sorted(shares.families[key], key=shares.of, reverse=True)
        median = float(np.median(held))
        starved = _starved(case, stretch, shares, owners) if median > MAJORITY else []
        if not _often(held) and not starved:
            return
        if not shares.known and role_of(case, owners[0]) == "adversary":
            return
        hungry = _hungry(case, stretch, shares, owners) or starved
        if not hungry and _on_plateau(case, owners):
            hungry = [stretch.traces[one] for one in shares.names if shares.of(one) < NEGLIGIBLE]
        strong = shares.known and median > (MAJORITY if starved else SHARE)
        yield _finding(stretch, shares, owners, held, hungry if strong else [])


def _starved(case: Case, stretch: Stretch, shares: Shares, owners: list[str]) -> list[Trace]:
    """The terms of small share that another rule finds starved beyond doubt.

    One small companion alone is an auxiliary by design more often than a victim.
    """
    if len(shares.families) < 3:
        return []
    found = [one for one in ValueStarvation().check(case) if one.severity is Severity.WARNING]
    names = [name for one in found for name in one.terms if name in shares.names]
    small = [one for one in names if one not in owners and shares.of(one) < NEGLIGIBLE]
    return [stretch.traces[one] for one in small]


def _on_plateau(case: Case, owners: list[str]) -> bool:
    """True if another rule finds the dominant terms stuck beyond doubt."""
    found = [*Plateau().check(case), *StuckAtLogK().check(case)]
    found = [one for one in found if one.severity is Severity.WARNING]
    return any(name in owners for one in found for name in one.terms)


def _often(held: Floats) -> bool:
    """True if a share is dominant in a quarter of the records, or in most of the first quarter."""
    above = held > SHARE
    return bool(np.mean(above) >= 0.25 or np.mean(above[: len(above) // 4 + 1]) > 0.5)


def _hungry(case: Case, stretch: Stretch, shares: Shares, owners: list[str]) -> list[Trace]:
    """The dominated task terms that give reason to worry; empty if there is too little reason."""
    if len(shares.number) < RECORDS:
        return []
    others = [
        stretch.traces[name]
        for name in shares.names
        if name not in owners and role_of(case, name) in ("task", "reinforcement")
    ]
    if not any(stretch.traces[name].fall > MOVED for name in shares.names):
        return []
    pace = _pace(stretch.traces[owners[0]])
    small = [one for one in others if shares.of(one.name) < NEGLIGIBLE and one.fall < CONVERGED]
    lagging = [one for one in small if _pace(one) < LAG * pace]
    vanishing = [one for one in small if shares.of(one.name) < VANISHING and one.fall < 0.5]
    if len(lagging) >= 2 and stretch.traces[owners[0]].fall > MOVED:
        return sorted(lagging, key=lambda one: shares.of(one.name))
    return vanishing if len(shares.names) >= 3 else []


def _pace(one: Trace) -> float:
    """How far a term fell, in the logarithm; 0.0 where that says nothing."""
    left = max(1 - one.fall, 1e-12)
    return float(-np.log(left)) if np.isfinite(left) else 0.0


def _finding(
    stretch: Stretch, shares: Shares, owners: list[str], held: Floats, hungry: list[Trace]
) -> Finding:
    median, part = float(np.median(held)), float(np.mean(held > SHARE))
    when = "" if median > SHARE else " in the first quarter of the records"
    shown = float(np.median(held[: len(held) // 4 + 1])) if when else median
    owner = stretch.traces[owners[0]]
    unit = "weighted loss value" if shares.known else "raw loss value (weights unknown)"
    worst = f", while {_hunger(shares, hungry)}" if hungry else ""
    facts = [
        Evidence(
            text=f"median value share of {named(owners)} {number(median)}, above {SHARE} in "
            f"{part:.0%} of the records",
            series=owner.name,
            steps=owner.steps,
            value=median,
            threshold=SHARE,
        )
    ]
    facts += [
        Evidence(
            text=f"'{one.name}': value share {number(shares.of(one.name))} (below {NEGLIGIBLE}), "
            f"{one.fall:.0%} down from {number(one.start)} to {number(min(one.best, one.end))}; "
            f"'{owner.name}': {_down(owner)}",
            series=one.name,
            steps=one.steps,
            value=shares.of(one.name),
            threshold=NEGLIGIBLE,
        )
        for one in hungry
    ]
    return Finding(
        rule=ValueDominance.name,
        fault=Fault.DOMINANCE,
        severity=Severity.WARNING if hungry else Severity.NOTE,
        terms=tuple(owners),
        steps=owner.steps,
        summary=f"{shown:.1%} of the {unit} comes from {named(owners)}{when}{worst}; "
        f"{GRADIENT_UNKNOWN}",
        evidence=tuple(facts),
        cause="Weights or units that were never compared, or a sum where the others are means. "
        "Expected if the other terms are penalties or small auxiliaries by design, have converged, "
        "or live on another scale: value share is not gradient share.",
        action="Measure gradient shares with poise.Watch before touching a weight; if they agree, "
        f"divide the weight of {named(owners, 1)} by ten.",
        verify=rerun("that weight divided by ten", "the small terms must fall further"),
    )


def _hunger(shares: Shares, hungry: list[Trace]) -> str:
    """Who gets next to nothing and has not converged, with the largest of their shares."""
    names = named([one.name for one in hungry])
    most = f"{max(shares.of(one.name) for one in hungry):.2g}"
    if len(hungry) == 1:
        return f"{names}, which has not converged, holds a share of {most}"
    return f"{names}, which have not converged, hold shares of at most {most}"


def _down(one: Trace) -> str:
    return f"{one.fall:.0%} down" if np.isfinite(one.fall) else "changes sign"
