"""How far two seeds of one training can differ: what the runs show of it, and what seeds measure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from poise.comparing.course import WINDOW, Course
from poise.comparing.resample import standard_error
from poise.run import Floats

MOVED = 1.4
"""Standard deviations between seeds in the change of the mean over the last quarter."""
BATCH = 0.5
"""The same in the scatter that one update's batch makes."""
LEAST = 0.02
"""Least standard deviation between seeds, as a share of the level."""
SMOOTH = 0.1
"""The same where no single batches are seen: evaluations, epochs, a handful of values."""
MOST = 0.27
"""Largest standard deviation between seeds, as a share of the level of a positive quantity."""
SEEN = 8
"""Values from which a window shows the scatter of batches."""
FREEDOM = 4.0
"""Seeds, less one, that what one pair of runs shows is worth."""
ERROR = 0.05
"""Chance to call any of the quantities changed where none is."""


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        means: Mean over the window of every run, shape (r,).
        noise: Standard error of their mean from the noise within the runs.
        allowed: Standard deviation between seeds that each run lets expect, shape (r,).
    """

    means: Floats
    noise: float
    allowed: Floats

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
        spread: Standard error of the difference from the spread between seeds.
        measured: True if seeds were compared within a side.
    """

    value: float
    half: float
    noise: float
    spread: float
    measured: bool


def side(courses: Sequence[Course], end: float) -> Side:
    """Window means of one side, with what they can differ by."""
    windows = [_finite(one.values[one.until(end)]) for one in courses]
    errors = np.array([standard_error(one) for one in windows])
    return Side(
        means=np.array([one.mean() for one in windows]),
        noise=float(np.sqrt((errors**2).sum())) / len(errors),
        allowed=np.array([allowance(one, end) for one in courses]),
    )


def allowance(course: Course, end: float) -> float:
    """The standard deviation between seeds that one run of a training lets expect.

    One run does not show what another seed would do, but trainings have in common what their seeds
    differ by: a run that still moves may be ahead or behind, one whose batches differ much has
    data of which another draw differs much, and a share of the level. The constants were fitted on
    the trainings that `benchmarks/calibrate.py` names; `benchmarks/compare.py` measures on others
    how often they are wrong.

    Args:
        course: One quantity of one run.
        end: Position at which the window ends.

    Example:
        >>> steps = np.arange(200)
        >>> still = Course(at=steps * 1.0, values=np.full(200, 2.0), steps=steps, updates=True)
        >>> allowance(still, 199.0)
        0.04
    """
    inside = course.until(end)
    window = _finite(course.values[inside])
    level, error = abs(float(window.mean())), standard_error(window)
    moved = MOVED * abs(float(window.mean()) - _mean_before(course, end))
    if course.updates and len(window) >= SEEN:
        # What an average over n updates has lost of the scatter of one comes back by sqrt(n).
        count = int(course.steps[inside][-1] - course.steps[inside][0]) + 1
        found = max(float(np.hypot(moved, BATCH * error * count**0.5)), LEAST * level)
    else:
        found = float(np.hypot(moved, SMOOTH * level))
    if bool((_finite(course.values) >= 0).all()):
        found = min(found, MOST * level)
    return float(np.hypot(found, error))


def _mean_before(course: Course, end: float) -> float:
    """Mean over the window before the last one."""
    values = _finite(course.values[course.until(end - WINDOW * (end - float(course.at[0])))])
    return float(values.mean()) if len(values) else float("nan")


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def difference(before: Side, after: Side, tests: int) -> Difference:
    r"""Difference of two sides with a 95% interval that holds for all quantities together.

    Seeds of a side measure their spread; three of them measure it badly. So their variance is
    moderated (Smyth, 2004, Statistical Applications in Genetics and Molecular Biology 3): it is
    averaged with what the runs let expect, which counts as much as `FREEDOM` seeds, and Student's
    t has the degrees of freedom of both. Had the change no effect, both sides would have one
    spread: what they let expect is averaged too, as estimates that err by a factor are, in the
    logarithm. One run a side rests on the expectation alone.

    Args:
        before: Window means of the runs before.
        after: Of the runs after.
        tests: How many quantities are judged together (Bonferroni).

    Example:
        >>> one, two = (Side(np.array([mean]), 0.01, np.array([0.1])) for mean in (2.0, 2.1))
        >>> found = difference(one, two, 1)
        >>> abs(found.value) < found.half
        True
    """
    sizes = len(before.means), len(after.means)
    expected = _common(np.concatenate([before.allowed, after.allowed]) ** 2)
    squares = sum(float(((one.means - one.mean) ** 2).sum()) for one in (before, after))
    freedom = FREEDOM + sum(sizes) - 2
    variance = (FREEDOM * expected + squares) / freedom
    spread = (variance * (1 / sizes[0] + 1 / sizes[1])) ** 0.5
    level = 1 - ERROR / max(tests, 1) / 2
    return Difference(
        value=after.mean - before.mean,
        half=float(stdtrit(freedom, level)) * spread,
        noise=float(np.hypot(before.noise, after.noise)),
        spread=spread,
        measured=sum(sizes) > 2,
    )


def _common(variances: Floats) -> float:
    """Geometric mean; the plain one if some are zero, of which no factor says how far they err."""
    if bool((variances <= 0).any()):
        return float(variances.mean())
    return float(np.exp(np.log(variances).mean()))
