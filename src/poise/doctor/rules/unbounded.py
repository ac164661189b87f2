"""A term without a lower bound is driven down it, or value estimates grow without end."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of, words
from poise.doctor.measured import gradient_of
from poise.doctor.probes import places, weight_at
from poise.doctor.rule import Need
from poise.doctor.series import finite, first_and_last, multiple, number, python_name
from poise.doctor.shares import GRADIENT_UNKNOWN, known_weight
from poise.doctor.trace import Stretch, Trace
from poise.run import Floats, Kind

ACCELERATES = 1.2
"""Factor by which the last quarter's drop must exceed the one before."""
FAR = 5.0
"""Final level over the starting level, in absolute value."""
KEPT = 0.9
"""Part of the drop before, and of the first gradient, that what has no bound keeps."""
PROBES = 6
"""Measured gradients below which two thirds of them are not compared."""
CRITIC = 100.0
"""Growth of a critic's loss over its start."""
ACTOR = 30.0
"""Growth of an actor's loss over its start, in absolute value, downward."""


@final
class DrivenDown:
    """A negative term falls faster and faster: it has no lower bound.

    The optimizer can lower the total for ever without learning anything: a variance without a
    ceiling, a log-determinant, an entropy or distance that is maximised.

    Statistic: means of the block medians in four quarters of the stretch, q1 to q4. Thresholds:
    q1 > q2 > q3 > q4 and q4 below zero; the last drop at least 1.2 times the drop before it, which
    is no smaller than the first; q4 at least 5 times the starting level away, and the last drop
    above the scatter. These came out silent on 90 healthy seeded trainings, negative ones included,
    and named every seeded unbounded term. An adversary or an actor (by name or role) is a note; a
    declared adversary is a warning once its last quarter lies 100 times as far from zero as its
    first and its start, and it still goes twice as fast: swings and returns stay within that.

    Healthy look-alikes: negative log-likelihoods and learned log-variances go negative but slow
    down; actor losses follow the returns; critics of Wasserstein type swing.
    """

    name: ClassVar[str] = "driven-down-without-bound"
    fault: ClassVar[Fault] = Fault.UNBOUNDED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term that is driven down."""
        stretch = case.stretches[0]
        for one in stretch.of_kind(Kind.TERM, Kind.TOTAL):
            total_too = one.kind == Kind.TOTAL and any(_driven(other) for other in stretch.terms)
            if not total_too and known_weight(case, one.name) != 0.0 and _driven(one):
                yield _finding(case, one)


def _quarters(one: Trace) -> list[float]:
    return [float(np.mean(part)) for part in np.array_split(one.mid, 4)]


def _driven(one: Trace) -> bool:
    if len(one) < 20:
        return False
    q1, q2, q3, q4 = _quarters(one)
    drops = (q1 - q2, q2 - q3, q3 - q4)
    if min(drops) <= 0 or q4 >= 0:
        return False
    faster = drops[2] >= ACCELERATES * drops[1] and drops[1] >= drops[0]
    return faster and abs(one.end) > FAR * abs(one.opening) and drops[2] > 3 * one.scatter


def _sure(role: str, one: Trace) -> bool:
    """True for what must not fall without end, and for an adversary that has left every scale."""
    if role != "adversary":
        return role in ("task", "regulariser")
    q1, _, q3, q4 = _quarters(one)
    return q4 < -CRITIC * max(abs(q1), abs(one.opening)) and q4 < 2 * q3


def _finding(case: Case, one: Trace) -> Finding:
    quarters = _quarters(one)
    drops = -np.diff(quarters)
    role = role_of(case, one.name)
    return Finding(
        rule=DrivenDown.name,
        fault=Fault.UNBOUNDED,
        severity=Severity.WARNING if _sure(role, one) else Severity.NOTE,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' falls from {number(one.opening)} to {number(one.end)} and faster in "
        f"every quarter; {gradient_of(case, one.name)}",
        evidence=(
            Evidence(
                text=f"means of the quarters {', '.join(number(one) for one in quarters)}: the "
                f"last drop is {multiple(float(drops[2] / drops[1]))} times the one before",
                series=one.name,
                steps=one.steps,
                value=float(drops[2] / drops[1]),
                threshold=ACCELERATES,
            ),
        ),
        caused_by=("beyond-precision",),
        cause="The term can be lowered without limit. Expected if it is an adversary's loss, an "
        "actor's loss that follows growing returns, or a likelihood that is about to slow down.",
        action=f"Give '{one.name}' a floor: a hinge, a clamp on the log-variance, a normalised "
        "input.",
        verify=f"for s in (1, 10, 100): print({python_name(one.name)}(s * outputs))  # "
        "keeps falling: "
        "no bound",
    )


@final
class FallsUndiminished:
    """A negative term falls on and on while its gradient does not get smaller.

    What has a lower bound slows down in front of it, and its gradient shrinks. A margin that is
    subtracted without a hinge, a distance that is maximised or a linear score does neither, so the
    optimizer follows it for ever and everything else pays for it.

    Statistic: means of the block medians in four quarters of the stretch, q1 to q4, and the norm of
    the term's unweighted gradient, at the place where it is kept best (of all gradients where there
    is one term), as a watched run measures them. Thresholds: q4 below zero and 5 times the starting
    level away; every drop at least 0.9 of the one before and the last one above three times the
    scatter; the median gradient norm of the last third of 6 probes or more at least 0.9 of that of
    the first. An adversary or an actor (by name or role) is a note. 0.9 leaves room for noise in a
    straight line.

    Healthy look-alikes: likelihoods, which slow down at the noise of their data, even where their
    gradient grows; a bounded term far from its bound in a short run.
    """

    name: ClassVar[str] = "falls-undiminished"
    fault: ClassVar[Fault] = Fault.UNBOUNDED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MICRO, Need.TERM, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term that `driven-down-without-bound` does not report."""
        for one in case.stretches[0].terms:
            if _driven(one) or not _straight(one) or known_weight(case, one.name) == 0.0:
                continue
            kept = _gradient_kept(case, one.name)
            if kept is not None and kept[0] >= KEPT:
                yield _undiminished(case, one, *kept)


