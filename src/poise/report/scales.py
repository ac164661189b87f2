"""Which axis shows the values of a chart best."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from poise.run import Floats

SPREAD = 50.0
"""Largest magnitude over a small one from which a linear axis hides the small ones."""


class Scale(StrEnum):
    """How an axis maps values to height."""

    LINEAR = "linear"
    LOG = "log"
    SYMLOG = "symlog"
    """Logarithmic on both sides of zero and linear around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The choice for one chart.

    Attributes:
        scale: Linear, log or symmetric log.
        threshold: Magnitude below which a symmetric log axis is linear; a power of ten > 0.
    """

    scale: Scale
    threshold: float = 1.0


def choose(values: Floats) -> Axis:
    """The axis for all values of one chart, of any shape and of several series together.

    Linear unless the largest magnitude is 50 times the 5th percentile of the non-zero magnitudes
    (the 20th where signs differ, because a value that swings around zero comes close to it).
    Beyond that: log if all values are positive, else symmetric log with its linear part below the
    1st percentile of the magnitudes. Non-finite values have no say.

    Example:
        >>> str(choose(np.array([1.0, 2.0])).scale), str(choose(np.array([1e-4, 1.0])).scale)
        ('linear', 'log')
        >>> choose(np.array([-500.0, 0.0, 0.2, 1.0]))
        Axis(scale=<Scale.SYMLOG: 'symlog'>, threshold=0.1)
    """
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0.0])
    if sizes.size < 2:
        return Axis(scale=Scale.LINEAR)
    signs = bool((finite > 0.0).any() and (finite < 0.0).any())
    small = np.quantile(sizes, 0.2 if signs else 0.05, method="lower")
    # Divide in the logarithm: magnitudes near the ends of the float range must not overflow.
    if np.log(sizes.max()) - np.log(small) < np.log(SPREAD):
        return Axis(scale=Scale.LINEAR)
    if finite.min() > 0.0:
        return Axis(scale=Scale.LOG)
    least = np.log10(np.quantile(sizes, 0.01, method="lower"))
    return Axis(scale=Scale.SYMLOG, threshold=float(10.0 ** max(np.floor(least), -300.0)))
