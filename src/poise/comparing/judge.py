"""What happened to one quantity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from poise.comparing.comparison import Change, Verdict
from poise.comparing.course import FEWEST, Course, Quantity
from poise.comparing.scale import constant_factor, start_factor
from poise.comparing.spread import Difference, Side, difference, side

EXPLAINED = 0.5
"""Share of a logarithmic ratio that the start must account for to be its cause."""
UNCOUNTED = (Verdict.TOO_FEW, Verdict.DIFFERENT_OBJECTIVE)
BEYOND = (
    "more than the noise within the runs, less than another seed may do: "
    "give three seeds a side to tell"
)
SURE = 2.5
"""Standard errors from which a difference is more than the noise within the runs."""
WORDS = {
    True: "the spread between seeds was measured, and averaged with what single runs let expect",
    False: "one run a side: its movement, the scatter of its batches and its level say what "
    "another seed may do",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the statistics say, before it is told."""

    verdict: Verdict
    why: str
    factor: float | None = None


def judge(one: Quantity, tests: int) -> Change:
    """The change of one quantity.

    Args:
        one: The quantity on both sides.
        tests: How many quantities are judged together.
    """
    if (odd := _unjudged(one)) is not None:
        return _change(one, odd, None, None, None)
    before, after = side(one.before, one.end), side(one.after, one.end)
    told = difference(before, after, tests)
    return _change(one, _found(one, before, after, told), before, after, told)


def different(change: Change, why: str) -> Change:
    """The same numbers under the verdict that they cannot be compared."""
    return replace(change, verdict=Verdict.DIFFERENT_OBJECTIVE, counts=False, why=why)


def _unjudged(one: Quantity) -> _Found | None:
    """Where numbers cannot be compared: too few, or none that is finite."""
    every = (*one.before, *one.after)
    if min(len(each.values[each.until(one.end)]) for each in every) < FEWEST:
        return _Found(verdict=Verdict.TOO_FEW, why=f"fewer than {FEWEST} values on a side")
    good = [_all_finite(each, one.end) for each in (one.before, one.after)]
    if all(good):
        return None
    if not any(good):
        return _Found(verdict=Verdict.TOO_FEW, why="no finite values on either side")
    verdict = Verdict.WORSE if good[0] else Verdict.BETTER
    which = "after" if good[0] else "before"
    return _Found(verdict=verdict, why=f"the values {which} are not finite")


def _all_finite(courses: Sequence[Course], end: float) -> bool:
    """True if every run has at least half of its window finite, and enough of it."""
    for one in courses:
        finite = np.isfinite(one.values[one.until(end)])
        if finite.sum() < max(FEWEST, len(finite) / 2):
            return False
    return True


def _found(one: Quantity, before: Side, after: Side, told: Difference) -> _Found:
    if _identical(one):
        return _Found(verdict=Verdict.NO_EFFECT, why="the values are identical, record by record")
    if (by := constant_factor(one)) is not None:
        why = f"x{by:.3g} from the first record to the last: a unit or weight, not learning"
        return _Found(verdict=Verdict.RESCALED, factor=by, why=why)
    said = WORDS[told.measured]
    if abs(told.value) <= told.half:
        seen = not told.measured and abs(told.value) > SURE * told.noise
        return _Found(verdict=Verdict.NO_EFFECT, why=BEYOND if seen else said)
    if (by := start_factor(one)) is not None and _explained(by, before, after):
        why = f"starts at x{by:.3g} before much was learned: another definition, unit or start"
        return _Found(verdict=Verdict.DIFFERENT_OBJECTIVE, why=why)
    if one.sign == 0:
        return _Found(verdict=Verdict.CHANGED, why=f"neither direction is better; {said}")
    better = told.value * one.sign < 0
    return _Found(verdict=Verdict.BETTER if better else Verdict.WORSE, why=said)


def _explained(by: float, before: Side, after: Side) -> bool:
    """True if the start accounts for half or more of the ratio at the end, in the logarithm."""
    return float(np.log(by)) / float(np.log(after.mean / before.mean)) >= EXPLAINED


def _identical(one: Quantity) -> bool:
    return len(one.before) == len(one.after) and all(
        np.array_equal(a.at, b.at) and np.array_equal(a.values, b.values, equal_nan=True)
        for a, b in zip(one.before, one.after, strict=True)
    )


def _change(
    one: Quantity, found: _Found, before: Side | None, after: Side | None, told: Difference | None
) -> Change:
    nothing = float("nan")
    course = one.before[0]
    inside = course.steps[course.until(one.end)]
    low, high = (-np.inf, np.inf)
    if told is not None:
        low, high = told.value - told.half, told.value + told.half
    return Change(
        name=one.name,
        split=one.split,
        kind=one.kind,
        verdict=found.verdict,
        counts=one.sign != 0 and found.verdict not in UNCOUNTED,
        before=nothing if before is None else before.mean,
        after=nothing if after is None else after.mean,
        difference=nothing if told is None else told.value,
        low=float(low),
        high=float(high),
        factor=found.factor,
        steps=(int(inside[0]), int(inside[-1])) if len(inside) else (0, 0),
        noise=nothing if told is None else told.noise,
        spread=nothing if told is None else told.spread,
        why=found.why,
    )
