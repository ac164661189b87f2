"""Event files: values, rows, clocks, restarts, damage."""

import math
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import events
from poise.read.events import points, summary
from poise.read.source import open_source
from tests.read.binaries import (
    columns,
    event,
    event_file,
    masked,
    message,
    only,
    record,
    simple,
    source,
    tensor,
    varint,
)


def test_values_of_one_step_are_one_record() -> None:
    """Separate add_scalar calls with one step make one row, in log order of the tags."""
    scalars = [(5, "b/loss", 1.5), (5, "a loss", 2.0), (10, "b/loss", 1.25), (10, "a loss", 1.0)]
    frame = only(events.read(source(event_file(scalars))))
    assert frame.size == 2
    assert list(frame.columns) == ["step", "b/loss", "a loss"]
    assert columns(frame)["b/loss"] == [(5, 1.5), (10, 1.25)]
    assert frame.columns["a loss"].rows is frame.columns["step"].rows


def test_a_tag_missing_in_some_records_keeps_its_rows() -> None:
    """A sparse tag has an entry only where it was logged."""
    scalars = [(0, "x", 1.0), (1, "x", 2.0), (1, "y", 7.0), (2, "x", 3.0)]
    frame = only(events.read(source(event_file(scalars))))
    assert columns(frame)["y"] == [(1, 7.0)]
    assert frame.size == 3


def test_non_finite_values_survive() -> None:
    """NaN and both infinities arrive as logged."""
    logged = [math.nan, math.inf, -math.inf, -0.0]
    data = event_file([(step, "x", value) for step, value in enumerate(logged)])
    values = only(events.read(source(data))).columns["x"].values
    np.testing.assert_array_equal(values, logged)
    assert math.copysign(1, values[3]) == -1


TENSORS = {
    "float content": (message(4, struct.pack("<f", 0.5)), 1, 0.5),
    "double content": (message(4, struct.pack("<d", 0.1)), 2, 0.1),
    "half content": (message(4, struct.pack("<e", 1.5)), 19, 1.5),
    "bfloat16 content": (message(4, b"\x40\x40"), 14, 3.0),
    "int32 content": (message(4, struct.pack("<i", -7)), 3, -7.0),
    "int64 content": (message(4, struct.pack("<q", 1 << 40)), 9, float(1 << 40)),
    "packed float_val": (message(5, struct.pack("<f", 2.5)), 1, 2.5),
    "bare float_val": (b"\x2d" + struct.pack("<f", 2.5), 1, 2.5),
    "packed double_val": (message(6, struct.pack("<d", 1e-300)), 2, 1e-300),
    "bare int_val": (b"\x38" + varint(-3), 3, -3.0),
    "packed int64_val": (message(10, varint(300)), 9, None),
    "half_val": (message(13, varint(0x3E00)), 19, None),
    "no content": (b"", 1, 0.0),
}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("repeat", [1, 20])
def test_scalar_tensors(name: str, repeat: int) -> None:
    """Every way TensorFlow stores one number, alone and among look-alikes."""
    body, dtype, expected = TENSORS[name]
    body = b"\x08" + varint(dtype) + message(2, b"") + body
    data = b"".join(record(event(step, tensor("x", body))) for step in range(1, repeat + 1))
    values = only(events.read(source(data))).columns["x"].values
    wanted = {"packed int64_val": 300.0, "half_val": 1.5}.get(name, expected)
    np.testing.assert_array_equal(values, [wanted] * repeat)


def test_what_is_no_scalar_is_left_out() -> None:
    """Histograms, text, images, hyperparameters and vectors do not hide the scalar beside them."""
    vector = b"\x08\x01" + message(2, message(2, b"\x08\x03")) + message(4, bytes(12))
    number = b"\x08\x01" + message(4, struct.pack("<f", 1.0))
    values = [
        message(1, message(1, b"histogram") + message(5, bytes(40))),
        message(1, message(1, b"image") + message(4, bytes(3000))),
        tensor("text", b"\x08\x07" + message(8, b"hello"), plugin="text"),
        tensor("_hparams_", number, plugin="hparams"),
        tensor("vector", vector),
        simple("loss", 4.0),
    ]
    data = b"".join(record(event(step, *values)) for step in range(1, 9))
    data += b"".join(record(event(3, one)) for one in values[:-1])
    frame = only(events.read(source(data)))
    assert set(frame.columns) == {"step", "loss"}
    assert frame.size == 8


def test_several_values_in_one_event() -> None:
    """A summary with several values is one record."""
    data = b"".join(
        record(event(step, simple("a", step), simple("bb", -step))) for step in range(200, 300)
    )
    frame = only(events.read(source(data)))
    assert columns(frame)["a"] == [(step, float(step)) for step in range(200, 300)]
    assert columns(frame)["bb"] == [(step, float(-step)) for step in range(200, 300)]


