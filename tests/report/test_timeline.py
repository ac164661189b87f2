"""The shared axis grows over restarts."""

import numpy as np
import pytest

from poise.report.timeline import timeline
from poise.run import Table


def _table(steps: list[int], segments: list[int]) -> Table:
    return Table(
        split="train",
        grain="step",
        steps=np.array(steps, dtype=np.int64),
        step_name="step",
        segments=np.array(segments, dtype=np.int64),
        series={},
    )


def test_without_going_back_positions_are_steps() -> None:
    """A restart that goes on where it stopped moves nothing."""
    one = _table([0, 5, 10, 15], [0, 0, 1, 1])
    assert timeline(one).positions(one).tolist() == [0, 5, 10, 15]


def test_a_later_restart_keeps_the_offset() -> None:
    """After one step back, a restart that goes forward stays in the same frame."""
    one = _table([0, 10, 20, 0, 10, 20, 30], [0, 0, 0, 1, 1, 2, 2])
    assert timeline(one).positions(one).tolist() == [0, 10, 20, 30, 40, 50, 60]


def test_an_evaluation_lies_beside_its_own_restart() -> None:
    """The table of another split is placed by the number of its restart."""
    train = _table([0, 10, 20, 10, 20], [0, 0, 0, 1, 1])
    assert timeline(train).positions(_table([20, 20], [0, 1])).tolist() == [20, 40]


@pytest.mark.parametrize(
    ("steps", "spans"),
    [((10, 15), [[10, 15], [30, 35]]), ((0, 5), [[0, 5]]), ((21, 99), []), ((-5, 0), [[0, 0]])],
)
def test_spans(steps: tuple[int, int], spans: list[list[int]]) -> None:
    """A stretch that was trained twice is marked twice; one outside is not marked."""
    one = _table([0, 10, 20, 10, 20], [0, 0, 0, 1, 1])
    assert timeline(one).spans(steps) == spans


def test_many_restarts_are_marked_as_one() -> None:
    """A stretch that was trained hundreds of times gives one mark."""
    one = _table([0, 1] * 300, [k // 2 for k in range(600)])
    assert len(timeline(one).spans((0, 1))) == 1
