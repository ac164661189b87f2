"""Schedules as JSON."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, cast

from poise.errors import ScheduleError
from poise.schedule.gentle import Gentle
from poise.schedule.ramps import Constant, Cosine, Exponential, Linear
from poise.schedule.schedule import Schedule
from poise.schedule.stages import Join, Phases, Piecewise
from poise.schedule.warmup import Warmup

Known = Constant | Linear | Cosine | Exponential | Piecewise | Join | Phases | Warmup | Gentle

KINDS: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Constant,
            Linear,
            Cosine,
            Exponential,
            Piecewise,
            Join,
            Phases,
            Warmup,
            Gentle,
        )
    }
)
"""Every schedule by its name in JSON."""


def to_dict(schedule: Schedule) -> dict[str, object]:
    """The schedule as JSON holds it: its class under `schedule`, and its fields.

    Args:
        schedule: One of poise's own schedules.

    Raises:
        ScheduleError: It is, or holds, a schedule that is not poise's own.

    Example:
        >>> from poise.schedule import Linear
        >>> to_dict(Linear(0.0, 0.5, stop=10))
        {'schedule': 'Linear', 'begin': 0.0, 'end': 0.5, 'start': 0, 'stop': 10}
    """
    if type(schedule) not in KINDS.values():
        raise ScheduleError(
            f"to_dict: expected one of {', '.join(KINDS)}, got {schedule!r}; a function of yours "
            "cannot be written down: compose it of these"
        )
    known = cast(Known, schedule)
    values = {one.name: _plain(getattr(known, one.name)) for one in fields(known) if one.init}
    return {"schedule": type(known).__name__, **values}


def from_dict(data: Mapping[str, object]) -> Schedule:
    """The schedule that `to_dict` gave the form of.

    Args:
        data: What `to_dict` returned, or the same out of a JSON file.

    Raises:
        ScheduleError: No such schedule, or not its fields.

    Example:
        >>> from_dict({"schedule": "Constant", "value": 0.5})
        Constant(value=0.5)
    """
    name = data.get("schedule")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        near = get_close_matches(str(name), KINDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ScheduleError(
            f"from_dict: expected 'schedule' to be one of {', '.join(KINDS)}, got {name!r}{hint}"
        )
    values = {key: _alive(one) for key, one in data.items() if key != "schedule"}
    known = [one.name for one in fields(kind) if one.init]
    if sorted(values) != sorted(known):
        raise ScheduleError(
            f"from_dict: expected the fields {', '.join(known)} of {name}, got "
            f"{', '.join(values) or 'none'}"
        )
    return kind(**values)  # pyright: ignore[reportArgumentType] -- the class checks its own fields


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in cast("tuple[object, ...]", value)]
    return to_dict(cast(Schedule, value)) if callable(value) else value


def _alive(value: object) -> object:
    if isinstance(value, list):
        return tuple(_alive(one) for one in cast(list[object], value))
    return from_dict(cast("dict[str, object]", value)) if isinstance(value, dict) else value
