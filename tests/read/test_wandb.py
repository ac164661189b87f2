"""W&B offline run files: history, partial rows, blocks, damage."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import wandb
from poise.read.frame import Parsed
from poise.read.source import open_source
from tests.read.binaries import history, integer, message, source, wandb_file


def values(parsed: Parsed) -> dict[str, list[float]]:
    """All columns of the only frame."""
    assert len(parsed.frames) == 1
    return {name: one.values.tolist() for name, one in parsed.frames[0].columns.items()}


def row(step: int, **logged: float) -> bytes:
    """One history record with its step among the items."""
    items = {name: repr(value) for name, value in logged.items()}
    return history({**items, "_step": str(step), "_runtime": str(2.5 * step)})


CONFIG = integer(1, 1) + message(5, message(1, message(1, b"lr") + message(16, b"0.1")))
RUN = integer(1, 2) + message(17, message(1, b"kidwmn3a") + message(3, b"some project"))
SUMMARY = integer(1, 3) + message(3, message(1, message(1, b"loss") + message(16, b"9.0")))


def test_history_alone_is_read() -> None:
    """Config, run and summary records carry names too, and are no history."""
    data = wandb_file([RUN, CONFIG, row(0, loss=2.5), SUMMARY, row(1, loss=1.5)])
    parsed = wandb.read(source(data))
    assert values(parsed) == {"loss": [2.5, 1.5], "_step": [0.0, 1.0], "_runtime": [0.0, 2.5]}
    assert parsed.remarks == ()


def test_records_of_one_step_are_one_row() -> None:
    """Partial rows merge; a repeated key or another step begins a row."""
    parts = [row(3, a=1.0), row(3, b=2.0), row(4, a=3.0), row(4, a=4.0)]
    parsed = wandb.read(source(wandb_file(parts)))
    frame = parsed.frames[0]
    assert frame.size == 3
    assert frame.columns["_step"].values.tolist() == [3, 4, 4]
    assert frame.columns["a"].values.tolist() == [1, 3, 4]
    assert frame.columns["b"].rows.tolist() == [0]


def test_records_without_a_step_stay_apart() -> None:
    """Without a step nothing says that two records belong together."""
    parsed = wandb.read(source(wandb_file([history({"a": "1"}), history({"b": "2"})])))
    assert parsed.frames[0].size == 2


def test_nested_keys_and_objects() -> None:
    """Nested keys and nested objects are joined by slashes."""
    rows = [
        history({"train/loss": "1.5", "_step": "0"}, nested=True),
        history({"val": '{"loss": 2.5, "deep": {"x": 3}}', "_step": "1"}),
    ]
    found = values(wandb.read(source(wandb_file(rows))))
    assert found == {
        "train/loss": [1.5], "_step": [0, 1], "val/loss": [2.5], "val/deep/x": [3],
    }  # fmt: skip


def test_media_text_and_truth_values_are_left_out() -> None:
    """Only numbers are logged quantities."""
    items = {
        "image": '{"_type": "image-file", "width": 64, "size": 900}',
        "table": '{"inner": {"_type": "table-file", "nrows": 3}, "kept": 4}',
        "note": '"12 words"',
        "flag": "true",
        "nothing": "null",
        "broken": "{",
        "loss": "0.5",
    }
    found = values(wandb.read(source(wandb_file([history({**items, "_step": "1"})]))))
    assert found == {"table/kept": [4], "loss": [0.5], "_step": [1]}


@pytest.mark.parametrize("quoted", [True, False])
def test_non_finite_values_survive(quoted: bool) -> None:
    """W&B writes them bare or as strings."""
    texts = [f'"{one}"' if quoted else one for one in ("NaN", "Infinity", "-Infinity")]
    rows = [history({"x": text, "_step": str(step)}) for step, text in enumerate(texts)]
    found = wandb.read(source(wandb_file(rows))).frames[0].columns["x"].values
    np.testing.assert_array_equal(found, [math.nan, math.inf, -math.inf])


def test_a_step_beside_the_items() -> None:
    """Newer clients write the step as a field of the history record; zero is not written out."""
    rows = [
        history({"x": "1.0"}, step=0),
        history({"x": "2.0"}, step=1),
        history({"y": "3"}, step=1),
    ]
    found = values(wandb.read(source(wandb_file(rows))))
    assert found == {"_step": [0, 1], "x": [1, 2], "y": [3]}


def test_records_across_blocks() -> None:
    """A record longer than a block and many that end near a block's end are put together."""
    names = [f"layer_{index}/weight_norm" for index in range(2500)]
    wide = history({name: f"{index}.5" for index, name in enumerate(names)} | {"_step": "0"})
    assert len(wide) > 2 * 32768
    rows = [wide, *(row(step, loss=step / 2) for step in range(1, 3000))]
    parsed = wandb.read(source(wandb_file(rows)))
    frame = parsed.frames[0]
    assert (frame.size, parsed.remarks) == (3000, ())
    assert frame.columns[names[-1]].values.tolist() == [2499.5]
    assert frame.columns["loss"].values.tolist() == [step / 2 for step in range(1, 3000)]