def _straight(one: Trace) -> bool:
    """True if a negative term falls in every quarter hardly less than in the one before."""
    if len(one) < 20:
        return False
    quarters = _quarters(one)
    drops = -np.diff(quarters)
    steady = drops.min() > 0 and bool((drops[1:] >= KEPT * drops[:-1]).all())
    far = quarters[-1] < 0 and abs(one.end) > FAR * abs(one.opening)
    return steady and far and float(drops[-1]) > 3 * one.scatter


def _gradient_kept(case: Case, term: str) -> tuple[float, int, str] | None:
    """Late over early gradient norm of a term, the number of probes and the series.

    The place where it is kept best counts: a layer that saturates on the way hides it from the
    parameters in front. None if there are fewer than 6 measurements at each, or no gradient.
    """
    found: list[tuple[float, int, str]] = []
    for place in places(case, Kind.GRADIENT_NORM_OF_TERM):
        if term in place.names:
            weights = np.abs(weight_at(case, term, place.steps))
            live = weights > 0
            values = place.of(term)[live] / weights[live]
            found += _ratio(values, f"gradient_norm/{term}@{place.where}")
    if len(case.terms) == 1 and "grad_norm" in case.train.series:
        found += _ratio(case.train.series["grad_norm"].values, "grad_norm")
    return max(found, default=None)


def _ratio(values: Floats, series: str) -> list[tuple[float, int, str]]:
    known = finite(values)
    early, late = first_and_last(known, 1 / 3)
    return [(late / early, len(known), series)] if len(known) >= PROBES and early > 0 else []


