"""How sure a mean is when neighbouring values resemble each other."""

from typing import NamedTuple

import numpy as np

from poise.run import Floats

FEWEST = 4
"""Independent values below which no interval is given: a t quantile for fewer says nothing."""


class Interval(NamedTuple):
    """A mean and where it most likely lies.

    Attributes:
        mean: Mean of the values.
        low: Lower end of the 95% interval; minus infinity if too little is known.
        high: Its upper end; infinity if too little is known.
        size: How many values there are.
        independent: How many independent values they are worth, at most `size`.
    """

    mean: float
    low: float
    high: float
    size: int
    independent: float

    def __str__(self) -> str:
        """For people: mean, interval, and how much it rests on."""
        return (
            f"mean {self.mean:.3g}, 95% interval {self.low:.3g} to {self.high:.3g}, "
            f"n={self.size} worth {self.independent:.0f} independent ones"
        )


def mean_interval(values: Floats) -> Interval:
    """The mean of a series of measurements with a 95% interval that knows their autocorrelation.

    The values are worth n / tau independent ones, with tau = 1 + 2 * (sum of autocorrelations). The
    sum ends where two neighbouring ones add up to less than 0 (the initial positive sequence of
    Geyer, 1992, Statistical Science 7). Each autocorrelation is raised by the 1/n that the
    estimate around a sample mean is too low on white noise. tau is never below 1. The interval uses
    Student's t with that many values. Simulated first-order chains were covered in 92 to 99% of
    draws; at an autocorrelation of 0.8 and 80 values in 87%, where s / sqrt(n) covers 43%.

    Args:
        values: Finite measurements in the order they were taken, shape (n,), n at least 1.

    Example:
        >>> mean_interval(np.tile([0.0, 1.0], 20)).independent > 20
        True
        >>> mean_interval(np.repeat([0.0, 1.0], 20)).independent < 4
        True
    """
    count, mean = len(values), float(np.mean(values))
    independent = count / _tau(values - mean)
    if independent < FEWEST:
        return Interval(mean, -np.inf, np.inf, count, independent)
    spread = float(np.std(values, ddof=1)) / independent**0.5
    half = _t975(independent - 1) * spread
    return Interval(mean, mean - half, mean + half, count, independent)


def path_interval(values: Floats) -> Interval:
    """The mean of what drifts, over the path it took, with the 95% interval of the noise on it.

    A drift is no noise here: the mean asked for is that of the expected values at these very
    measurements, which may differ from one to the next. Their noise is independent and its variance
    half the mean squared difference of neighbours (von Neumann, 1941, Annals of Mathematical
    Statistics 12), which a drift can only raise; that is worth two thirds of the degrees of
    freedom. Simulated noise on paths of 10 values, flat and drifting, was covered in 95 to 99% of
    draws.

    Args:
        values: Finite measurements in the order they were taken, shape (n,), n at least 1.

    Example:
        >>> path_interval(np.linspace(-0.9, -0.5, 10)).high < -0.6
        True
    """
    count, mean = len(values), float(np.mean(values))
    freedom = (count - 1) / 1.5
    if freedom < FEWEST - 1:
        return Interval(mean, -np.inf, np.inf, count, float(count))
    spread = float(np.mean(np.diff(values) ** 2) / 2) ** 0.5 / count**0.5
    half = _t975(freedom) * spread
    return Interval(mean, mean - half, mean + half, count, float(count))


def _tau(around: Floats) -> float:
    """Values that stand for one independent value, from deviations from the mean, at least 1."""
    count = len(around)
    power = float(around @ around)
    if power <= 0 or count < FEWEST:
        return 1.0
    lagged = np.correlate(around, around, "full")[count - 1 :]
    rho = lagged / power + 1 / count
    rho[0] = 1.0
    pairs = rho[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    kept = pairs[: ends[0]] if len(ends) else pairs
    return max(1.0, 2 * float(kept.sum()) - 1)


def _t975(freedom: float) -> float:
    """97.5% quantile of Student's t (Hill's expansion, within 1% from 3 degrees of freedom)."""
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(one / freedom**k for k, one in enumerate(terms)))
