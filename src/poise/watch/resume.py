"""Where a run that is continued had come to."""

import os
from pathlib import Path

from poise.record.schema import FILE, Record, decode

_TAIL = 1 << 16


def last_place(directory: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Steps and micro-batches done according to the last record of a run; None if it has none.

    Only the end of the file is read.

    Example:
        >>> last_place("/nonexistent") is None
        True
    """
    path = Path(directory) / FILE
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        record = decode(line)
        if record is not None and record.get("kind") == "step":
            return _next(record)
    return None


def _next(record: Record) -> tuple[int, int] | None:
    step, micro = record.get("step"), record.get("micro")
    if type(step) is not int:
        return None
    return step + 1, (micro if type(micro) is int else step) + 1