def test_negative_and_huge_steps() -> None:
    """Steps are signed 64-bit numbers; ten-byte integers do not confuse the look-alikes."""
    steps = [-5, -4, 0, 1, 127, 128, 16383, 16384, 1 << 33, 1 << 45]
    frame = only(events.read(source(event_file([(one, "x", 1.0) for one in steps]))))
    assert frame.columns["step"].values.tolist() == steps


def test_look_alikes_of_one_length_are_told_apart() -> None:
    """Tags of one length, one of them with digits that look like the other's fields."""
    rng = random.Random(3)
    tags = ["loss/a", "loss/b", "lr/pg0", "\x10\x01\x2a\x15ab"]
    scalars = [(step, tag, rng.random()) for step in range(300) for tag in tags]
    found = columns(only(events.read(source(event_file(scalars)))))
    for tag in tags:
        wanted = [(step, float(np.float32(value))) for step, name, value in scalars if name == tag]
        assert found[tag] == wanted


def test_a_restart_keeps_log_order() -> None:
    """Steps that go backwards inside one file stay in log order, all tags together."""
    steps = [0, 10, 20, 10, 20, 30]
    scalars = [(step, tag, float(i)) for i, step in enumerate(steps) for tag in ("x", "y")]
    frame = only(events.read(source(event_file(scalars))))
    assert frame.columns["step"].values.tolist() == steps
    assert frame.columns["y"].values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_tag_repeated_at_one_step_has_as_many_records() -> None:
    """Batches logged with the epoch as step do not overwrite each other."""
    scalars = [(epoch, tag, 1.0 * i) for epoch in (0, 1) for i in range(3) for tag in ("x", "y")]
    frame = only(events.read(source(event_file(scalars))))
    assert frame.columns["step"].values.tolist() == [0, 0, 0, 1, 1, 1]
    assert frame.columns["x"].values.tolist() == [0, 1, 2, 0, 1, 2]


def test_tags_that_count_epochs_are_a_frame_of_their_own() -> None:
    """A per-epoch tag beside a per-iteration tag is no restart."""
    scalars: list[tuple[int, str, float]] = []
    for epoch in range(5):
        scalars += [(epoch * 100 + i, "loss", 1.0) for i in range(0, 100, 10)]
        scalars += [(epoch, "val/loss", 2.0), (epoch, "val/acc", 0.5)]
    fine, coarse = events.read(source(event_file(scalars))).frames
    assert (fine.size, coarse.size) == (50, 5)
    assert set(coarse.columns) == {"step", "val/loss", "val/acc"}
    assert (np.diff(fine.columns["step"].values) > 0).all()


def test_an_evaluation_logged_with_the_step_before_stays_in_the_frame() -> None:
    """A small lag does not split the record's frame, nor does it look like a restart."""
    scalars: list[tuple[int, str, float]] = []
    for step in range(100):
        scalars.append((step, "loss", 1.0))
        if step % 20 == 19:
            scalars.append((step - 1, "acc", 0.5))
    frame = only(events.read(source(event_file(scalars))))
    assert frame.size == 100
    assert columns(frame)["acc"] == [(step - 1, 0.5) for step in range(19, 100, 20)]


def test_a_tag_called_step_does_not_replace_the_step() -> None:
    """The position column is the events' own step."""
    frame = only(events.read(source(event_file([(3, "step", 9.0), (3, "x", 1.0)]))))
    assert frame.columns["step"].values.tolist() == [3.0]
    assert frame.columns["step (tag)"].values.tolist() == [9.0]


