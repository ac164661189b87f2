"""Robust statistics on short arrays: medians instead of means, ranks instead of values.

All functions are pure. Those that compare every pair of values expect at most a few hundred of
them: give them block medians (`block_medians`), not a million steps.
"""

from typing import NamedTuple

import numpy as np

from poise.run import Floats, Ints

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation times this is the standard deviation of a normal distribution."""


class Blocks(NamedTuple):
    """A long array in blocks of equal numbers of rows; blocks without a finite value are left out.

    Attributes:
        number: Which block, strictly increasing, shape (b,).
        mid: Median of its finite values, shape (b,).
        low: Their minimum, shape (b,).
        high: Their maximum, shape (b,).
    """

    number: Ints
    mid: Floats
    low: Floats
    high: Floats


class Step(NamedTuple):
    """A change of level.

    Attributes:
        at: Index of the first value of the new level.
        before: Level before.
        after: Level after.
        noise: Scatter of the values around both levels, as a standard deviation.
    """

    at: int
    before: float
    after: float
    noise: float


class Line(NamedTuple):
    """A least-squares line: its slope and the share of the variance that it explains."""

    slope: float
    r2: float


def median_mad(values: Floats) -> tuple[float, float]:
    """Median and scatter of the finite values.

    The scatter is the median absolute deviation, scaled so that it estimates a standard deviation.

    Returns:
        Median and scatter; both NaN if no value is finite.

    Example:
        >>> median_mad(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))
        (3.0, 1.4826)
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    middle = float(np.median(finite))
    return middle, MAD_TO_SIGMA * float(np.median(np.abs(finite - middle)))


