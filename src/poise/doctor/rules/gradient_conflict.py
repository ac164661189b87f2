"""Gradients of two tasks that oppose each other, all the time or for a stretch."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.intervals import Interval, mean_interval, path_interval
from poise.doctor.probes import (
    HALVED,
    STEADY,
    WINDOW,
    fallen,
    series_at,
    shares,
    weight_at,
    windows,
)
from poise.doctor.proofs import alone
from poise.doctor.rule import Need
from poise.doctor.series import number, steps_between
from poise.run import Floats, Ints, Kind, Series

OPPOSED = -0.3
"""Cosine that every window and the interval of the mean must stay below."""
LEARNS = 0.1
"""Part of its start that a term must have lost to count as learning."""
ACTS = 0.05
"""Share of the gradient below which a term is too weak to hold another one back."""
PART = 0.1
"""Part of the records that a conflict must cover to be told of."""


@final
class GradientConflict:
    """The gradients of two terms point against each other, batch after batch.

    What one gains the other loses. A single negative cosine says nothing: healthy pairs have one in
    most batches.

    Statistic: cosine of the two gradients of the same batch, probe by probe: its mean in each
    window of 10 probes, and the 95% interval of its mean over all probes, which knows that
    neighbouring probes resemble each other. Thresholds: every window below -0.3, 2 windows at
    least, and the upper end of the interval below -0.3. A warning if one of the two has lost less
    than 10% of its start; else, or with a regulariser or constraint, a note.

    A conflict may be strong while one of the two is learned and fade when there is nothing left to
    oppose. So any 10 probes in a row that cover a tenth of the training (more where probes are
    dense) are judged by themselves too: opposed if the 95% interval of their mean cosine lies below
    -0.3, and so do the first and the last of them. This interval is of the noise of batches around
    a cosine that may drift. Told is the most opposed stretch by the end of which one of the two has
    lost less than 10% of its start and the other more, if the first never halves and both have at
    least 5% of the gradient and steady weights: a note, because the most opposed of many stretches
    is more opposed than chance leaves a single one, and neighbouring probes resemble each other.

    It misleads where batches are small. The noise that two terms share in a batch has a cosine of
    its own, which is all that is left once both have converged (hence the note); noise they do not
    share hides a conflict of their mean gradients. Larger batches tell.

    Healthy look-alikes: adversaries and gradient reversal (not judged, by declared role or name),
    regularisers, tasks that both learn all the same (a note, or nothing in a stretch), chance
    (the interval), weights on a ramp.
    """

    name: ClassVar[str] = "gradient-conflict"
    fault: ClassVar[Fault] = Fault.CONFLICT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COSINES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every pair that is opposed, at the place that says most."""
        told: set[tuple[str, str]] = set()
        for pair, one in _pairs(case, 2 * WINDOW).items():
            means = _means(one.values)
            found = mean_interval(one.values)
            if max(means) < OPPOSED and found.high < OPPOSED:
                told.add(pair)
                yield self._finding(case, one, pair, found, max(means))
        for pair, one in _pairs(case, WINDOW).items():
            found = None if pair in told else _held_back(case, one, pair)
            if found is not None:
                yield self._for_a_while(case, one, pair, *found)

    def _finding(
        self, case: Case, one: Series, pair: tuple[str, str], found: Interval, window: float
    ) -> Finding:
        roles = {role_of(case, name) for name in pair}
        lost = {name: fallen(case, name) for name in pair}
        behind = [name for name, part in lost.items() if part is not None and part < LEARNS]
        sure = roles == {"task"} and bool(behind)
        steps = _steps(case, one)
        first, second = sorted(pair, key=lambda name: name not in behind)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if sure else Severity.NOTE,
            terms=(first, second),
            steps=steps_between(steps),
            summary=f"the gradients of '{first}' and '{second}' oppose each other: cosine "
            f"{number(found.mean)}, 95% interval {number(found.low)} to {number(found.high)}, over "
            f"{len(one)} probes" + (f"; '{first}' hardly falls" if sure else ""),
            evidence=(
                Evidence(
                    text=f"cosine of gradients of the same batch: {found}; the mean of every "
                    f"window of {WINDOW} is at most {number(window)}",
                    series=one.name,
                    steps=steps_between(steps),
                    value=found.high,
                    threshold=OPPOSED,
                ),
            ),
            cause="They ask the same parameters for opposite things. Expected between a fit and "
            "its penalty, and for adversarial terms (declare the role).",
            action=f"Give '{first}' parameters of its own, or project the conflict away "
            "(torchjd); if one of the two is a penalty, declare its role.",
            verify=alone(first, f"falls at once: '{second}' held it back"),
            caused_by=("gradient-dominance",),
        )

    def _for_a_while(
        self, case: Case, one: Series, pair: tuple[str, str], behind: str, part: slice
    ) -> Finding:
        steps = steps_between(_steps(case, one)[part])
        found = path_interval(one.values[part])
        other = pair[pair[0] == behind]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(behind, other),
            steps=steps,
            summary=f"the gradients of '{behind}' and '{other}' oppose each other from step "
            f"{steps[0]} to {steps[1]}: cosine {number(found.mean)}, 95% interval "
            f"{number(found.low)} to {number(found.high)}, over {found.size} probes; "
            f"'{other}' falls, '{behind}' does not",
            evidence=(
                Evidence(
                    text=f"cosine of gradients of the same batch: mean {number(found.mean)}, 95% "
                    f"interval {number(found.low)} to {number(found.high)}, n={found.size}",
                    series=one.name,
                    steps=steps,
                    value=found.high,
                    threshold=OPPOSED,
                ),
            ),
            cause="They ask the same parameters for opposite things until one has won. Expected "
            "for adversarial terms (declare the role), and where one is to be learned later.",
            action=f"Look for a sign that is turned in '{behind}' (a reversal, a minus, a flipped "
            "target); else give it parameters of its own, or project the conflict away (torchjd).",
            verify=alone(behind, f"falls at once: '{other}' held it back"),
            caused_by=("gradient-dominance",),
        )


