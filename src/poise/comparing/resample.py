"""How sure a mean is: a bootstrap of moving blocks."""

import numpy as np

from poise.doctor.intervals import mean_interval
from poise.run import Floats

RESAMPLES = 400
MOST = 1000
"""Values that are resampled; a longer series is first averaged into so many blocks."""
SEED = 0
"""The same two runs always get the same interval."""


def thinned(values: Floats, most: int = MOST) -> Floats:
    """At most `most` means of neighbouring values; what does not fill the last one is left out.

    Example:
        >>> thinned(np.arange(5.0), 3)
        array([0.5, 2.5])
    """
    width = -(-len(values) // most)
    whole = len(values) // width * width
    return values[:whole].reshape(-1, width).mean(axis=1)


def detrended(values: Floats) -> Floats:
    """What is left beside a least-squares line, shape (n,)."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(x @ values) / max(float(x @ x), 1.0)
    return values - values.mean() - slope * x


def block_length(around: Floats) -> int:
    """Length of blocks that are nearly independent: twice the autocorrelation time.

    At most a third of the values, so that there are blocks to draw from.

    Example:
        >>> block_length(np.repeat([1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0], 5)) > 5
        True
    """
    told = mean_interval(around)
    return int(min(max(np.ceil(2 * told.size / told.independent), 1), max(told.size // 3, 1)))


def standard_error(values: Floats) -> float:
    """Standard error of the mean of a series whose neighbouring values resemble each other.

    Its trend is taken out first: a mean over a falling curve is not less sure because it falls.
    Blocks of `block_length` values that may overlap are drawn with replacement (Künsch, 1989,
    Annals of Statistics 17). What the blocks are short of is made up for by n / (n - length).

    Args:
        values: Finite, in order, shape (n,).

    Returns:
        In units of the values; 0.0 for fewer than 3 values, about which nothing can be said.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=400)
        >>> 0.04 < standard_error(noise) < 0.06
        True
    """
    if len(values) < 3:
        return 0.0
    around = detrended(thinned(values))
    size, length = len(around), block_length(around)
    draws = -(-size // length)
    starts = np.random.default_rng(SEED).integers(0, size - length + 1, (RESAMPLES, draws))
    rows = (starts[..., None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :size]
    means = around[rows].mean(axis=1)
    return float(means.std(ddof=1)) * (size / max(size - length, 1)) ** 0.5