def block_medians(rows: Ints, values: Floats, width: int) -> Blocks:
    """Median, minimum and maximum over blocks of `width` rows; non-finite values do not count.

    Args:
        rows: Row of every value from the first row of block 0, strictly increasing, shape (n,).
        values: Shape (n,).
        width: Rows of one block, at least 1.

    Example:
        >>> block_medians(np.arange(5), np.array([1.0, 2.0, 9.0, 4.0, np.nan]), 3).mid
        array([2., 4.])
    """
    finite = np.isfinite(values)
    if not finite.all():
        rows, values = rows[finite], values[finite]
    if width == 1 or not len(values):
        return Blocks(rows, values, values, values)
    whole = len(rows) // width if len(rows) and rows[-1] == len(rows) - 1 else 0
    parts = [_even_blocks(values[: whole * width].reshape(whole, width))] if whole else []
    if whole * width < len(rows):
        rest = slice(whole * width, None)
        parts.append(_uneven_blocks(rows[rest] // width, values[rest]))
    return Blocks(*(np.concatenate(one) for one in zip(*parts, strict=True)))


def _even_blocks(grid: Floats) -> Blocks:
    number = np.arange(len(grid))
    return Blocks(number, np.median(grid, axis=1), grid.min(axis=1), grid.max(axis=1))


def _uneven_blocks(block: Ints, values: Floats) -> Blocks:
    """Blocks of any sizes: sorted by value inside each block, so that medians are look-ups."""
    number, first, size = np.unique(block, return_index=True, return_counts=True)
    ordered = values[np.lexsort((values, block))]
    middle = (ordered[first + (size - 1) // 2] + ordered[first + size // 2]) / 2
    return Blocks(number, middle, ordered[first], ordered[first + size - 1])


def ends(values: Floats, share: float = 0.1) -> tuple[float, float]:
    """Level at the beginning and at the end: medians of the first and last `share` of the values.

    Each is taken over at least one and, where there are as many, three values.

    Example:
        >>> ends(np.arange(100.0))
        (4.5, 94.5)
    """
    n = max(min(3, len(values)), int(len(values) * share))
    return float(np.median(values[:n])), float(np.median(values[-n:]))


def smooth(values: Floats, window: int) -> Floats:
    """Running median over `window` values; the ends keep the median of the nearest full window.

    Args:
        values: Shape (n,), n at least 1.
        window: Rounded up to an odd number and never more than n.

    Example:
        >>> smooth(np.array([1.0, 9.0, 1.0, 1.0, 5.0, 5.0, 5.0]), 3)
        array([1., 1., 1., 1., 5., 5., 5.])
    """
    window = min(window | 1, len(values) - 1 | 1)
    if window <= 1 or window > len(values):
        return values.copy()
    inner = np.median(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    return np.pad(inner, window // 2, mode="edge")


def trend(values: Floats) -> float:
    """Mann-Kendall test of a monotone trend, as a standard normal score; positive means rising.

    Args:
        values: Shape (n,), at most a few hundred: every pair is compared.

    Returns:
        The score, corrected for ties; 0.0 for fewer than 4 values or if all are equal.

    Example:
        >>> trend(np.arange(20.0)) > 6 and trend(-np.arange(20.0)) < -6
        True
    """
    n = len(values)
    if n < 4:
        return 0.0
    upper = np.triu_indices(n, 1)
    rises = float(np.sign(values[None, :] - values[:, None])[upper].sum())
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    spread = n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())
    if spread <= 0 or rises == 0:
        return 0.0
    nearer = rises - 1 if rises > 0 else rises + 1  # continuity correction
    return nearer / (spread / 18.0) ** 0.5


def thin(values: Floats, at_most: int = 200) -> Floats:
    """Medians of at most `at_most` blocks of equal length: what pairwise statistics can afford.

    Example:
        >>> thin(np.arange(6.0), 3)
        array([0.5, 2.5, 4.5])
    """
    width = -(-len(values) // at_most)
    return block_medians(np.arange(len(values)), values, max(1, width)).mid


def level_steps(values: Floats, window: int, *, sigmas: float = 4.0) -> list[Step]:
    """Persistent changes of level that happen between two neighbouring values.

    A step is where the medians of the `window` values before and after differ by more than `sigmas`
    times the scatter around them and 8 times the usual change between two windows, and where the
    three values on either side already show most of the difference: ramps and isolated spikes are
    no steps.

    Args:
        values: Finite values, shape (n,).
        window: Values on either side that must hold the level, at least 3.
        sigmas: How many standard deviations of the scatter a step must exceed.

    Returns:
        Steps in order, at least `window // 2` values apart.

    Example:
        >>> [one.at for one in level_steps(np.repeat([1.0, 5.0], 20), 5)]
        [20]
    """
    if len(values) < 2 * window:
        return []
    views = np.lib.stride_tricks.sliding_window_view(values, window)
    middles = np.median(views, axis=1)
    scatter = MAD_TO_SIGMA * np.median(np.abs(views - middles[:, None]), axis=1)
    before, after = middles[:-window], middles[window:]
    around = np.maximum(scatter[:-window], scatter[window:])
    near = np.median(np.lib.stride_tricks.sliding_window_view(values, 3), axis=1)
    at = np.arange(window, window + len(before))
    sharp = near[at] - near[at - 3]
    size = after - before
    typical = median_mad(size)[1]
    # The scatter of a quantised or constant stretch is zero: rounding must not look like a step.
    floor = np.maximum(np.maximum(sigmas * around, 8 * typical), 1e-9 * np.abs(before))
    found = (np.abs(size) > floor) & (sharp * np.sign(size) > 0.6 * np.abs(size))
    return _strongest(
        [Step(int(at[i]), float(before[i]), float(after[i]), float(around[i]))
         for i in np.flatnonzero(found)],
        values,
        max(1, window // 2),
    )  # fmt: skip


def _strongest(steps: list[Step], values: Floats, apart: int) -> list[Step]:
    """One step of each cluster of neighbours: where the values themselves change most."""
    kept: list[Step] = []
    for one in steps:
        if not kept or one.at - kept[-1].at > apart:
            kept.append(one)
        elif _edge(values, one) > _edge(values, kept[-1]):
            kept[-1] = one
    return kept


def _edge(values: Floats, step: Step) -> float:
    sharp = values[step.at] - values[step.at - 1]
    return float(sharp * np.sign(step.after - step.before))


def spikes(values: Floats, window: int, *, ratio: float, sigmas: float) -> Ints:
    """Indices of values far above the running median of their surroundings.

    Args:
        values: Finite values, shape (n,).
        window: Length of the running median.
        ratio: Least factor above the surroundings, for surroundings above zero; below and at zero
            only the scatter decides.
        sigmas: Least distance, in standard deviations of the scatter around the running median.

    Example:
        >>> spikes(np.array([1.0, 1.1, 1.0, 50.0, 1.1, 1.0, 1.1]), 5, ratio=10, sigmas=10)
        array([3])
    """
    if len(values) < window:
        return np.empty(0, np.int64)
    around = smooth(values, window)
    scatter = median_mad(values - around)[1]
    far = values - around > sigmas * max(scatter, 1e-9 * float(np.median(np.abs(values))))
    return np.flatnonzero(far & ((around <= 0) | (values > ratio * around)))


def line(x: Floats, y: Floats) -> Line:
    """Least-squares slope of y over x and its R².

    Returns:
        Slope and R², both 0.0 if x or y does not vary.

    Example:
        >>> line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
        Line(slope=2.0, r2=1.0)
    """
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if xx == 0 or yy == 0:
        return Line(0.0, 0.0)
    return Line(xy / xx, xy * xy / (xx * yy))
