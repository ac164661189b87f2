"""How far two seeds of one training can differ: measured, or allowed for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from poise.comparing.course import Course
from poise.comparing.resample import standard_error
from poise.run import Floats

REACH = 0.5
"""Share of the course from which on a run's own movement stands for that of other seeds."""
SHARE = 0.75
"""Share of that movement that is one standard deviation between seeds."""
LOOKS = 16
"""Windows between `REACH` and the end that are looked at."""
LEVEL = 0.05
"""Least standard deviation between seeds, as a share of the level, where it is not measured."""
ERROR = 0.05
"""Chance to call any of the quantities changed where none is."""


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        means: Mean over the window of every run, shape (r,).
        noise: Standard error of their mean from the noise within the runs.
        allowed: Standard deviation between seeds that a run's own movement stands for.
    """

    means: Floats
    noise: float
    allowed: float

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(self.means.mean())


class Difference(NamedTuple):
    """Difference of two sides.

    Attributes:
        value: After minus before.
        half: Half the width of its interval.
        noise: Standard error from the noise within the runs.
        spread: Standard deviation of the difference that stands for other seeds.
        measured: True if the spread was measured between seeds.
    """

    value: float
    half: float
    noise: float
    spread: float
    measured: bool


def side(courses: Sequence[Course], end: float) -> Side:
    """Window means of one side, with what they can differ by."""
    windows = [one.values[one.until(end)] for one in courses]
    windows = [one[np.isfinite(one)] for one in windows]
    errors = np.array([standard_error(one) for one in windows])
    swings = [swing(one, end) for one in courses]
    return Side(
        means=np.array([one.mean() for one in windows]),
        noise=float(np.sqrt((errors**2).sum())) / len(errors),
        allowed=SHARE * float(np.mean(swings)),
    )


def swing(course: Course, end: float) -> float:
    """The most by which a window's mean changed over the second half of the course.

    Each window spans a quarter of the course up to its own end.
    """
    begin = float(course.at[0])
    ends = begin + np.linspace(REACH, 1.0, LOOKS) * (end - begin)
    means = [_mean(course.values[course.until(float(one))]) for one in ends]
    return float(np.nanmax(np.abs(np.array(means) - means[-1]), initial=0.0))


def _mean(values: Floats) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def difference(before: Side, after: Side, tests: int) -> Difference:
    r"""Difference of two sides with a 95% interval that holds for all quantities together.

    With several runs on a side the spread between them is what counts: Welch's t. The noise within
    the runs is part of that spread, and its least value. Where both sides have one run, nothing in
    them shows how another seed would differ. What stands for it is an assumption, stated here: the
    standard deviation between seeds of a run is three quarters of the most by which its window mean
    changed since half of the course, and at least 5% of its level. A run that still falls may be
    ahead or behind by luck; one that stands still differs by its level. `benchmarks/compare.py`
    measures how often that is wrong.

    Args:
        before: Window means of the runs before.
        after: Of the runs after.
        tests: How many quantities are judged together (Bonferroni).

    Example:
        >>> one, two = Side(np.array([2.0]), 0.01, 0.0), Side(np.array([2.1]), 0.01, 0.0)
        >>> found = difference(one, two, 1)
        >>> abs(found.value) < found.half
        True
    """
    value = after.mean - before.mean
    noise = float(np.hypot(before.noise, after.noise))
    level = 1 - ERROR / max(tests, 1) / 2
    if len(before.means) + len(after.means) < 3:
        least = LEVEL * min(abs(before.mean), abs(after.mean))
        spread = float(np.hypot(max(before.allowed, least), max(after.allowed, least)))
        half = float(ndtri(level)) * float(np.hypot(noise, spread))
        return Difference(value, half, noise, spread, False)
    spread, freedom = _welch(before.means, after.means)
    half = float(stdtrit(freedom, level)) * max(spread, noise)
    return Difference(value, half, noise, spread, True)


def _welch(before: Floats, after: Floats) -> tuple[float, float]:
    """Standard error of a difference of means, and its degrees of freedom (Welch, 1947).

    A side of one run borrows the variance of the other one.
    """
    sizes = np.array([len(before), len(after)])
    known = [one for one in (before, after) if len(one) > 1]
    borrowed = float(np.var(known[0], ddof=1))
    both = (before, after)
    variances = np.array([np.var(x, ddof=1) if len(x) > 1 else borrowed for x in both])
    parts = variances / sizes
    total = float(parts.sum())
    if len(known) < len(both):
        return total**0.5, float(len(known[0]) - 1)
    if total <= 0:
        return 0.0, float(sizes.sum() - 2)
    return total**0.5, float(total**2 / (parts**2 / (sizes - 1)).sum())
