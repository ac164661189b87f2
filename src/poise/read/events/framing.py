"""TFRecord framing: where the records of an event file begin, checked by their checksums.

A record is its length (uint64), the length's checksum (uint32), the payload and the payload's
checksum (uint32), all little-endian. Checksums are CRC-32C, rotated and offset ("masked").
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from poise.run import Ints

Bytes: TypeAlias = NDArray[np.uint8]
Words: TypeAlias = NDArray[np.uint32]

HEADER = struct.Struct("<QI")
TRAILER = 4
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_CHUNK = 1 << 20


def _table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _table()
_TABLE_ARRAY: Words = np.array(_TABLE, dtype=np.uint32)


def masked_crc(data: bytes) -> int:
    """Checksum of `data` as TFRecord files store it; for short data, about 50 ns a byte.

    Example:
        >>> hex(masked_crc(bytes([24, 0, 0, 0, 0, 0, 0, 0])))
        '0x224b7fa3'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crcs(columns: Bytes) -> Words:
    """Checksums of many payloads of one length.

    Args:
        columns: One payload a *column*, shape (length, n), so that every step runs over all n.

    Returns:
        Masked checksums, shape (n,).
    """
    crc: Words = np.full(len(columns.T), 0xFFFFFFFF, dtype=np.uint32)
    for column in columns:
        table: Words = _TABLE_ARRAY[(crc & np.uint32(0xFF)) ^ column]
        crc = np.bitwise_xor(crc >> np.uint32(8), table, dtype=np.uint32)
    crc = np.invert(crc)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)


@lru_cache(maxsize=4096)
def _length_crc(length: int) -> int:
    return masked_crc(length.to_bytes(8, "little"))


def begins_record(data: bytes, at: int = 0) -> bool:
    """True if a record's length and its valid checksum stand at `at`."""
    if len(data) - at < HEADER.size:
        return False
    length, crc = HEADER.unpack_from(data, at)
    return _length_crc(length) == crc


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Where the records of one file lie.

    Attributes:
        starts: First byte of every payload, increasing, shape (n,).
        lengths: Bytes of every payload, shape (n,).
        remarks: What was passed over, one sentence each.
    """

    starts: Ints
    lengths: Ints
    remarks: tuple[str, ...] = field(default=())


def scan(data: bytes) -> Records:
    """Find all complete records of `data`; never raises.

    Behind a damaged length the scan goes on at the next place where a length and its checksum
    agree. Time and memory grow linearly with `data`, whatever it holds.
    """
    starts: list[int] = []
    stops: list[int] = []
    lost = 0
    headers: Ints | None = None
    at = _chain(data, 0, starts, stops)
    while len(data) - at >= HEADER.size and not begins_record(data, at):
        if headers is None:
            headers = _headers(data)
        place = int(np.searchsorted(headers, at))
        onward = int(headers[place]) if place < len(headers) else len(data)
        lost += onward - at
        at = _chain(data, onward, starts, stops)
    remarks = _remarks(lost, at, len(data))
    first = np.array(starts, dtype=np.int64)
    return Records(starts=first, lengths=np.array(stops, dtype=np.int64) - first, remarks=remarks)


def _chain(data: bytes, at: int, starts: list[int], stops: list[int]) -> int:
    """Follow the records from `at` on; returns where the first incomplete or damaged one begins."""
    known: dict[int, int] = {}
    unpack, size, last = HEADER.unpack_from, HEADER.size, len(data) - HEADER.size
    while at <= last:
        length, crc = unpack(data, at)
        if known.get(length) != crc:
            if _length_crc(length) != crc:
                break
            known[length] = crc
        first = at + size
        stop = first + length
        if stop + TRAILER > len(data):
            break
        starts.append(first)
        stops.append(stop)
        at = stop + TRAILER
    return at


def _headers(data: bytes) -> Ints:
    """Every position with a length below 2**40 and its checksum, increasing."""
    raw = np.frombuffer(data, dtype=np.uint8)
    found: list[Ints] = []
    for base in range(0, len(data) - HEADER.size + 1, _CHUNK):
        part = raw[base : base + _CHUNK + HEADER.size - 1]
        size = len(part) - HEADER.size + 1
        # The three highest bytes of any real length are zero: that leaves few to check.
        quiet = (part[5 : 5 + size] | part[6 : 6 + size] | part[7 : 7 + size]) == 0
        places = np.flatnonzero(quiet)
        if not len(places):
            continue
        heads = np.lib.stride_tricks.sliding_window_view(part, HEADER.size)[places]
        stored = np.ascontiguousarray(heads[:, 8:]).view("<u4")[:, 0]
        good = masked_crcs(np.ascontiguousarray(heads[:, :8].T)) == stored
        found.append(places[good].astype(np.int64) + base)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _remarks(lost: int, at: int, size: int) -> tuple[str, ...]:
    notes: list[str] = []
    if lost:
        notes.append(f"{lost} bytes of damaged records were passed over")
    if at < size:
        notes.append(f"the last record is cut off at byte {size}; everything before it was read")
    return tuple(notes)


def stack(data: bytes, starts: Sequence[int] | Ints, length: int) -> Bytes:
    """Bytes of many pieces of one length, shape (len(starts), length)."""
    raw = np.frombuffer(data, dtype=np.uint8)
    if length == 0 or len(starts) == 0:
        return np.empty((len(starts), length), dtype=np.uint8)
    return np.lib.stride_tricks.sliding_window_view(raw, length)[np.asarray(starts)]
