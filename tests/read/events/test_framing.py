"""TFRecord framing: checksums and where records lie."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.read.events.framing import begins_record, masked_crc, masked_crcs, scan, stack
from tests.read.binaries import crc32c, masked, record


def test_the_checksum_is_crc32c() -> None:
    """The published check value, then this module's and the bitwise version against each other."""
    assert crc32c(b"123456789") == 0xE3069283
    assert masked_crc(b"123456789") == int.from_bytes(masked(b"123456789"), "little")


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 40).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1))
)
def test_many_checksums_at_once(payloads: list[bytes]) -> None:
    """The vectorised checksum equals the plain one."""
    rows = np.array([list(one) for one in payloads], dtype=np.uint8).reshape(len(payloads), -1)
    assert masked_crcs(rows.T).tolist() == [masked_crc(one) for one in payloads]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=12), st.binary(min_size=13, max_size=60))
def test_records_around_junk(payloads: list[bytes], junk: bytes) -> None:
    """Everything before and behind junk is found, and only that."""
    half = len(payloads) // 2
    data = b"".join(map(record, payloads[:half])) + junk + b"".join(map(record, payloads[half:]))
    found = scan(data)
    pieces = [
        data[start : start + length]
        for start, length in zip(found.starts, found.lengths, strict=True)
    ]
    assert pieces == payloads
    assert len(found.remarks) == 1


def test_zeros_are_no_records() -> None:
    """A file that was allocated and never written; its time must not grow with the square."""
    found = scan(record(b"abc") + bytes(5_000_000))
    assert len(found.starts) == 1
    assert found.remarks == ("5000000 bytes of damaged records were passed over",)


def test_many_damaged_records_are_no_hang() -> None:
    """Every other length is wrong."""
    good = record(b"x" * 9)
    bad = struct.pack("<Q", 9) + b"....." + good[13:]
    found = scan((good + bad) * 20_000)
    assert len(found.starts) == 20_000


def test_begins_record() -> None:
    """A length without its checksum is none."""
    assert begins_record(record(b"abc"))
    assert not begins_record(bytes(16))
    assert not begins_record(record(b"abc")[:11])


def test_stack() -> None:
    """Pieces of one length become rows; of no length, empty rows."""
    assert stack(b"abcdef", [0, 3], 3).tolist() == [[97, 98, 99], [100, 101, 102]]
    assert stack(b"abc", [0, 1], 0).shape == (2, 0)
