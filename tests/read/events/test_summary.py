"""Layouts of single events."""

import numpy as np
import pytest

from poise.read.events.summary import Slot, decode, layout_of
from poise.read.protobuf import MalformedError
from tests.read.binaries import event, integer, message, simple


def test_layout_points_at_the_numbers() -> None:
    """Wall time, step and value are where the layout says."""
    data = event(300, simple("loss", 2.5), wall=7.0)
    layout = layout_of(data)
    assert layout is not None
    (slot,) = layout.slots
    columns = np.frombuffer(data, dtype=np.uint8)[:, None]
    assert decode(columns, slot).tolist() == [2.5]
    assert decode(columns, Slot("wall", layout.wall_at, "<f8")).tolist() == [7.0]
    assert (layout.step_at, layout.step_width) == (10, 2)
    assert data[layout.tag_at :][:4] == b"loss"


def test_no_scalar_has_no_layout() -> None:
    """Graphs, sessions and values without a tag."""
    assert layout_of(message(4, b"graph")) is None
    assert layout_of(integer(2, 3) + message(7, integer(1, 1))) is None
    assert layout_of(message(5, message(1, b"\x15\x00\x00\x80\x3f"))) is None


def test_no_event() -> None:
    """Bytes that are no message are refused."""
    with pytest.raises(MalformedError, match="does not fit"):
        layout_of(b"\x09\x00")
