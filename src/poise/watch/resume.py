"""Where a run that is continued had come to."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from poise.record.schema import FILE, Record, decode

_CHUNK = 1 << 16


def last_place(directory: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Steps and micro-batches done according to the last record of a run; None if it has none.

    The file is read from its end, as far as the last record of a step.

    Example:
        >>> last_place("/nonexistent") is None
        True
    """
    try:
        with (Path(directory) / FILE).open("rb") as file:
            for line in _from_end(file):
                record = decode(line)
                if record is not None and record.get("kind") == "step":
                    return _next(record)
    except OSError:
        pass  # the recorder says what is wrong with the directory
    return None


def _from_end(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, the last one first."""
    at = file.seek(0, os.SEEK_END)
    parts: list[bytes] = []  # of the line whose beginning is not reached yet, the last one first
    while at > 0:
        size = min(_CHUNK, at)
        at -= size
        file.seek(at)
        first, *others = file.read(size).split(b"\n")
        if others:
            yield b"".join([others.pop(), *reversed(parts)])
            yield from reversed(others)
            parts = []
        parts.append(first)
    yield b"".join(reversed(parts))


def _next(record: Record) -> tuple[int, int] | None:
    step, micro = record.get("step"), record.get("micro")
    if type(step) is not int:
        return None
    return step + 1, (micro if type(micro) is int else step) + 1