def test_layouts_of_one_length_are_not_parsed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer tag with a shorter step has another layout; only a few records are parsed."""
    calls = 0

    def counted(data: bytes) -> summary.Layout | None:
        nonlocal calls
        calls += 1
        return summary.layout_of(data)

    monkeypatch.setattr(points, "layout_of", counted)
    scalars = [
        (step, tag, 1.0 * step) for step in range(0, 30_000, 20) for tag in ("ab", "abc", "a")
    ]
    frame = only(events.read(source(event_file(scalars))))
    assert columns(frame)["abc"] == [(step, float(step)) for step in range(0, 30_000, 20)]
    assert calls < 100


SMALL = event_file([(step, tag, step + 0.5) for step in range(4) for tag in ("x", "yy")])


def _values(data: bytes) -> list[float]:
    try:
        parsed = events.read(source(data))
    except ReadError:
        return []
    frame = only(parsed)
    pairs = columns(frame)
    merged = [(step, name, value) for name, found in pairs.items() for step, value in found]
    return [value for _, _, value in sorted(merged)]


def test_truncated_at_every_byte() -> None:
    """Whatever byte a file ends at, the complete records before it are read, and it is said."""
    whole = _values(SMALL)
    for size in range(len(SMALL)):
        part = _values(SMALL[:size])
        assert part == whole[: len(part)]
        if part and len(part) < len(whole):
            remarks = events.read(source(SMALL[:size])).remarks
            cut = size > 0 and len(_values(SMALL[: size - 1])) == len(part)
            assert not cut or f"cut off at byte {size}" in remarks[0]
    assert len(whole) == 8


def test_one_damaged_byte_loses_one_record() -> None:
    """Reading goes on behind a damaged record, no wrong value gets through, and it is said."""
    for at in range(len(SMALL)):
        data = bytearray(SMALL)
        data[at] ^= 0x41
        parsed = events.read(source(bytes(data)))
        pairs = columns(only(parsed))
        assert all(value == step + 0.5 for found in pairs.values() for step, value in found)
        assert sum(map(len, pairs.values())) >= 7
        assert len(parsed.remarks) == 1


def test_damage_among_many_records() -> None:
    """A wrong checksum among look-alikes drops that record alone."""
    data = bytearray(event_file([(step, "x", 1.0) for step in range(1000, 2000)]))
    size = (len(data) - 41) // 1000
    data[41 + 500 * size + 12 + 25] ^= 1
    parsed = events.read(source(bytes(data)))
    assert only(parsed).size == 999
    assert parsed.remarks == ("1 of 1001 records fail their checksum and were left out",)


def test_a_length_of_exabytes_is_no_memory() -> None:
    """A valid header that announces more than there is ends the file."""
    length = struct.pack("<Q", 1 << 60)
    parsed = events.read(source(SMALL + length + masked(length) + b"abc"))
    assert "cut off" in parsed.remarks[0]
    assert len(_values(SMALL + length + masked(length))) == 8


def test_without_scalars() -> None:
    """A file with a version event only is an error with what to do next."""
    with pytest.raises(ReadError, match=r"expected TensorBoard scalars, got 1 events without any"):
        events.read(source(event_file([])))


def test_matches() -> None:
    """The header's checksum tells, the name only together with binary content."""
    assert events.matches(source(SMALL, "/r/anything"))
    assert events.matches(source(b"\x01" + SMALL[1:], "/r/anything"))
    assert not events.matches(source(b"step,loss\n1,2\n", "/r/events.out.tfevents.1.csv"))
    assert not events.matches(source(bytes(100), "/r/zeros"))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(SMALL)), st.integers(0, len(SMALL)))
def test_any_bytes_are_read_or_refused(junk: bytes, start: int, stop: int) -> None:
    """Junk, alone and between halves of a file, gives a ReadError or a Parsed."""
    for data in (junk, SMALL[:start] + junk + SMALL[stop:], record(junk), SMALL + record(junk)):
        _values_or_error(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8))
def test_any_events_are_read_or_refused(bodies: list[bytes]) -> None:
    """Valid frames around arbitrary messages, also among look-alikes."""
    data = b"".join(
        record(piece)
        for body in bodies
        for piece in (b"\x09" + bytes(8) + body, event(1, message(1, body)), event(2, body))
        for _ in range(5)
    )
    _values_or_error(SMALL + data)


def _values_or_error(data: bytes) -> None:
    try:
        parsed = events.read(source(data))
    except ReadError:
        return
    for frame in parsed.frames:
        for column in frame.columns.values():
            assert (np.diff(column.rows) > 0).all()
            assert len(column.rows) == len(column.values)
            assert column.rows[-1] < frame.size


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "cc"]), st.integers(-9, 9)),
        min_size=1,
        max_size=60,
    )
)
def test_no_value_is_lost_or_invented(scalars: list[tuple[int, str, int]]) -> None:
    """Whatever the order of steps, every tag keeps all of its values in log order within a step."""
    parsed = events.read(source(event_file([(s, tag, float(v)) for s, tag, v in scalars])))
    found: dict[str, list[tuple[int, float]]] = {}
    for frame in parsed.frames:
        found |= columns(frame)
    for tag in {one for _, one, _ in scalars}:
        wanted = [(step, float(value)) for step, name, value in scalars if name == tag]
        assert found[tag] == wanted


def test_real_log(corpus: Callable[[str], Path]) -> None:
    """A real file: 100 records of training, every 20 steps, and one evaluation at the end."""
    opened = open_source(corpus("10_tfevents"))
    assert events.matches(opened)
    frame = only(events.read(opened))
    steps, total = frame.columns["step"].values, frame.columns["total_loss"]
    assert (frame.size, len(total.rows)) == (101, 100)
    assert (steps[0], steps[-1]) == (19, 2000)
    assert total.values[[0, -1]] == pytest.approx([76.4915, 19.4018], abs=1e-4)
