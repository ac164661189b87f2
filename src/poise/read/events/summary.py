"""Scalars of TensorBoard events: one record by careful parsing, its look-alikes all at once.

Nearly all records of an event file differ only in wall time, step and value. So one record of a
kind is parsed field by field into a `Layout`, which says where those three lie, and every record
with the same other bytes is read from there by numpy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.read.protobuf import fields, signed, varint

_WALL, _STEP, _SUMMARY = 1, 2, 5
_VALUE = 1
_TAG, _SIMPLE, _TENSOR, _METADATA = 1, 2, 8, 9
_DTYPE, _SHAPE, _CONTENT, _HALF_VAL, _BOOL_VAL = 1, 2, 4, 13, 11
_SCALAR_PLUGINS = frozenset({b"", b"scalars"})

# DataType of TensorFlow's types.proto: how one number lies in tensor_content.
_CONTENT_DTYPES: dict[int, str] = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "<u1", 5: "<i2", 6: "<i1", 9: "<i8", 10: "<u1",
    14: "bfloat16", 17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
# Repeated fields of TensorProto with a fixed width, and those that hold variable-length integers.
_FIXED_VALS = {5: "<f4", 6: "<f8"}
_VARINT_VALS = frozenset({7, 10, _BOOL_VAL, _HALF_VAL, 16, 17})


@dataclass(frozen=True, slots=True)
class Slot:
    """One scalar of a record.

    Attributes:
        tag: Its name.
        at: Offset of its bytes in the record; -1 if it is `constant`.
        dtype: How the bytes are to be read: a numpy code, or `bfloat16`.
        constant: The number, where it is not of fixed width and so part of the layout.
    """

    tag: str
    at: int
    dtype: str = "<f4"
    constant: float = 0.0

    @property
    def width(self) -> int:
        """Bytes of the number."""
        return _width(self.dtype)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the numbers of a record lie.

    Attributes:
        wall_at: Offset of the wall time's eight bytes; -1 if the record has none.
        step_at: Offset of the step; -1 if the record has none, which means step 0.
        step_width: Bytes of the step.
        slots: The scalars, in the record's order.
        tag_at: Offset of the first tag of the summary; the bytes before it are much the same in
            all records of one layout.
    """

    wall_at: int
    step_at: int
    step_width: int
    slots: tuple[Slot, ...]
    tag_at: int = 0

    def fingerprint(self) -> tuple[int, ...]:
        """The offsets alone, which records of different tags may share."""
        places = (number for slot in self.slots for number in (slot.at, slot.width))
        return (self.wall_at, self.step_at, self.step_width, *places)