SMALL = wandb_file([RUN, *(row(step, loss=step + 0.5) for step in range(5))])


def test_truncated_at_every_byte() -> None:
    """Whatever byte a file ends at, the complete records before it are read."""
    whole = [step + 0.5 for step in range(5)]
    lengths = set()
    for size in range(len(SMALL)):
        try:
            parsed = wandb.read(source(SMALL[:size]))
        except ReadError:
            continue
        part = values(parsed)["loss"]
        assert part == whole[: len(part)]
        assert not parsed.remarks or f"cut off at byte {size}" in parsed.remarks[0]
        lengths.add(len(part))
    assert lengths == {1, 2, 3, 4}


def test_one_damaged_byte_lets_no_wrong_value_through() -> None:
    """A damaged piece is left out and said; a damaged length loses the rest of its block."""
    for at in range(7, len(SMALL)):
        data = bytearray(SMALL)
        data[at] ^= 0x41
        try:
            parsed = wandb.read(source(bytes(data)))
        except ReadError:
            continue
        found = values(parsed)
        assert found["loss"] == [step + 0.5 for step in found["_step"]]
        assert len(parsed.remarks) == 1


def test_reading_goes_on_at_the_next_block() -> None:
    """Damage in one block does not cost the following ones."""
    data = bytearray(wandb_file([row(step, loss=1.0 * step) for step in range(3000)]))
    data[40_000:45_000] = bytes(range(250)) * 20
    parsed = wandb.read(source(bytes(data)))
    steps = parsed.frames[0].columns["_step"].values
    assert (steps[0], steps[-1]) == (0, 2999)
    assert 2000 < len(steps) < 3000
    assert "damaged" in parsed.remarks[0]


def test_without_history() -> None:
    """A run that never logged is an error with what to do next."""
    with pytest.raises(ReadError, match=r"without logged numbers; was wandb\.log called\?"):
        wandb.read(source(wandb_file([RUN, CONFIG])))


def test_matches() -> None:
    """The header tells."""
    assert wandb.matches(source(SMALL))
    assert not wandb.matches(source(b'{"_step": 1}', "/r/run-abc.wandb"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(7, len(SMALL)), st.integers(7, len(SMALL)))
def test_any_bytes_are_read_or_refused(junk: bytes, start: int, stop: int) -> None:
    """Junk as a file, inside a file, as a record and as a history gives ReadError or Parsed."""
    framed = wandb_file([row(0, x=1.0), junk, message(2, junk), message(2, message(1, junk))])
    for data in (junk, SMALL[:start] + junk + SMALL[stop:], framed):
        try:
            parsed = wandb.read(source(data))
        except ReadError:
            continue
        assert parsed.frames[0].size > 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_json_text_is_a_number_or_nothing(text: str) -> None:
    """The value of an item may be anything."""
    parsed = wandb.read(source(wandb_file([history({"x": text, "y": "1", "_step": "0"})])))
    assert parsed.frames[0].columns["y"].values.tolist() == [1.0]


def test_deeply_nested_values() -> None:
    """Objects inside objects without end are no stack overflow."""
    deep = '{"a":' * 900 + "1" + "}" * 900
    for text in (deep, "[" * 5000, deep * 2):
        parsed = wandb.read(source(wandb_file([history({"x": text, "y": "1", "_step": "0"})])))
        assert set(parsed.frames[0].columns) == {"y", "_step"}


def test_real_log(corpus: Callable[[str], Path]) -> None:
    """A real run: 300 records whose total is one loss plus five times the other."""
    opened = open_source(corpus("26_"))
    assert wandb.matches(opened)
    parsed = wandb.read(opened)
    found = {name: one.values for name, one in parsed.frames[0].columns.items()}
    assert (parsed.frames[0].size, parsed.remarks) == (300, ())
    assert [found[one][0] for one in ("train loss", "f loss", "data loss")] == pytest.approx(
        [3.0413, 1.5411, 0.3000], abs=5e-5
    )
    assert found["train loss"][-1] == pytest.approx(0.109, abs=5e-4)
    np.testing.assert_allclose(
        found["train loss"], found["f loss"] + 5 * found["data loss"], rtol=1e-5
    )
