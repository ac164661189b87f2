"""What was printed comes back exactly, whatever the shape; and what is no log does no harm."""

import math
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poise.read import text
from poise.read.frame import Parsed
from poise.read.source import Source
from poise.read.text.lines import LINE, numbers, templates

POSITIONS = (
    ("epoch {e} iter {i}", ("epoch", "iter")),
    ("Epoch: [{e}][{i}/500]", ("epoch", "iter")),
    ("Epoch {e}/9, Step {i}", ("epoch", "step")),
    ("[iter {i}]", ("iter",)),
    ("step={i}", ("step",)),
    ("Step {i}/500", ("step",)),
    ("global_step: {i}", ("step",)),
    ("(epoch: {e}, iters: {i}, time: 0.5)", ("epoch", "iter")),
    ("{i}/500 (epoch {e})", ("epoch", "iter")),
    ("-----Iteration: {i}-----", ("iter",)),
)
PREFIXES = (
    "",
    "2031-01-02 03:04:05,678 - INFO - ",
    "[2031/01/02 03:04:05] root INFO: ",
    "2031-01-02 03:04:05.678 | INFO     | some.trainer:after_step:25 - ",
    "I20310102 03:04:05 1 root main.py:12] ",
)
SEPARATORS = (": ", ":", "=", " = ")
BETWEEN = (", ", "  ", " | ", "; ", "\t", " - ", "\n")
NAMES = (
    "loss",
    "kl_loss",
    "loss_0",
    "G_adv",
    "l1/box",
    "dice_8",
    "D_real+fake",
    "Mel Loss",
    "acc@5",
)
FORMATS = ("{:.4f}", "{:.3e}", "{:.6g}", "{!r}")
WORDS = st.one_of(
    st.sampled_from(NAMES),
    st.text(string.ascii_lowercase, min_size=3, max_size=8).map(lambda one: f"zq_{one}"),
)
VALUES = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e-12])
)


