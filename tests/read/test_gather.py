"""Records become columns exactly, whatever their order and shape."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import gather
from poise.read.gather import Gather, to_number

NAMES = st.sampled_from(["step", "loss", "a", "b/c", "é"])


@given(st.lists(st.dictionaries(NAMES, st.floats(allow_nan=True) | st.none()), max_size=40))
def test_every_value_comes_back_at_its_row(records: list[dict[str, float | None]]) -> None:
    """Row by row, nothing is lost, moved or invented; a null is not NaN."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "_CHUNK", 7)  # so that chunks end in the middle
        one = Gather()
        for record in records:
            one.add(record)
        frame = one.frame()
    assert frame.size == len(records)
    for name in {name for record in records for name in record}:
        want = [(row, r[name]) for row, r in enumerate(records) if r.get(name) is not None]
        if not want:
            assert name not in frame.columns
            continue
        column = frame.columns[name]
        assert column.rows.tolist() == [row for row, _ in want]
        np.testing.assert_array_equal(column.values, [value for _, value in want])


def test_columns_of_every_record_share_their_rows() -> None:
    """One array of rows serves all columns that are mentioned together."""
    one = Gather()
    for step in range(20_000):
        one.add({"step": step, "a": 1.0, "b": 2.0} if step % 10 else {"val": 1.0})
    frame = one.frame()
    assert frame.columns["a"].rows is frame.columns["b"].rows
    assert len(frame.columns["val"].rows) == 2_000


def test_nested_objects_lists_and_text() -> None:
    """Objects become paths, short lists numbered names, text is dropped."""
    one = Gather()
    one.add({"a": {"b": {"c": 1}}, "ap": [0.5, {"x": 2}], "name": "alpha", "n": "3.5", "ok": True})
    assert {name: column.values.tolist() for name, column in one.frame().columns.items()} == {
        "a/b/c": [1.0],
        "ap.0": [0.5],
        "ap.1/x": [2.0],
        "n": [3.5],
        "ok": [1.0],
    }


def test_long_lists_and_deep_objects_are_left_out_and_named() -> None:
    """What is no metric is left out with a remark."""
    one = Gather()
    deep: dict[str, object] = {"x": 1}
    for _ in range(9):
        deep = {"x": deep}
    one.add({"loss": 1.0, "histogram": list(range(100)), "deep": deep})
    assert list(one.frame().columns) == ["loss"]
    assert len(one.remarks) == 2
    assert "'histogram'" in one.remarks[0]


def test_a_chunk_with_one_odd_value_keeps_the_others() -> None:
    """Text between numbers costs that value alone."""
    one = Gather()
    for value in (1, "2", "oops", None, 10**400, "inf"):
        one.add({"loss": value, "other": 7})
    frame = one.frame()
    assert frame.columns["loss"].values.tolist() == [1.0, 2.0, math.inf, math.inf]
    assert frame.columns["loss"].rows.tolist() == [0, 1, 4, 5]
    assert len(frame.columns["other"].values) == 6


def test_too_many_names_are_refused() -> None:
    """A record of a million names is no log."""
    one = Gather()
    one.add({str(index): 1.0 for index in range(20_000)})
    with pytest.raises(ReadError, match="differently named"):
        one.frame()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1e-3", 0.001),
        ("12%", 12.0),
        ("1_000", None),
        ("0x10", None),
        ("x" * 999, None),
        ([], None),
    ],
)
def test_to_number(value: object, number: float | None) -> None:
    """Only what a person would call a number is one."""
    assert to_number(value) == number
