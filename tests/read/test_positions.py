"""The step axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.read.naming import classify
from poise.read.positions import Positions, positions_of
from tests.read.frames import frame


def _steps(anchor: list[bool] | None = None, **columns: list[float | None]) -> Positions:
    made = frame(**columns)
    mask = np.ones(made.size, dtype=bool) if anchor is None else np.array(anchor)
    return positions_of(made, classify(list(made.columns)), mask)


@pytest.mark.parametrize(
    ("columns", "name", "steps"),
    [
        # a global step wins over everything
        (
            {"epoch": [0, 0, 1], "iter": [1, 2, 1], "global_step": [5, 10, 15]},
            "global_step",
            [5, 10, 15],
        ),
        # an iteration that goes on over epochs is a step
        ({"epoch": [0, 0, 1], "iter": [10, 20, 30]}, "iter", [10, 20, 30]),
        # one that starts anew is combined with the epoch; counting from 1
        ({"epoch": [1, 1, 2, 2], "iter": [50, 100, 50, 100]}, "iter", [50, 100, 150, 200]),
        # counting from 0
        ({"epoch": [0, 0, 1, 1], "iter": [0, 9, 0, 9]}, "iter", [0, 9, 10, 19]),
        # with the length that the log tells
        (
            {"epoch": [0, 0, 1], "iter": [0, 90, 0], "iter_total": [100, 100, 100]},
            "iter",
            [0, 90, 100],
        ),
        # one record an epoch, the counter always at its end
        ({"epoch": [0, 1, 2], "iter": [7, 7, 7]}, "epoch", [0, 1, 2]),
        # epochs alone
        ({"epoch": [3, 4, 5]}, "epoch", [3, 4, 5]),
        # fractions of an epoch are no step
        ({"epoch": [0.1, 0.2, 0.3]}, "row", [0, 1, 2]),
        # a counter that never counts is none
        ({"step": [0, 0, 0], "epoch": [0, 1, 2]}, "epoch", [0, 1, 2]),
        # many records an epoch and nothing else: rows
        ({"epoch": [0, 0, 0, 0, 1, 1]}, "row", [0, 1, 2, 3, 4, 5]),
        # nothing
        ({"loss": [1.0, 2.0]}, "row", [0, 1]),
        # one record
        ({"step": [1019]}, "step", [1019]),
        # a gap is filled with the step before
        ({"step": [*range(9), None, *range(10, 20)]}, "step", [*range(9), 8, *range(10, 20)]),
        # an update that is a fraction gives way
        (
            {"update": [0.4, 0.8, 1.2], "num_updates": [200, 400, 600]},
            "num_updates",
            [200, 400, 600],
        ),
    ],
)
def test_choice(columns: dict[str, list[float | None]], name: str, steps: list[int]) -> None:
    """The best position that the records have becomes the step."""
    found = _steps(**columns)
    assert (found.name, found.steps.tolist()) == (name, steps)


def test_records_that_contradict_the_training() -> None:
    """A validation counter that is no step is replaced; one that fits is kept."""
    anchor = [True, True, False, True, True, False]
    wrong = _steps(anchor, iter=[10, 20, 7, 30, 40, 7])
    assert wrong.steps.tolist() == [10, 20, 20, 30, 40, 40]
    right = _steps(anchor, iter=[10, 20, 25, 30, 40, 45])
    assert right.steps.tolist() == [10, 20, 25, 30, 40, 45]


@given(
    epochs=st.integers(2, 6),
    per_epoch=st.integers(3, 40),
    base=st.integers(0, 1),
    first_epoch=st.integers(0, 50),
)
def test_combined_steps_count_every_iteration_once(
    epochs: int, per_epoch: int, base: int, first_epoch: int
) -> None:
    """Epoch and iteration together give the plain running number."""
    pairs = [(e, i) for e in range(epochs) for i in range(per_epoch)]
    found = _steps(
        epoch=[first_epoch + e for e, _ in pairs],
        iter=[base + i for _, i in pairs],
    )
    assert found.steps.tolist() == [base + n for n in range(len(pairs))]


def test_huge_and_infinite_positions() -> None:
    """Positions that no integer can hold are ignored instead of wrapped."""
    assert _steps(step=[1e300, 2e300, 3e300]).name == "row"
    assert _steps(step=[float("inf"), float("nan"), 1]).name == "row"
    assert _steps(epoch=[0, 2**61, 2**61], iter=[5, 0, 1e6]).name in ("row", "epoch")
