"""How far two seeds of one training can differ: what runs show of it, and what seeds measure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from poise.comparing.course import WINDOW, Course
from poise.comparing.resample import standard_error
from poise.run import Floats

SEEN = 8
"""Values from which a window shows the scatter of batches."""
ERROR = 0.05
"""Chance to call any of the quantities changed where none is."""


class Relation(NamedTuple):
    """What a run shows of itself, and the standard deviation between seeds that goes with it.

    The defaults were fitted by `benchmarks/calibrate.py` and rounded, `least` upwards: it hardly
    matters there.

    Attributes:
        moved: Standard deviations in the change of the mean over the last quarter.
        batch: The same in the scatter that one update's batch makes.
        least: Least standard deviation, as a share of the level.
        smooth: The same where no single batches are seen: evaluations, epochs, a handful of values.
        most: Largest standard deviation, as a share of the level of a quantity that is positive.
        freedom: How many measured seeds the relation is worth.
    """

    moved: float = 1.5
    batch: float = 0.8
    least: float = 0.02
    smooth: float = 0.11
    most: float = 0.27
    freedom: float = 4.0


FITTED = Relation()


class Shown(NamedTuple):
    """What one run shows of a quantity.

    Attributes:
        mean: Mean over the window.
        error: Its standard error from the noise within the window.
        moved: Size of the change from the window before it.
        batch: Scatter of the values of single updates; NaN where none are seen.
        positive: True if no value is negative.
    """

    mean: float
    error: float
    moved: float
    batch: float
    positive: bool


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
    runs = [shown(one, end) for one in courses]
    return Side(
        means=np.array([one.mean for one in runs]),
        noise=float(np.sqrt(sum(one.error**2 for one in runs))) / len(runs),
        allowed=np.array([allowance(one) for one in runs]),
    )


def shown(course: Course, end: float) -> Shown:
    """What one run shows of a quantity over the window that ends at a position."""
    inside = course.until(end)
    window = _finite(course.values[inside])
    mean, error = float(window.mean()), standard_error(window)
    batch = float("nan")
    if course.updates and len(window) >= SEEN:
        # What an average over n updates has lost of the scatter of one comes back by sqrt(n).
        count = int(course.steps[inside][-1] - course.steps[inside][0]) + 1
        batch = error * count**0.5
    return Shown(
        mean=mean,
        error=error,
        moved=abs(mean - _mean_before(course, end)),
        batch=batch,
        positive=bool((_finite(course.values) >= 0).all()),
    )


def allowance(run: Shown, by: Relation = FITTED) -> float:
    """The standard deviation between seeds that one run of a training lets expect.

    One run does not show what another seed would do, but trainings have in common what their seeds
    differ by: a run that still moves may be ahead or behind, one whose batches differ much has
    data of which another draw differs much, and a share of the level. `benchmarks/compare.py`
    measures on other trainings than the fitted ones how often that is wrong.

    Example:
        >>> allowance(Shown(mean=2.0, error=0.0, moved=0.0, batch=0.0, positive=True))
        0.04
    """
    level = abs(run.mean)
    if math.isnan(run.batch):
        found = math.hypot(by.moved * run.moved, by.smooth * level)
    else:
        found = max(math.hypot(by.moved * run.moved, by.batch * run.batch), by.least * level)
    if run.positive:
        found = min(found, by.most * level)
    return math.hypot(found, run.error)


def _mean_before(course: Course, end: float) -> float:
    """Mean over the window before the last one."""
    values = _finite(course.values[course.until(end - WINDOW * (end - float(course.at[0])))])
    return float(values.mean()) if len(values) else float("nan")


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def difference(before: Side, after: Side, tests: int, by: Relation = FITTED) -> Difference:
    r"""Difference of two sides with a 95% interval that holds for all quantities together.

    Seeds of a side measure their spread; three of them measure it badly. So their variance is
    moderated (Smyth, 2004, Statistical Applications in Genetics and Molecular Biology 3): it is
    averaged with what the runs let expect, which counts as four seeds more, and Student's
    t has the degrees of freedom of both. Had the change no effect, both sides would have one
    spread: what they let expect is averaged too, as estimates that err by a factor are, in the
    logarithm. One run a side rests on the expectation alone.

    Args:
        before: Window means of the runs before.
        after: Of the runs after.
        tests: How many quantities are judged together (Bonferroni).
        by: What a run's own behaviour says of other seeds.

    Example:
        >>> one, two = (Side(np.array([mean]), 0.01, np.array([0.1])) for mean in (2.0, 2.1))
        >>> found = difference(one, two, 1)
        >>> abs(found.value) < found.half
        True
    """
    sizes = len(before.means), len(after.means)
    expected = _common(np.concatenate([before.allowed, after.allowed]) ** 2)
    squares = sum(float(((one.means - one.mean) ** 2).sum()) for one in (before, after))
    freedom = by.freedom + sum(sizes) - 2
    variance = (by.freedom * expected + squares) / freedom
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
