"""LevelDB log framing, as W&B offline run files use it: payloads in pieces, in blocks of 32 KiB."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK = 32_768
_PIECE = struct.Struct("<IHB")
_DAMAGED, _FULL, _FIRST, _MIDDLE, _LAST = range(5)


@dataclass(slots=True)
class Damage:
    """What could not be read; filled while `payloads` runs.

    Attributes:
        pieces: Pieces that were left out: checksum wrong, of no known kind, or without their rest.
        cut: The file ends within a piece.
    """

    pieces: int = field(default=0)
    cut: bool = field(default=False)


def payloads(data: bytes, start: int, damage: Damage) -> Iterator[bytes]:
    """All complete payloads of a log; never raises.

    A damaged piece loses its payload; reading goes on at the next block, where a piece always
    begins.

    Args:
        data: The whole file; blocks are counted from its first byte.
        start: Where the first piece begins, behind the file's own header.
        damage: Is told what was left out.
    """
    parts: list[bytes] | None = None
    for kind, piece in _pieces(data, start, damage):
        if kind == _DAMAGED:
            parts = None
            continue
        whole, parts = _joined(piece, kind, parts, damage)
        if whole is not None:
            yield whole
    damage.cut |= parts is not None


def _pieces(data: bytes, start: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of every piece; kind `_DAMAGED` where one had to be left out."""
    at, size = start, len(data)
    while at < size:
        block_end = at + BLOCK - at % BLOCK
        if block_end - at < _PIECE.size:
            at = block_end
            continue
        if size - at < _PIECE.size:
            damage.cut = True
            return
        crc, length, kind = _PIECE.unpack_from(data, at)
        first = at + _PIECE.size
        stop = first + length
        at = stop
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or stop > block_end:
            at = block_end
            # Zeros are the rest of a block that was never filled, not damage.
            if crc or length or kind:
                damage.pieces += 1
                yield _DAMAGED, b""
        elif stop > size:
            damage.cut = True
        elif zlib.crc32(data[first:stop], zlib.crc32(bytes([kind]))) == crc:
            yield kind, data[first:stop]
        else:
            damage.pieces += 1
            yield _DAMAGED, b""


def _joined(
    piece: bytes, kind: int, parts: list[bytes] | None, damage: Damage
) -> tuple[bytes | None, list[bytes] | None]:
    """Add a piece to what was begun; returns a finished payload, and what is still open."""
    if kind in (_FULL, _FIRST):
        damage.pieces += parts is not None
        return (piece, None) if kind == _FULL else (None, [piece])
    if parts is None:  # the beginning was left out, and counted then
        return None, None
    parts.append(piece)
    return (b"".join(parts), None) if kind == _LAST else (None, parts)
