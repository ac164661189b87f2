"""A term that should count owns almost none of the value."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import family, role_of
from poise.doctor.probes import HALVED, LAG
from poise.doctor.proofs import alone
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.doctor.shares import GRADIENT_UNKNOWN, Shares, known_weight, value_shares
from poise.doctor.trace import Stretch, Trace

SHARE = 0.01
"""Value share below which a term hardly changes the total."""
WEIGHT = 0.01
"""Weight, relative to the largest, from which a term that learns nothing is called starved."""
STALLED = 0.1
"""A term that loses less than this over the run, or over its second half, does not fall."""
STILL = 0.03
"""A term that lost less than this of its starting value has not been learned."""
MOVED = 0.3
"""A term that lost this part of its starting value shows that the training works."""
RECORDS = 8
"""Records from which progress is judged."""


@final
class ValueStarvation:
    """A term holds almost nothing of the loss value and is not learned, while others are.

    Its share of the update is then likely to be as small, at least at shared parameters (Adam
    hides the scale of a term for the parameters that this term owns alone).

    Statistic: value share of the term (0.9-quantile over the records) and how far it fell from its
    start. Thresholds: share below 0.01 steadily, less than 10% down or stalled (less than 10% over
    the second half) before it has halved, and less than a third of the other terms' median fall in
    the logarithm; or a weight at most 0.01 of the largest weight and a fall of less than 3%. In
    both cases another term must have fallen by 30%. A share of 0.01 is where starved terms stopped
    learning in measured trainings, 3% and 30% are the plateau test of those trainings. With unknown
    weights, for penalties and adversaries, or if nothing else learns either, it is a note.

    Healthy look-alikes: a regulariser or an entropy bonus, a term that starts converged or late, a
    small auxiliary that learns well all the same.
    """

    name: ClassVar[str] = "value-starvation"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every family of starved terms, the smallest share first."""
        stretch = case.stretches[0]
        shares = None if case.gradients_known else value_shares(case, stretch)
        if shares is None or len(shares.number) < RECORDS:
            return
        seen: set[str] = set()
        for name in sorted(shares.names, key=shares.of):
            one, key = stretch.traces[name], family(name)
            why = _why(case, stretch, shares, one)
            if why and key not in seen:
                seen.add(key)
                yield _finding(case, stretch, shares, one, why)


def _movers(stretch: Stretch, shares: Shares, one: Trace) -> list[Trace]:
    """The other terms that have clearly been learned."""
    traces = [stretch.traces[name] for name in shares.names if name != one.name]
    return [other for other in traces if other.fall > MOVED]


def _why(case: Case, stretch: Stretch, shares: Shares, one: Trace) -> str:
    """Why a term counts as starved, in words; empty if it does not."""
    rises = one.end > (1 + MOVED) * one.start
    if rises or not np.isfinite(one.fall) or len(one) < len(shares.number) / 2:
        return ""
    column = shares.values[:, shares.names.index(one.name)]
    high = float(np.quantile(column, 0.9))
    if high < SHARE and _unlearned(one) and _behind(stretch, shares, one):
        return f"its value share stays below {number(high)}"
    weight = _relative_weight(case, shares, one.name)
    if weight <= WEIGHT and one.fall < STILL and _movers(stretch, shares, one):
        return f"its weight is {number(weight)} of the largest"
    return ""


def _unlearned(one: Trace) -> bool:
    """True if a term has hardly moved, or has stalled above half of its start."""
    middle = float(np.median(one.mid[int(0.45 * len(one)) : int(0.55 * len(one)) + 1]))
    stalled = one.end > (1 - STALLED) * middle
    return one.fall < STALLED or (one.fall < HALVED and stalled)


def _behind(stretch: Stretch, shares: Shares, one: Trace) -> bool:
    """True if the terms that are learned fell much further, or if there are none to compare."""
    movers = _movers(stretch, shares, one)
    if not movers:
        return True
    paces = [-np.log(max(1 - other.fall, 1e-12)) for other in movers]
    return bool(-np.log(1 - one.fall) < LAG * np.median(paces))


def _relative_weight(case: Case, shares: Shares, name: str) -> float:
    """Weight of a term over the largest one; infinity if a weight is unknown."""
    weights = {one: known_weight(case, one) for one in shares.names}
    known = {one: abs(weight) for one, weight in weights.items() if weight is not None}
    if len(known) < len(weights) or not any(known.values()):
        return float("inf")
    return known[name] / max(known.values())


def _finding(case: Case, stretch: Stretch, shares: Shares, one: Trace, why: str) -> Finding:
    movers = _movers(stretch, shares, one)
    role = role_of(case, one.name)
    sure = shares.known and role == "task" and bool(movers)
    level = number(one.start), number(one.end)
    facts = [
        Evidence(
            text=f"'{one.name}' goes from {level[0]} to {level[1]}, {one.fall:.1%} down",
            series=one.name,
            steps=one.steps,
            value=one.fall,
            threshold=HALVED if one.fall >= STILL else STILL,
        ),
        Evidence(
            text=f"median value share {number(shares.of(one.name))}",
            series=one.name,
            steps=one.steps,
            value=shares.of(one.name),
            threshold=SHARE,
        ),
    ]
    facts += [
        Evidence(
            text=f"'{other.name}' falls by {other.fall:.0%} meanwhile",
            series=other.name,
            steps=other.steps,
            value=other.fall,
            threshold=MOVED,
        )
        for other in movers[:3]
    ]
    return Finding(
        rule=ValueStarvation.name,
        fault=Fault.STARVATION,
        severity=Severity.WARNING if sure else Severity.NOTE,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' is hardly learned ({level[0]} -> {level[1]}) and {why} of the loss "
        f"value; {GRADIENT_UNKNOWN}".replace("largest of the loss value", "largest"),
        evidence=tuple(facts),
        cause="Its weight or unit makes it too small to move the shared parameters. Expected if it "
        "is a penalty or bonus by design, or was converged from the start.",
        action=f"Measure the gradient share of '{one.name}' with poise.Watch; raise its weight "
        "until that share is at least 0.05, or give its head an optimizer group of its own.",
        verify=alone(one.name, "falls: it was starved; stays: look at its targets"),
        caused_by=(
            "normaliser-starves-gradient",
            "value-normaliser",
            "value-dominance",
        ),
    )
