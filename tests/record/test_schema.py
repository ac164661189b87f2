"""One line of a run record, written and read back."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.errors import RecordError
from poise.record.schema import decode, decoded, encode, encode_free, number

NUMBERS = st.one_of(
    st.floats(allow_subnormal=True),
    st.integers(-(10**40), 10**40),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**64, -(2**63) - 1, 10**400]),
)
NAMES = st.text()


def same(one: object, two: object) -> bool:
    """Equal to the last bit, integers beside floats of their value."""
    if isinstance(one, float) and isinstance(two, float):
        return struct.pack("d", one) == struct.pack("d", two) or (one != one and two != two)
    return one == two


@given(st.dictionaries(NAMES, NUMBERS), NUMBERS)
def test_numbers_and_names_survive(terms: dict[str, float], total: float) -> None:
    """Any name and any number come back as they were, from one line of strict JSON."""
    line = encode({"kind": "step", "step": 1, "total": total, "terms": terms})
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    json.loads(line, parse_constant=lambda name: pytest.fail(f"bare {name}"))
    record = decode(line)
    assert record is not None
    back = decoded(record)["terms"]
    assert list(back) == list(terms)
    for name, value in terms.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            assert number(back[name]) == number(value)  # orjson reads these as the nearest float
        else:
            assert same(back[name], value)


def test_huge_integers_are_written_digit_by_digit() -> None:
    """What a float cannot hold is in the file all the same."""
    assert b'{"n":%d}' % (2**80 + 1) in encode({"kind": "step", "counts": {"n": 2**80 + 1}})


@pytest.mark.parametrize("value", [np.float32(0.1), np.float64(0.1), np.int64(3), True])
def test_numbers_of_other_libraries(value: float) -> None:
    """Scalars of numpy are numbers, exactly."""
    record = decode(encode({"kind": "step", "total": value}))
    assert record is not None
    assert record["total"] == float(value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"terms": {"ce": "high"}}, r"terms 'ce': expected a number, got str 'high'"),
        ({"terms": {"ce": None}}, r"terms 'ce': expected a number, got NoneType"),
        ({"terms": {3: 0.5}}, r"terms: expected names that are texts, got int 3"),
        ({"lr": [0.1, [0.2]]}, r"lr: expected a number, got list"),
        ({"terms": {"a\ud800": 0.5}}, r"got a lone surrogate in .*a\\\\?ud800"),
        ({"total": 10**5000}, r"expected values that JSON can hold"),
    ],
)
def test_misuse_is_named(record: dict[str, object], message: str) -> None:
    """What is no number and no name raises, and the message says where."""
    with pytest.raises(RecordError, match=message):
        encode({"kind": "step", **record})


def test_free_records_nest() -> None:
    """A probe of any shape comes back, its numbers that JSON cannot spell as texts."""
    line = encode_free({"kind": "probe", "a": {"b": [1, None, (math.nan, "x")], "c": True}})
    assert decode(line) == {"kind": "probe", "a": {"b": [1, None, ["NaN", "x"]], "c": True}}


def test_nesting_without_end_is_refused() -> None:
    """A structure that contains itself raises a RecordError, not a RecursionError."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(RecordError, match="flatter structure"):
        encode_free({"kind": "probe", "loop": loop})


@pytest.mark.parametrize(
    "line",
    [b"", b"3", b"[]", b'{"a":NaN}', b'{"a":1', b"\xff", b'{"\\ud800":1}', b"[" * 100_000],
)
def test_what_is_no_record(line: bytes) -> None:
    """Lines that hold no strict JSON object of Unicode text are told apart."""
    assert decode(line) is None
