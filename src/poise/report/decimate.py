"""Fewer points that tell the same story: extremes stay, and so does every non-finite point."""

from dataclasses import dataclass

import numpy as np

from poise.run import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of a series that begins and ends with a non-finite value.

    Attributes:
        first: Step of its first value.
        last: Step of its last value.
        nan: How many of its values are NaN.
        high: How many are +infinity.
        low: How many are -infinity.
    """

    first: int
    last: int
    nan: int
    high: int
    low: int


def decimate(steps: Ints, values: Floats, budget: int) -> tuple[Ints, Floats]:
    """Points of a series that draw like all of them.

    Of every bucket of consecutive finite values the smallest and the largest are kept, and so are
    the first and last value and both ends of every run of equal non-finite values (an inner value
    of such a run is implied by its ends). Where there are more than `budget / 4` runs, neighbouring
    ones are taken together and the ends of these stretches are kept. Order is kept, nothing is
    averaged, and a series that fits comes back as it is.

    Args:
        steps: Position of every value, shape (n,).
        values: Shape (n,).
        budget: At most so many finite points are kept, and half as many non-finite ones; >= 4.

    Returns:
        Steps and values that were kept.

    Example:
        >>> steps, values = decimate(np.arange(1000), np.arange(1000.0) % 10, 6)
        >>> steps, values
        (array([  0,   9, 500, 509, 999]), array([0., 9., 0., 9., 9.]))
    """
    if len(values) <= budget:
        return steps, values
    finite = np.isfinite(values)
    if finite.all():
        kept = _extremes(values, budget)
    else:
        rows = np.flatnonzero(finite)
        firsts, lasts = _stretches(values, max(budget // 4, 1))
        kept = np.unique(np.concatenate((rows[_extremes(values[rows], budget)], firsts, lasts)))
    return steps[kept], values[kept]


def gaps(steps: Ints, values: Floats, limit: int) -> tuple[Gap, ...]:
    """Where a series is not finite: at most `limit` stretches that cover every such value.

    Runs closest to each other (in records) are taken together where there are more; the counts
    are exact all the same.

    Example:
        >>> gaps(np.arange(4), np.array([1.0, np.nan, np.inf, 1.0]), 1)
        (Gap(first=1, last=2, nan=1, high=1, low=0),)
    """
    if np.isfinite(values).all():
        return ()
    firsts, lasts = _stretches(values, limit)
    kinds = np.stack((np.isnan(values), values == np.inf, values == -np.inf))
    sums = np.concatenate((np.zeros((3, 1), np.int64), kinds.cumsum(axis=1)), axis=1)
    counts = sums[:, lasts + 1] - sums[:, firsts]
    return tuple(
        Gap(first=first, last=last, nan=nan, high=high, low=low)
        for first, last, nan, high, low in zip(
            steps[firsts].tolist(), steps[lasts].tolist(), *counts.tolist(), strict=True
        )
    )


def _extremes(values: Floats, budget: int) -> Ints:
    """Indices of the first, the last and every bucket's smallest and largest value, sorted."""
    size = len(values)
    if size <= budget:
        return np.arange(size)
    width = -(-size // max((budget - 2) // 2, 1))
    whole = size // width * width
    starts = np.arange(0, whole, width)
    table = values[:whole].reshape(-1, width)
    kept = [np.array([0, size - 1]), starts + table.argmin(axis=1), starts + table.argmax(axis=1)]
    if whole < size:
        rest = values[whole:]
        kept.append(np.array([whole + int(rest.argmin()), whole + int(rest.argmax())]))
    return np.unique(np.concatenate(kept))


def _stretches(values: Floats, limit: int) -> tuple[Ints, Ints]:
    """First and last index of at most `limit` stretches that cover all non-finite values."""
    kinds = np.isnan(values) + 2 * (values == np.inf) + 3 * (values == -np.inf)
    edges = np.flatnonzero(np.diff(kinds)) + 1
    firsts = np.concatenate((np.zeros(1, np.int64), edges))
    lasts = np.concatenate((edges - 1, np.array([len(values) - 1])))
    bad = kinds[firsts] != 0
    firsts, lasts = firsts[bad], lasts[bad]
    if len(firsts) > limit:
        widest = np.argsort(lasts[:-1] - firsts[1:], kind="stable")[: limit - 1]
        cuts = np.sort(widest)
        firsts = firsts[np.concatenate((np.zeros(1, np.int64), cuts + 1))]
        lasts = lasts[np.concatenate((cuts, np.array([len(lasts) - 1])))]
    return firsts, lasts