def _near(one: Series) -> int:
    """Order of places: all shared parameters say most, the last tensor before them least."""
    return 2 if one.name.endswith("@edge") else int("@" in one.name)


def _pair(case: Case, one: Series) -> tuple[str, str] | None:
    """The two terms of a cosine that are both to be minimised; None for all others."""
    first = one.of or ""
    rest = one.name.removeprefix(f"cosine/{first}/").partition("@")[0]
    if rest not in {term.name for term in case.terms}:
        return None
    swings = {"adversary", "monitor", "reinforcement"}
    return None if swings & {role_of(case, first), role_of(case, rest)} else (first, rest)


def _pairs(case: Case, fewest: int) -> dict[tuple[str, str], Series]:
    """The cosines of every pair at the place that says most and was probed often enough."""
    seen: dict[tuple[str, str], Series] = {}
    for one in sorted(series_at(case, Kind.COSINE), key=_near):
        pair = _pair(case, one)
        if pair is not None and len(one) >= fewest and np.isfinite(one.values).all():
            seen.setdefault(pair, one)
    return seen


def _held_back(case: Case, one: Series, pair: tuple[str, str]) -> tuple[str, slice] | None:
    """The term that does not learn during the most opposed stretch of probes, and those probes."""
    steps = _steps(case, one)
    for part in _opposed(case, one, steps):
        lost = {name: _lost_by(case, name, int(steps[part][-1])) for name in pair}
        behind = [name for name, gone in lost.items() if gone < LEARNS and not _learned(case, name)]
        acting = all(_acts(case, name, steps[part]) for name in pair)
        if acting and len(behind) == 1 and max(lost.values()) > LEARNS:
            return behind[0], part
    return None


def _opposed(case: Case, one: Series, steps: Ints) -> list[slice]:
    """Stretches of probes that are opposed and long enough, the most opposed first.

    Each begins and ends with an opposed probe, so that the steps in between belong to it.
    """
    size = max(WINDOW, int(np.ceil(PART * len(one))) + 1)
    ends = one.values < OPPOSED
    found: list[tuple[float, slice]] = []
    for at in range(len(one) - size + 1):
        part = slice(at, at + size)
        if ends[at] and ends[at + size - 1] and _long(case, steps[part]):
            found.append((path_interval(one.values[part]).high, part))
    return [part for high, part in sorted(found, key=lambda pair: pair[0]) if high < OPPOSED]


def _long(case: Case, steps: Ints) -> bool:
    known = case.train.steps
    inside = (known >= steps[0]) & (known <= steps[-1])
    return int(inside.sum()) >= PART * len(known)


def _lost_by(case: Case, term: str, step: int) -> float:
    """Share of its start that a term has lost by a step; NaN where that is not known.

    The level by then is the median of the last quarter of its records up to that step.
    """
    trace = case.stretches[0].traces.get(term)
    if trace is None or not trace.positive or trace.start <= 0:
        return float("nan")
    known = trace.mid[trace.last <= step]
    return (
        1 - float(np.median(known[-max(1, len(known) // 4) :])) / trace.start if len(known) else 0
    )


def _learned(case: Case, term: str) -> bool:
    lost = fallen(case, term)
    return lost is None or lost >= HALVED


def _acts(case: Case, term: str, steps: Ints) -> bool:
    """Has a term a steady weight and a share of the gradient over these steps?"""
    weights = np.abs(weight_at(case, term, steps))
    if not weights.max() > 0 or float(np.ptp(weights)) > STEADY * float(weights.max()):
        return False
    place = shares(case)
    if place is None or term not in place.names:
        return True
    there = (place.steps >= steps[0]) & (place.steps <= steps[-1])
    return not there.any() or float(np.median(place.of(term)[there])) >= ACTS


def _means(values: Floats) -> list[float]:
    """Mean of each window."""
    return [float(np.mean(values[one])) for one in windows(len(values))]


def _steps(case: Case, one: Series) -> Ints:
    table = next(table for table in case.run.tables if one.name in table.series)
    return table.steps_of(one)
