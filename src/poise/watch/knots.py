"""A schedule of weights as a few points, for a record that others read without the function."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

POINTS = 32
"""Intervals that are looked into however straight a schedule seems."""
CLOSE = 0.002
"""Distance from the schedule, relative to its largest weight, that a straight line may have."""
MOST = 1024
"""Points that a schedule is asked for at most."""
CHECKS = 256
"""Further steps at which the points are held against the schedule."""
WRONG = 0.02
"""Part of them that may be off: a weight that is set every hundredth step has as many spikes."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are spread evenly and fall into step with nothing."""

Weight = Callable[[int], float]


def knots(weight: Weight, stop: int) -> list[list[float]] | None:
    """Steps and weights between which straight lines are the schedule, closely enough.

    A jump becomes two neighbouring steps. A function may end before `stop` (a list that it looks
    its weights up in): then so do the points.

    Args:
        weight: Weight at an optimizer step.
        stop: Last step that is asked for.

    Returns:
        Pairs of step and weight; None if `MOST` points do not tell it, as for one that is on at
        every other step.

    Example:
        >>> knots(lambda step: 0.5 if step < 30 else 1.0, 1000)[:4]
        [[0, 0.5], [29, 0.5], [30, 1.0], [1000, 1.0]]
    """
    last = _last(weight, stop)
    if last is None:
        return None
    known = {step: weight(step) for step in {last * at // POINTS for at in range(POINTS + 1)}}
    waiting = list(pairwise(sorted(known)))
    while waiting and len(known) < MOST:
        a, b = waiting.pop()
        middle, beside = (a + b) // 2, a + (b - a) // 4
        if middle > a:
            # A ramp around the middle meets the line there, so a second step is asked for.
            known |= {middle: weight(middle), beside: weight(beside)}
            if not all(_straight(known, a, step, b) for step in (middle, beside)):
                waiting += [(a, middle), (middle, b)]
    found = _thinned(known)
    return None if waiting or not _holds(weight, found) else found


def _last(weight: Weight, stop: int) -> int | None:
    """The last step up to `stop` that the function answers for; None if not even the first."""
    if _answers(weight, stop):
        return stop
    if not _answers(weight, 0):
        return None
    good, bad = 0, stop
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _answers(weight, middle) else (good, middle)
    return good


def _answers(weight: Weight, step: int) -> bool:
    try:
        weight(step)
    except Exception:  # the training itself has not come there, so it is none of its errors yet
        return False
    return True


def _straight(known: dict[int, float], a: int, middle: int, b: int) -> bool:
    line = known[a] + (known[b] - known[a]) * (middle - a) / (b - a)
    return abs(known[middle] - line) <= CLOSE * max(map(abs, known.values()))


def _holds(weight: Weight, found: list[list[float]]) -> bool:
    """Do the points tell the schedule between them too, where no interval was looked into?"""
    steps, weights = [one[0] for one in found], [one[1] for one in found]
    asked = sorted({int(k * GOLDEN % 1 * (steps[-1] + 1)) for k in range(1, CHECKS + 1)})
    line: list[float] = np.interp(asked, steps, weights).tolist()
    close = 2 * CLOSE * max(map(abs, weights))
    wrong = sum(abs(one - weight(at)) > close for at, one in zip(asked, line, strict=True))
    return wrong <= WRONG * len(asked)


def _thinned(known: dict[int, float]) -> list[list[float]]:
    """Without the points that lie on the line between their neighbours, to the last bit."""
    found: list[list[float]] = []
    for step in sorted(known):
        while len(found) > 1 and _on_line(found[-2], found[-1], [step, known[step]]):
            found.pop()
        found.append([step, known[step]])
    return found


def _on_line(a: list[float], middle: list[float], b: list[float]) -> bool:
    return (middle[1] - a[1]) * (b[0] - a[0]) == (b[1] - a[1]) * (middle[0] - a[0])
