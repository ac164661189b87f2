"""One value, or the way from one value to another."""

import math
from dataclasses import dataclass, field
from typing import final

from poise.errors import ScheduleError
from poise.schedule.schedule import at, number, settle, whole


@final
@dataclass(frozen=True, slots=True)
class Constant:
    """The same weight at every step.

    Attributes:
        value: The weight.

    Raises:
        ScheduleError: The value is no finite number.

    Example:
        >>> Constant(0.1)(7)
        0.1
    """

    value: float

    def __post_init__(self) -> None:
        settle(self, value=number(self, "value", self.value))

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        at(self, step)
        return self.value


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """A straight line: `begin` up to step `start`, `end` from step `stop` on.

    With `start == stop` it is a jump to `end` at that step.

    Attributes:
        begin: The first weight.
        end: The last weight.
        start: The last step that still has `begin`.
        stop: The first step that has `end`.

    Raises:
        ScheduleError: A field is no finite number or `stop` comes before `start`.

    Example:
        >>> weight = Linear(0.0, 0.02, start=10_000, stop=14_000)
        >>> [weight(step) for step in (0, 11_000, 20_000)]
        [0.0, 0.005, 0.02]
    """

    begin: float
    end: float
    start: int = field(default=0, kw_only=True)
    stop: int = field(kw_only=True)

    def __post_init__(self) -> None:
        _settle(self)

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        done = _done(self, step)
        return _within(self, (1.0 - done) * self.begin + done * self.end, done)


@final
@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine: leaves `begin` and reaches `end` without a kink.

    With `start == stop` it is a jump to `end` at that step.

    Attributes:
        begin: The first weight.
        end: The last weight.
        start: The last step that still has `begin`.
        stop: The first step that has `end`.

    Raises:
        ScheduleError: A field is no finite number or `stop` comes before `start`.

    Example:
        >>> weight = Cosine(1.0, 0.0, stop=100)
        >>> [round(weight(step), 3) for step in (0, 25, 50, 100, 200)]
        [1.0, 0.854, 0.5, 0.0, 0.0]
    """

    begin: float
    end: float
    start: int = field(default=0, kw_only=True)
    stop: int = field(kw_only=True)

    def __post_init__(self) -> None:
        _settle(self)

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        done = _done(self, step)
        bent = 0.5 - 0.5 * math.cos(math.pi * done)
        return _within(self, (1.0 - bent) * self.begin + bent * self.end, done)


@final
@dataclass(frozen=True, slots=True)
class Exponential:
    """A straight line of the logarithm: the same factor at every step.

    With `start == stop` it is a jump to `end` at that step.

    Attributes:
        begin: The first weight, not 0.
        end: The last weight, not 0, of the same sign.
        start: The last step that still has `begin`.
        stop: The first step that has `end`.

    Raises:
        ScheduleError: A field is no finite number, the two weights are 0 or of different sign, or
            `stop` comes before `start`.

    Example:
        >>> weight = Exponential(1.0, 0.01, stop=2)
        >>> [round(weight(step), 12) for step in range(4)]
        [1.0, 0.1, 0.01, 0.01]
    """

    begin: float
    end: float
    start: int = field(default=0, kw_only=True)
    stop: int = field(kw_only=True)

    def __post_init__(self) -> None:
        _settle(self)
        if self.begin == 0.0 or self.end == 0.0 or (self.begin < 0.0) != (self.end < 0.0):
            raise ScheduleError(
                "Exponential: expected begin and end of the same sign and not 0, got begin="
                f"{self.begin!r} and end={self.end!r}; from or to 0 use Linear or Cosine"
            )

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        done = _done(self, step)
        # In logarithms, so that no ratio of the two can overflow.
        log = (1.0 - done) * math.log(abs(self.begin)) + done * math.log(abs(self.end))
        low, high = sorted((abs(self.begin), abs(self.end)))
        # Beyond the largest float exp() raises where rounding carried the logarithm over it.
        size = high if log >= math.log(high) else max(math.exp(log), low)
        return _within(self, math.copysign(size, self.begin), done)


Ramp = Linear | Cosine | Exponential


def _settle(ramp: Ramp) -> None:
    settle(
        ramp,
        begin=number(ramp, "begin", ramp.begin),
        end=number(ramp, "end", ramp.end),
        start=whole(ramp, "start", ramp.start),
        stop=whole(ramp, "stop", ramp.stop),
    )
    if ramp.stop < ramp.start:
        raise ScheduleError(
            f"{type(ramp).__name__}: expected stop at or after start={ramp.start}, got "
            f"stop={ramp.stop}"
        )


def _done(ramp: Ramp, step: int) -> float:
    """How much of the way is behind, 0 to 1."""
    step = at(ramp, step)
    if step >= ramp.stop:
        return 1.0
    if step <= ramp.start:
        return 0.0
    return (step - ramp.start) / (ramp.stop - ramp.start)


def _within(ramp: Ramp, value: float, done: float) -> float:
    """The value without the rounding that could carry it past an end."""
    if done in (0.0, 1.0):
        return ramp.end if done else ramp.begin
    low, high = sorted((ramp.begin, ramp.end))
    return min(max(value, low), high)
