"""Scalars of one file as arrays in log order."""

import numpy as np

from poise.read.events.points import points_of
from tests.read.binaries import event, event_file, integer, message, record, simple


def test_log_order_and_numbering() -> None:
    """Groups of look-alikes are brought back into log order; tags count by first appearance."""
    scalars = [(step, tag, 10.0 * step) for step in range(400) for tag in ("zz", "a", "long tag")]
    points = points_of(event_file(scalars, wall=5.0))
    assert points.tags == ("zz", "a", "long tag")
    assert points.step.tolist() == [step for step, _, _ in scalars]
    assert points.tag.tolist() == [0, 1, 2] * 400
    assert points.value.tolist() == [value for _, _, value in scalars]
    np.testing.assert_array_equal(points.wall, 5.0 + np.arange(1200))
    assert points.events == 1201


def test_events_without_wall_time_or_in_another_order() -> None:
    """Fields may come in any order, and the wall time may be missing."""
    value = message(5, simple("x", 1.5))
    data = b"".join(record(value + integer(2, step)) for step in range(1, 30))
    points = points_of(data)
    assert points.step.tolist() == list(range(1, 30))
    assert set(points.wall) == {0.0}


def test_records_that_are_no_events_are_counted() -> None:
    """A frame around something else is left out and said."""
    points = points_of(record(event(1, simple("x", 1.0))) + record(b"\x0b\xff") * 3)
    assert len(points) == 1
    assert points.remarks == ("3 of 4 records are no TensorBoard events and were left out",)


def test_nothing() -> None:
    """No bytes, no scalars, no error."""
    assert len(points_of(b"")) == 0
