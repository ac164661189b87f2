"""What a schedule is, and the checks that all of them share."""

import math
from itertools import pairwise
from numbers import Integral, Real
from typing import Protocol, cast

from poise.errors import ScheduleError


class Schedule(Protocol):
    """Anything that tells the weight at an optimizer step, counted from 0.

    It must be pure: the same step gives the same weight, in training, evaluation and after a
    restart. Any function will do; only poise's own schedules can be saved in full.

    Example:
        >>> from poise.schedule import Linear
        >>> schedule: Schedule = Linear(0.0, 0.5, stop=10)
        >>> schedule(5)
        0.25
    """

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        ...


def settle(schedule: object, **fields: object) -> None:
    """Puts checked fields into a frozen schedule while it is being made."""
    for name, value in fields.items():
        object.__setattr__(schedule, name, value)


def number(owner: object, field: str, value: object) -> float:
    """The field as a float.

    Raises:
        ScheduleError: It is no number, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ScheduleError(
            f"{_name(owner)}: expected {field} to be a finite number, got {value!r}"
        )
    return float(value)


def whole(owner: object, field: str, value: object, *, least: int = 0) -> int:
    """The field as an int.

    Raises:
        ScheduleError: It is no whole number, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ScheduleError(
            f"{_name(owner)}: expected {field} to be a whole number of optimizer steps, at least "
            f"{least}, got {value!r}"
        )
    return int(value)


def at(owner: object, step: int) -> int:
    """The step that a schedule is called with.

    Raises:
        ScheduleError: It is no whole number, or negative.
    """
    return step if type(step) is int and step >= 0 else whole(owner, "step", step)


def increasing(owner: object, field: str, steps: object, pieces: int) -> tuple[int, ...]:
    """The steps at which the second piece and all later ones begin.

    Raises:
        ScheduleError: There is not one step between any two pieces, or a piece would have no step.
    """
    found = tuple(
        whole(owner, f"{field}[{i}]", one, least=1)
        for i, one in enumerate(sequence(owner, field, steps))
    )
    if len(found) != pieces - 1:
        raise ScheduleError(
            f"{_name(owner)}: expected one entry of {field} for every piece but the first, that is "
            f"{pieces - 1}, got {len(found)}: {found}"
        )
    if any(a >= b for a, b in pairwise(found)):
        raise ScheduleError(f"{_name(owner)}: expected increasing {field}, got {found}")
    return found


def sequence(owner: object, field: str, value: object) -> tuple[object, ...]:
    """The field as a tuple.

    Raises:
        ScheduleError: It is no tuple or list.
    """
    if not isinstance(value, tuple | list):
        raise ScheduleError(f"{_name(owner)}: expected {field} to be a tuple, got {value!r}")
    return tuple(cast("tuple[object, ...]", value))


def _name(owner: object) -> str:
    return type(owner).__name__