def _width(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else int(dtype[2:])


def decode(columns: NDArray[np.uint8], slot: Slot) -> NDArray[np.float64]:
    """Values of `slot` in many records.

    Args:
        columns: Records, one a column, shape (length, n).
        slot: Which scalar.

    Returns:
        Shape (n,).
    """
    if slot.at < 0:
        return np.full(len(columns.T), slot.constant)
    raw: NDArray[np.uint8] = np.ascontiguousarray(columns[slot.at : slot.at + slot.width].T)
    if slot.dtype == "bfloat16":
        high = raw.view("<u2")[:, 0].astype(np.uint32) << np.uint32(16)
        return high.view(np.float32).astype(np.float64)
    return np.frombuffer(raw.tobytes(), dtype=slot.dtype).astype(np.float64)


def layout_of(record: bytes) -> Layout | None:
    """Parse one record.

    Returns:
        Its layout, or None if it holds no scalar (a graph, a histogram, an image, text).

    Raises:
        MalformedError: The bytes are no event.

    Example:
        >>> event = bytes([0x10, 7, 0x2A, 10, 0x0A, 8, 0x0A, 1, 0x61, 0x15, 0, 0, 0x80, 0x3F])
        >>> layout_of(event).slots
        (Slot(tag='a', at=10, dtype='<f4', constant=0.0),)
    """
    wall_at = step_at = -1
    step_width = 0
    slots: list[Slot] = []
    for number, wire, start, stop in fields(record, 0, len(record)):
        if number == _WALL and wire == 1:
            wall_at = start
        elif number == _STEP and wire == 0:
            step_at, step_width = start, stop - start
        elif number == _SUMMARY and wire == 2:
            slots += _summary(record, start, stop)
    if not slots:
        return None
    tag_at = max(record.find(slots[0].tag.encode()), 0)
    return Layout(wall_at, step_at, step_width, tuple(slots), tag_at)


def _summary(record: bytes, start: int, stop: int) -> Iterator[Slot]:
    for number, wire, first, last in fields(record, start, stop):
        if number == _VALUE and wire == 2:
            slot = _value(record, first, last)
            if slot is not None:
                yield slot


def _value(record: bytes, start: int, stop: int) -> Slot | None:
    found = {number: (wire, a, b) for number, wire, a, b in fields(record, start, stop)}
    if _TAG not in found or _plugin(record, found.get(_METADATA)) not in _SCALAR_PLUGINS:
        return None
    tag = record[found[_TAG][1] : found[_TAG][2]].decode("utf-8", "replace")
    if _SIMPLE in found and found[_SIMPLE][0] == 5:
        return Slot(tag, found[_SIMPLE][1])
    if _TENSOR in found and found[_TENSOR][0] == 2:
        return _tensor(record, tag, *found[_TENSOR][1:])
    return None


def _plugin(record: bytes, metadata: tuple[int, int, int] | None) -> bytes:
    """Name of the plugin a value was written for; empty if it does not say."""
    if metadata is None or metadata[0] != 2:
        return b""
    for number, wire, start, stop in fields(record, metadata[1], metadata[2]):
        if number == 1 and wire == 2:
            for inner, kind, first, last in fields(record, start, stop):
                if inner == 1 and kind == 2:
                    return record[first:last]
    return b""


def _tensor(record: bytes, tag: str, start: int, stop: int) -> Slot | None:
    found = {number: (wire, a, b) for number, wire, a, b in fields(record, start, stop)}
    if _DTYPE not in found or not _is_scalar(record, found.get(_SHAPE)):
        return None
    dtype = _CONTENT_DTYPES.get(varint(record, *found[_DTYPE][1:])[0])
    if dtype is None:
        return None
    if _CONTENT in found and found[_CONTENT][2] > found[_CONTENT][1]:
        fits = found[_CONTENT][2] - found[_CONTENT][1] == _width(dtype)
        return Slot(tag, found[_CONTENT][1], dtype) if fits else None
    for number, (wire, first, last) in found.items():
        if number in _FIXED_VALS:
            return _fixed(tag, wire, first, last, _FIXED_VALS[number])
        if number in _VARINT_VALS:
            return Slot(tag, -1, dtype, _integer(varint(record, first, last)[0], dtype))
    return Slot(tag, -1, dtype, 0.0)  # a tensor without content holds zeros


def _fixed(tag: str, wire: int, first: int, last: int, dtype: str) -> Slot | None:
    if wire not in (1, 2, 5) or last - first != _width(dtype):
        return None
    return Slot(tag, first, dtype)


def _integer(number: int, dtype: str) -> float:
    """A number of an int_val, int64_val, bool_val or half_val field (halves are stored as bits)."""
    if dtype == "<f2":
        return float(np.array([number & 0xFFFF], dtype=np.uint16).view(np.float16)[0])
    if dtype == "bfloat16":
        return float(np.array([(number & 0xFFFF) << 16], dtype=np.uint32).view(np.float32)[0])
    return float(number if dtype == "<u8" else signed(number))


def _is_scalar(record: bytes, shape: tuple[int, int, int] | None) -> bool:
    """True for a shape with one element."""
    if shape is None or shape[0] != 2:
        return True
    for number, wire, start, stop in fields(record, shape[1], shape[2]):
        if number == 3:  # unknown rank
            return False
        if number == 2 and wire == 2 and _dimension(record, start, stop) != 1:
            return False
    return True


def _dimension(record: bytes, start: int, stop: int) -> int:
    for number, wire, first, last in fields(record, start, stop):
        if number == 1 and wire == 0:
            return varint(record, first, last)[0]
    return 0
