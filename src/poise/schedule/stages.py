"""Different weights in different stretches of a training."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import cast, final

from poise.errors import ScheduleError
from poise.schedule.ramps import Constant
from poise.schedule.schedule import Schedule, at, increasing, number, sequence, settle, whole


@final
@dataclass(frozen=True, slots=True)
class Piecewise:
    """Constant between given steps.

    Attributes:
        values: The weights, one more than `steps`.
        steps: The first step of the second value and of every later one, increasing, from 1.

    Raises:
        ScheduleError: The numbers do not fit together.

    Example:
        >>> weight = Piecewise((0.0, 0.1, 0.5), steps=(100, 200))
        >>> [weight(step) for step in (99, 100, 199, 200)]
        [0.0, 0.1, 0.1, 0.5]
    """

    values: tuple[float, ...]
    steps: tuple[int, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        given = _some(self, "values", self.values)
        values = tuple(number(self, f"values[{i}]", one) for i, one in enumerate(given))
        settle(self, values=values, steps=increasing(self, "steps", self.steps, len(values)))

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        return self.values[bisect_right(self.steps, at(self, step))]


@final
@dataclass(frozen=True, slots=True)
class Join:
    """One schedule after the other.

    Every part sees the step of the training, not the step since its own beginning, so `start` and
    `stop` inside it say the same as anywhere else. (`optax.join_schedules` counts anew.)

    Attributes:
        parts: Schedules or numbers, one more than `steps`.
        steps: The first step of the second part and of every later one, increasing, from 1.

    Raises:
        ScheduleError: The parts and steps do not fit together.

    Example:
        >>> from poise.schedule import Cosine, Linear
        >>> up, down = Linear(0.0, 1.0, stop=10), Cosine(1.0, 0.1, start=50, stop=90)
        >>> weight = Join((up, down), steps=(50,))
        >>> [weight(step) for step in (5, 20, 70, 100)]
        [0.5, 1.0, 0.55, 0.1]
    """

    parts: tuple[Schedule | float, ...]
    steps: tuple[int, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        parts = _parts(self, "parts", self.parts)
        settle(self, parts=parts, steps=increasing(self, "steps", self.steps, len(parts)))

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        part = self.parts[bisect_right(self.steps, at(self, step))]
        return cast(Schedule, part)(step)


@final
@dataclass(frozen=True, slots=True)
class Phases:
    """One weight or schedule for each phase of a training, by fractions of its length.

    A phase begins at the first step with `step / total_steps >= fraction`; fractions are taken as
    the decimal numbers that they are written as, so 0.7 of 10 steps is step 7. Beyond `total_steps`
    the last phase goes on. Where `total_steps` is small, a phase may have no step at all.

    Attributes:
        values: Weights or schedules, one more than `fractions`.
        fractions: Where the second phase and every later one begin, increasing, between 0 and 1.
        total_steps: Optimizer steps of the whole training.

    Raises:
        ScheduleError: The numbers do not fit together.

    Example:
        >>> weight = Phases((0.0, 0.1, 0.5), fractions=(0.3, 0.6), total_steps=1000)
        >>> [weight(step) for step in (299, 300, 599, 600, 5000)]
        [0.0, 0.1, 0.1, 0.5, 0.5]
    """

    values: tuple[Schedule | float, ...]
    fractions: tuple[float, ...] = field(kw_only=True)
    total_steps: int = field(kw_only=True)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = _parts(self, "values", self.values)
        total_steps = whole(self, "total_steps", self.total_steps, least=1)
        fractions = self._checked(len(values))
        starts = tuple(math.ceil(Fraction(repr(one)) * total_steps) for one in fractions)
        settle(self, values=values, fractions=fractions, total_steps=total_steps, _starts=starts)

    def _checked(self, phases: int) -> tuple[float, ...]:
        given = enumerate(sequence(self, "fractions", self.fractions))
        found = tuple(number(self, f"fractions[{i}]", one) for i, one in given)
        inner = (0.0, *found, 1.0)
        if len(found) != phases - 1 or any(a >= b for a, b in pairwise(inner)):
            raise ScheduleError(
                f"Phases: expected {phases - 1} increasing fractions between 0 and 1, one for "
                f"every phase but the first, got {found}"
            )
        return found

    @property
    def starts(self) -> tuple[int, ...]:
        """First step of the second phase and of every later one."""
        return self._starts

    def __call__(self, step: int, /) -> float:
        """The weight at `step`."""
        part = self.values[bisect_right(self._starts, at(self, step))]
        return cast(Schedule, part)(step)


def _some(owner: object, name: str, values: object) -> tuple[object, ...]:
    found = sequence(owner, name, values)
    if not found:
        raise ScheduleError(f"{type(owner).__name__}: expected {name} to hold at least one, got ()")
    return found


def _parts(owner: object, name: str, parts: object) -> tuple[Schedule, ...]:
    """The parts as schedules: a bare number is a constant."""
    return tuple(
        cast(Schedule, one) if callable(one) else Constant(number(owner, f"{name}[{i}]", one))
        for i, one in enumerate(_some(owner, name, parts))
    )
