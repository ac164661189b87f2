"""A schedule at many steps."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from poise.run import Floats
from poise.schedule.schedule import Schedule


def sample(schedule: Schedule, steps: ArrayLike) -> Floats:
    """The weights at many steps, for a plot or a table.

    It asks the schedule itself, step by step, so what is plotted is what the training used, to the
    last bit, for functions of your own as well.

    Args:
        schedule: Any schedule.
        steps: Whole numbers, any shape.

    Returns:
        Weights, shape of `steps`.

    Raises:
        ScheduleError: A step is negative or no whole number.

    Example:
        >>> from poise.schedule import Linear
        >>> sample(Linear(0.0, 1.0, stop=4), range(0, 6, 2))
        array([0. , 0.5, 1. ])
    """
    points = np.asarray(steps)
    flat = cast(list[int], points.ravel().tolist())
    weights = np.fromiter(map(schedule, flat), dtype=np.float64, count=len(flat))
    return weights.reshape(points.shape)
