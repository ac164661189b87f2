"""Tiny writers of event files and W&B run files, independent of the code under test.

And two views of what a reader made of them.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from poise.read.frame import Frame, Parsed
from poise.read.source import Source


class _Memory(Source):
    def __init__(self, *, path: Path, head: bytes, data: bytes) -> None:
        super().__init__(path=path, head=head)
        object.__setattr__(self, "data", data)

    def read(self) -> bytes:
        """The bytes it was made of."""
        return self.data


def source(data: bytes, path: str = "/nowhere/events.out.tfevents.1") -> Source:
    """A source whose bytes need no file."""
    return _Memory(path=Path(path), head=data[:65536], data=data)


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """Checksum as TFRecord files store it."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(payload: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def varint(number: int) -> bytes:
    """A variable-length integer; negative numbers take ten bytes."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def integer(number: int, value: int) -> bytes:
    """A varint field."""
    return varint(number << 3) + varint(value)


def simple(tag: str, value: float) -> bytes:
    """A Summary.Value with a plain float."""
    return message(1, message(1, tag.encode()) + b"\x15" + struct.pack("<f", value))


def tensor(tag: str, body: bytes, *, plugin: str = "scalars") -> bytes:
    """A Summary.Value with the fields of a TensorProto."""
    metadata = message(9, message(1, message(1, plugin.encode())))
    return message(1, message(1, tag.encode()) + metadata + message(8, body))


def event(step: int, *values: bytes, wall: float = 1e9) -> bytes:
    """One Event with a summary of `values`; step 0 is left out, as proto3 does."""
    count = integer(2, step) if step else b""
    return b"\x09" + struct.pack("<d", wall) + count + message(5, b"".join(values))


def event_file(scalars: Iterable[tuple[int, str, float]], *, wall: float = 1e9) -> bytes:
    """A file with one event per (step, tag, value), a second apart."""
    out = [record(b"\x09" + struct.pack("<d", wall) + message(3, b"brain.Event:2"))]
    out += [
        record(event(step, simple(tag, value), wall=wall + number))
        for number, (step, tag, value) in enumerate(scalars)
    ]
    return b"".join(out)


def history(items: dict[str, str], *, step: int | None = None, nested: bool = False) -> bytes:
    """A W&B history record from names to JSON texts; names are split at `/` if `nested`."""
    out = b""
    for name, text in items.items():
        keys = name.split("/") if nested else [name]
        key = b"".join(message(2 if nested else 1, one.encode()) for one in keys)
        out += message(1, key + message(16, text.encode()))
    if step is not None:
        out += message(2, integer(1, step) if step else b"")
    return integer(1, 7) + message(2, out)


def wandb_file(records: Iterable[bytes]) -> bytes:
    """A run file: header, then records cut into the blocks of a LevelDB log."""
    out = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for payload in records:
        rest, begun = payload, False
        while True:
            room = 32768 - len(out) % 32768
            if room < 7:
                out += bytes(room)
                room = 32768
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = (3 if begun else 2) if rest else (4 if begun else 1)
            crc = zlib.crc32(bytes([kind]) + piece)
            out += struct.pack("<IHB", crc, len(piece), kind) + piece
            begun = True
            if not rest:
                break
    return bytes(out)


def columns(frame: Frame) -> dict[str, list[tuple[int, float]]]:
    """Every column as (step, value) pairs."""
    steps = frame.columns["step"].values
    return {
        name: [(int(steps[row]), value) for row, value in zip(one.rows, one.values, strict=True)]
        for name, one in frame.columns.items()
        if name != "step"
    }


def only(parsed: Parsed) -> Frame:
    """The single frame of a file."""
    assert len(parsed.frames) == 1
    return parsed.frames[0]
