"""The wire format: fields, integers, and what is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.read.protobuf import MalformedError, fields, signed, varint
from tests.read import binaries


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_round_trip(number: int) -> None:
    """Every int64 is what it was, and its end is found."""
    data = binaries.varint(number)
    found, end = varint(data + b"\x01", 0, len(data) + 1)
    assert (signed(found), end) == (number, len(data))


@pytest.mark.parametrize(
    "data",
    [b"\x80", b"\x80" * 11, b"\x0a\x05ab", b"\x0b", b"\x09\x00", b"\x00\x00", b"\x0d\x00\x00"],
)
def test_what_is_no_message(data: bytes) -> None:
    """Cut off integers and fields, unknown wire types and field zero are refused."""
    with pytest.raises(MalformedError, match="byte"):
        list(fields(data, 0, len(data)))


@given(st.binary(max_size=60))
def test_any_bytes_end(data: bytes) -> None:
    """Fields of arbitrary bytes lie inside them and follow each other."""
    last = 0
    try:
        for _, _, start, stop in fields(data, 0, len(data)):
            assert last < start <= stop <= len(data)
            last = stop
    except MalformedError:
        pass
