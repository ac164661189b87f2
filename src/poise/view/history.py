"""One growing series in bounded memory, and its picture in one line."""

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

BINS = 128
"""A history keeps between this many and twice as many means."""
RECENT = 20
"""Records over which a recent value is taken."""
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=+*#@"
"""The same eight heights where the terminal has no block characters."""
BAD = "!"
"""Stands where a value is not finite."""


class History:
    """Means over stretches of equal length that double whenever there are too many of them.

    Example:
        >>> one = History()
        >>> for value in range(1000):
        ...     one.add(float(value))
        >>> len(one.means) <= 2 * BINS, one.recent, one.last
        (True, 989.5, 999.0)
    """

    def __init__(self) -> None:
        self.means: list[float] = []
        self.last = math.nan
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._stride = 1
        self._open: list[float] = []

    def add(self, value: float) -> None:
        """Takes the next value, which may be NaN or infinite."""
        self.last = value
        self._recent.append(value)
        self._open.append(value)
        if len(self._open) == self._stride:
            self.means.append(_mean(self._open))
            self._open.clear()
        if len(self.means) == 2 * BINS:
            self.means = [_mean(self.means[at : at + 2]) for at in range(0, 2 * BINS, 2)]
            self._stride *= 2

    @property
    def recent(self) -> float:
        """Mean of the last `RECENT` values; not finite if one of them is not."""
        return _mean(self._recent) if self._recent else math.nan


def sparkline(values: Sequence[float], cells: int, heights: str = BLOCKS) -> str:
    """Values from the first to the last in at most `cells` characters, lowest to highest.

    Example:
        >>> sparkline([3.0, 2.0, 1.0, float("nan")], 8)
        '█▅▁!'
        >>> sparkline([0.0, 0.0, 4.0, 4.0], 2, ASCII)
        '_@'
    """
    count = min(len(values), cells)
    edges = [len(values) * at // count for at in range(count + 1)] if count else []
    means = [_mean(values[a:b]) for a, b in pairwise(edges)]
    finite = [one for one in means if math.isfinite(one)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    top = len(heights) - 1

    def height(value: float) -> str:
        if not math.isfinite(value):
            return BAD
        if high == low:
            return heights[0]
        # Of halves: the difference of two finite numbers may overflow.
        return heights[round(top * ((value / 2 - low / 2) / (high / 2 - low / 2)))]

    return "".join(map(height, means))


def _mean(values: Sequence[float] | deque[float]) -> float:
    return sum(one / len(values) for one in values)