def read(content: bytes) -> Parsed:
    """Read bytes as if they were a file."""

    class Bytes(Source):
        """A source that is not on disk."""

        def read(self) -> bytes:
            return content

    return text.read(Bytes(path=Path("log.txt"), head=content[:65_536]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    position=st.sampled_from(POSITIONS),
    prefix=st.sampled_from(PREFIXES),
    separator=st.sampled_from(SEPARATORS),
    between=st.sampled_from(BETWEEN),
    layout=st.sampled_from(FORMATS),
    names=st.lists(WORDS, min_size=1, max_size=6, unique=True),
    data=st.data(),
)
def test_pairs_behind_a_position_come_back_exactly(
    position: tuple[str, tuple[str, ...]],
    prefix: str,
    separator: str,
    between: str,
    layout: str,
    names: list[str],
    data: st.DataObject,
) -> None:
    """Any position marker, names, separators and number formats give the printed numbers."""
    if between == "\n":
        prefix = ""
    count = data.draw(st.integers(2, 5))
    values = data.draw(
        st.lists(
            st.lists(VALUES, min_size=len(names), max_size=len(names)),
            min_size=count,
            max_size=count,
        )
    )
    printed = [[layout.format(value) for value in row] for row in values]
    marker, expected = position
    lines = [
        prefix
        + marker.format(e=3, i=10 * (i + 1))
        + (between if between != " - " else "  ")
        + between.join(f"{name}{separator}{value}" for name, value in zip(names, row, strict=True))
        for i, row in enumerate(printed)
    ]
    (frame,) = read("\n".join(lines).encode()).frames
    assert frame.size == count
    for index, name in enumerate(names):
        column = frame.columns[name]
        wanted = np.array([float(row[index]) for row in printed])
        np.testing.assert_array_equal(column.values, wanted, err_msg=lines[0])
    for name in expected:
        start, step = (3, 0) if name == "epoch" else (10, 10)
        assert frame.columns[name].values.tolist() == [start + step * i for i in range(count)]
    extra = set(frame.columns) - set(names) - set(expected)
    assert extra <= {"epoch_total", "iter_total", "step_total", "time"}, lines[0]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_exception(content: str) -> None:
    """Arbitrary text gives frames or none."""
    parsed = read(content.encode("utf-8", errors="replace"))
    for frame in parsed.frames:
        for column in frame.columns.values():
            assert (np.diff(column.rows) > 0).all()
            assert column.rows[-1] < frame.size


WHOLE = (
    "epoch",
    "step",
    "nan",
    "inf",
    "loss",
    "a_b",
    "10:20:30",
    "Validation",
    "Traceback",
    "损失",
)
PARTS = (
    "  ",
    "0.5",
    "--",
    "1e5",
    "\x1b[1m",
    "-----\n",
    "| x | 1 |\n",
    ": ",
    *"= 1/[](),|{'\"%\t\n\r\0.█：",
)
PIECES = st.sampled_from((*WHOLE, *PARTS))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_mixture_of_log_pieces_is_read(content: str) -> None:
    """Every column of every frame keeps its contract, however broken the log."""
    for frame in read(content.encode()).frames:
        assert frame.size > 0
        for column in frame.columns.values():
            assert len(column.rows) == len(column.values) > 0
            assert (np.diff(column.rows) > 0).all()
            assert 0 <= column.rows[0] <= column.rows[-1] < frame.size


def test_a_template_and_its_numbers_agree() -> None:
    """As many numbers are taken out as the template has slots; those inside words stay."""
    import polars as pl

    lines = pl.Series(["loss_0: -1.5e-3 x .5 1.2.3 L2 +3 9M", "nan nanx 3. -inf"])
    flat, starts = numbers(lines)
    forms = templates(lines)["template"].to_list()
    assert [form.count("\x01") for form in forms] == [6, 3]
    np.testing.assert_array_equal(flat, [-1.5e-3, 0.5, 1.2, 3, 3, 9, np.nan, 3, -np.inf])
    assert starts.tolist() == [0, 6]


def test_one_huge_line_is_shortened_with_a_remark() -> None:
    """Ten megabytes without a line end are not scanned to their end."""
    parsed = read(b"step: 1 loss: 0.5 " + b"loss: 0.5 " * 1_000_000)
    assert any(str(LINE) in one for one in parsed.remarks)


def test_only_carriage_returns() -> None:
    """A terminal dump without newlines is read line by line."""
    (frame,) = read(b"".join(b"step: %d loss: 0.5\r" % i for i in range(9))).frames
    assert frame.columns["step"].values.tolist() == list(range(9))


def test_nul_bytes_and_bad_utf8_are_said() -> None:
    """Bytes that are no text are replaced, counted, and nothing else is lost."""
    parsed = read(b"step: 1 lo\0ss: 0.5\nstep: 2 \xff\xfe loss: 0.25\nstep: 3 loss: 0.125\n")
    assert parsed.frames[0].columns["loss"].values[-1] == 0.125
    assert any("2 bytes" in one for one in parsed.remarks)


def test_utf16_is_decoded() -> None:
    """Windows consoles write UTF-16."""
    (frame,) = read("step: 1 loss: 0.5\r\nstep: 2 loss: 0.25\r\n".encode("utf-16")).frames
    assert frame.columns["loss"].values.tolist() == [0.5, 0.25]


@pytest.mark.parametrize("size", [100, 3_000])
def test_pieces_of_a_large_log_are_joined(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log is cut for reading makes no difference."""
    content = "".join(
        f"step: {i}\n  loss: {i}.5\n  kl: {i}.25\n| train/  |   |\n|    x | {i} |\n"
        for i in range(200)
    ).encode()
    whole = read(content).frames
    monkeypatch.setattr("poise.read.text.lines._CHUNK", size)
    cut = read(content).frames
    assert [list(one.columns) for one in cut] == [list(one.columns) for one in whole]
    for a, b in zip(whole, cut, strict=True):
        for name in a.columns:
            np.testing.assert_array_equal(a.columns[name].values, b.columns[name].values)
