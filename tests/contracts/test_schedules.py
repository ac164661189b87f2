"""What holds for every schedule: one row in the table, and all of it is checked."""

import copy
import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

import poise.schedule as schedules
from poise.errors import ScheduleError
from poise.schedule import (
    Constant,
    Cosine,
    Exponential,
    Gentle,
    Join,
    Linear,
    Phases,
    Piecewise,
    Schedule,
    Warmup,
    from_dict,
    sample,
    to_dict,
)
from poise.schedule.form import KINDS

TABLE: dict[str, tuple[Schedule, dict[int, float]]] = {
    "constant": (Constant(0.3), {0: 0.3, 10**9: 0.3}),
    "constant of an int": (Constant(2), {0: 2.0}),
    "linear": (Linear(0.0, 0.02, start=10, stop=14), {0: 0.0, 10: 0.0, 11: 0.005, 14: 0.02}),
    "linear down to a negative": (Linear(1.0, -1.0, stop=4), {0: 1.0, 2: 0.0, 4: -1.0}),
    "linear of no length": (Linear(0.1, 0.7, start=5, stop=5), {4: 0.1, 5: 0.7, 6: 0.7}),
    "linear of no length at 0": (Linear(0.1, 0.7, stop=0), {0: 0.7}),
    "cosine": (Cosine(1.0, 0.0, stop=4), {0: 1.0, 2: 0.5, 4: 0.0, 99: 0.0}),
    "cosine of no length": (Cosine(1.0, 0.2, start=3, stop=3), {2: 1.0, 3: 0.2}),
    "exponential": (Exponential(1.0, 1e-4, stop=4), {0: 1.0, 1: 0.1, 2: 0.01, 4: 1e-4, 9: 1e-4}),
    "exponential, negative": (Exponential(-1.0, -100.0, stop=2), {0: -1.0, 1: -10.0, 2: -100.0}),
    "exponential over all floats": (
        Exponential(1e-300, 1e300, start=2, stop=4),
        {2: 1e-300, 3: 1.0, 4: 1e300},
    ),
    "exponential of no length": (Exponential(1.0, 2.0, start=3, stop=3), {2: 1.0, 3: 2.0}),
    "piecewise": (Piecewise((0.0, 0.1, 0.5), steps=(5, 7)), {0: 0.0, 5: 0.1, 6: 0.1, 7: 0.5}),
    "piecewise of one": (Piecewise((0.4,), steps=()), {0: 0.4, 7: 0.4}),
    "join": (
        Join((Linear(0.0, 1.0, stop=10), Cosine(1.0, 0.0, start=50, stop=90)), steps=(50,)),
        {0: 0.0, 5: 0.5, 49: 1.0, 50: 1.0, 70: 0.5, 90: 0.0},
    ),
    "join of a number": (
        Join((0.5, Linear(0.5, 0.0, start=4, stop=8)), steps=(4,)),
        {3: 0.5, 6: 0.25},
    ),
    "phases": (
        Phases((0.0, 0.1, 0.5), fractions=(0.3, 0.6), total_steps=10),
        {0: 0.0, 2: 0.0, 3: 0.1, 5: 0.1, 6: 0.5, 10: 0.5, 99: 0.5},
    ),
    "phases of schedules": (
        Phases((1.0, Linear(1.0, 0.0, start=5, stop=10)), fractions=(0.5,), total_steps=10),
        {4: 1.0, 5: 1.0, 6: 0.8, 10: 0.0},
    ),
    "phases shorter than a step": (
        Phases((0.0, 0.1, 0.5), fractions=(0.3, 0.6), total_steps=1),
        {0: 0.0, 1: 0.5},
    ),
    "warm-up": (Warmup(0.02, start=10, steps=4), {0: 0.0, 10: 0.0, 11: 0.005, 14: 0.02, 99: 0.02}),
    "warm-up of a schedule": (
        Warmup(Linear(1.0, 0.0, stop=10), steps=5),
        {0: 0.0, 2: 0.32, 5: 0.5},
    ),
    "warm-up of no length": (Warmup(0.3, start=2, steps=0), {1: 0.0, 2: 0.3}),
    "gentle": (Gentle(0.5, start=3, share=0.75, jump=1.0), {0: 0.0, 3: 0.0, 4: 0.5 / 3, 5: 0.5}),
}
every = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)


def test_the_table_has_every_schedule() -> None:
    """A schedule without a row is a failure, and so is one that JSON does not know."""
    assert {type(schedule).__name__ for schedule, _ in TABLE.values()} == set(KINDS)
    classes = {name for name in vars(schedules) if name[0].isupper() and name != "Schedule"}
    assert classes == set(KINDS)


@every
def test_values(row: tuple[Schedule, dict[int, float]]) -> None:
    """The weights are those computed by hand, as floats."""
    schedule, expected = row
    for step, weight in expected.items():
        assert schedule(step) == pytest.approx(weight, rel=1e-12, abs=1e-15)
        assert type(schedule(step)) is float


@every
def test_pure_and_finite(row: tuple[Schedule, dict[int, float]]) -> None:
    """The same step gives the same finite weight whatever was asked before, up to any step."""
    schedule, _ = row
    steps = [*range(100), 10**6, 10**15]
    first = [schedule(step) for step in steps]
    assert first == [schedule(step) for step in reversed(steps)][::-1]
    assert all(map(math.isfinite, first))
    assert schedule(np.int64(7)) == schedule(7)


@every
def test_sample_is_the_schedule(row: tuple[Schedule, dict[int, float]]) -> None:
    """Points for a plot are the weights of the training, bit for bit, in the shape asked for."""
    schedule, _ = row
    steps = np.arange(120).reshape(3, 40)
    points = sample(schedule, steps)
    assert points.shape == (3, 40)
    assert points.ravel().tolist() == [schedule(step) for step in range(120)]
    assert sample(schedule, []).shape == (0,)
    assert sample(schedule, 7).item() == schedule(7)


@every
def test_round_trips(row: tuple[Schedule, dict[int, float]]) -> None:
    """JSON, pickle, copy and repr give back an equal schedule."""
    schedule, _ = row
    assert from_dict(json.loads(json.dumps(to_dict(schedule), allow_nan=False))) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert copy.deepcopy(schedule) == schedule
    assert eval(repr(schedule), vars(schedules)) == schedule
    assert hash(copy.deepcopy(schedule)) == hash(schedule)


@every
def test_unequal_to_the_others(row: tuple[Schedule, dict[int, float]]) -> None:
    """A schedule equals no other row."""
    assert sum(other == row[0] for other, _ in TABLE.values()) == 1


@every
def test_frozen(row: tuple[Schedule, dict[int, float]]) -> None:
    """No field can be changed or added."""
    schedule, _ = row
    name = fields(schedule)[0].name  # pyright: ignore[reportArgumentType]
    with pytest.raises(FrozenInstanceError, match=name):
        setattr(schedule, name, 1.0)


@every
@pytest.mark.parametrize("step", [-1, -(10**9), 0.5, 3.0, True, None, "3", math.nan])
def test_impossible_step(row: tuple[Schedule, dict[int, float]], step: object) -> None:
    """A step that is no whole number from 0 on is refused by name, not rounded."""
    schedule, _ = row
    with pytest.raises(ScheduleError, match="expected step to be a whole number"):
        schedule(step)  # pyright: ignore[reportArgumentType]