def _undiminished(case: Case, one: Trace, kept: float, probes: int, series: str) -> Finding:
    quarters = _quarters(one)
    slower = float((quarters[2] - quarters[3]) / (quarters[1] - quarters[2]))
    task = role_of(case, one.name) in ("task", "regulariser")
    return Finding(
        rule=FallsUndiminished.name,
        fault=Fault.UNBOUNDED,
        severity=Severity.WARNING if task else Severity.NOTE,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' falls from {number(one.opening)} to {number(one.end)} without "
        f"slowing down, and its gradient is {multiple(kept)} times what it was",
        evidence=(
            Evidence(
                text=f"means of the quarters {', '.join(number(one) for one in quarters)}: the "
                f"last drop is {multiple(slower)} times the one before",
                series=one.name,
                steps=one.steps,
                value=slower,
                threshold=KEPT,
            ),
            Evidence(
                text=f"gradient norm of the last third over that of the first {number(kept)}, "
                f"{probes} probes",
                series=series,
                steps=one.steps,
                value=kept,
                threshold=KEPT,
            ),
        ),
        cause="The term can be lowered without limit. Expected if it is an adversary's or an "
        "actor's loss, or a likelihood that is still far from the noise of its data.",
        action=f"Give '{one.name}' a floor: a hinge, a normalised input, or a bounded score.",
        verify=f"for s in (1, 10, 100): print({python_name(one.name)}(s * outputs))  # "
        "keeps falling: no bound",
    )


@final
class RunawayValues:
    """A critic's loss grows a hundredfold while the actor's loss falls far below its start.

    The value estimates leave the range for which learning rate and clipping were chosen: they feed
    on themselves, or the rewards are not scaled.

    Statistic: final level over the median of the first records, of a critic's (value) loss and of
    an actor's (policy) loss, told by their names. Thresholds: 100 for the critic, which must not
    come back below half of its highest running median's hundredth; the actor below zero and 30
    times its start in absolute value. A critic whose error keeps its proportion to the values grows
    with their square: 30 times the value makes 1000 times the loss, so 100 is reached even by
    critics that improve relative to their values; the finding says what the logged returns did.

    Healthy look-alikes: returns that grow as much and rewards that are left unscaled on purpose:
    compare the estimates with the returns before acting.
    """

    name: ClassVar[str] = "value-estimates-run-away"
    fault: ClassVar[Fault] = Fault.UNBOUNDED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding."""
        stretch = case.stretches[0]
        critics = [
            one
            for one in stretch.terms
            if {"critic", "qf", "qf1", "value", "vf"} & {*words(one.name)}
        ]
        actors = [one for one in stretch.terms if {"actor", "policy", "pi"} & {*words(one.name)}]
        grown = [one for one in critics if one.positive and _grown(one) > CRITIC]
        fallen = [one for one in actors if one.end < 0 and _grown(one) > ACTOR]
        if grown and fallen:
            yield _runaway(stretch, grown[0], fallen[0])


def _grown(one: Trace) -> float:
    """Final level over the level of the first records, in absolute value; 0.0 from zero."""
    start = abs(one.opening)
    return abs(one.end) / start if len(one) >= 20 and start > 0 else 0.0


def _runaway(stretch: Stretch, critic: Trace, actor: Trace) -> Finding:
    facts = [
        Evidence(
            text=f"'{one.name}' goes from {number(one.opening)} to {number(one.end)}, largest "
            f"{number(float(max(one.high.max(), -one.low.min())))}",
            series=one.name,
            steps=one.steps,
            value=_grown(one),
            threshold=bound,
        )
        for one, bound in ((critic, CRITIC), (actor, ACTOR))
    ]
    facts += [
        Evidence(
            text=f"'{one.name}' goes from {number(one.opening)} to {number(one.end)} meanwhile",
            series=one.name,
            steps=one.steps,
            value=one.end,
        )
        for one in stretch.of_kind(Kind.STATISTIC)
        if {"return", "returns", "rew", "reward"} & {*words(one.name)}
        and "std" not in words(one.name)
    ][:2]
    return Finding(
        rule=RunawayValues.name,
        fault=Fault.UNBOUNDED,
        severity=Severity.WARNING,
        terms=(critic.name, actor.name),
        steps=critic.steps,
        summary=f"'{critic.name}' grows {multiple(_grown(critic))}-fold to {number(critic.end)} "
        f"while '{actor.name}' falls from {number(actor.opening)} to {number(actor.end)}; "
        f"{GRADIENT_UNKNOWN}",
        evidence=tuple(facts),
        cause="Value estimates feed on themselves (overestimation), or rewards are not scaled. "
        "Expected if the logged returns grow as much and rewards are left unscaled on purpose.",
        action="Normalise the rewards (or the returns), so that the value targets keep one scale.",
        verify="print(critic(states).mean(), discounted_returns.mean())  # the first must "
        "not exceed",
    )
