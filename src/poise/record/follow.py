"""Reads a run record while it grows."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from poise.errors import ReadError
from poise.record.schema import FILE, Record, decode, decoded

_BLOCK = 16 << 20


class Follower:
    """Reads what was appended to a run record since it was last asked.

    Args:
        path: The run directory or its file; it need not exist yet.

    Attributes:
        path: The file.
        skipped: Complete lines that are no records.

    Example:
        >>> Follower("no/such/run").poll()
        []
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Path(path)
        self.path = given if given.suffix == Path(FILE).suffix else given / FILE
        self.skipped = 0
        self._offset = 0
        self._tail: list[bytes] = []

    def poll(self) -> list[Record]:
        """Records of the lines that were completed since, at most about 16 MiB of them.

        Values are as written, with the non-finite numbers of `step` and `eval` records as floats.
        A line without its end waits for the rest.

        Raises:
            ReadError: The file cannot be read, or has become shorter.
        """
        records: list[Record] = []
        while not records and (block := self._appended()):
            end = block.rfind(b"\n")
            if end < 0:
                self._tail.append(block)
                continue
            lines = b"".join((*self._tail, block[:end])).split(b"\n")
            self._tail = [block[end + 1 :]]
            found = [decode(line) for line in lines if line.strip()]
            records = [decoded(one) for one in found if one is not None]
            self.skipped += len(found) - len(records)
        return records

    def _appended(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self._offset)
                block = file.read(_BLOCK)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise ReadError(
                f"{self.path}: expected a readable run record, got {error.strerror}; check the path"
            ) from error
        if size < self._offset:
            raise ReadError(
                f"{self.path}: expected a record that only grows, got {size:,} bytes after "
                f"{self._offset:,}; start again to read the new one"
            )
        self._offset += len(block)
        return block


def follow(
    path: str | os.PathLike[str],
    *,
    interval_s: float = 0.5,
    until: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Yields the records of a run as they are written, from the first one on.

    Args:
        path: The run directory or its file; it need not exist yet.
        interval_s: Pause between two looks, in seconds.
        until: Asked before every look; after it says True, what is there is still yielded.

    Raises:
        ReadError: As `Follower.poll`.
    """
    follower = Follower(path)
    done = False
    while not done:
        done = until()
        while records := follower.poll():
            yield from records
        if not done:
            time.sleep(interval_s)
