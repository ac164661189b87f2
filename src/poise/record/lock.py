"""One writer per run directory, without leftovers after a kill."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from poise.errors import RecordError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = ".run.lock"

TRIES, PAUSE_S = 3, 0.02
"""`held` takes the lock for an instant; whoever opens a run then tries again."""

_held: dict[tuple[int, int], int] = {}
"""Process that holds a lock file, by its device and inode."""


class Lock:
    """Holds a run directory for this process until `release` or the end of the process.

    A POSIX record lock: the kernel drops it with the process, however that ends, and a forked
    child (a data loading worker) does not keep it alive. It does not tell two owners in one process
    apart, so a table does. Without such locks (Windows, some network file systems) only that table
    guards.

    Raises:
        RecordError: Another recorder writes here.
        OSError: The lock file cannot be opened.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / NAME
        path.touch()
        self._key = _identity(path)
        # Asked first: closing a second descriptor of the file would drop this process's own lock.
        if _held.get(self._key) == os.getpid():
            _refuse(directory)
        self._fd = os.open(path, os.O_RDWR)
        if not any(_tried(self._fd)):
            os.close(self._fd)
            _refuse(directory)
        _held[self._key] = os.getpid()

    def release(self) -> None:
        """Let others write. Does nothing in a forked child, which never held the lock."""
        if _held.get(self._key) == os.getpid():
            del _held[self._key]
            os.close(self._fd)


def held(directory: Path) -> bool | None:
    """Whether a recorder has a run directory open; None where that cannot be known."""
    path = directory / NAME
    try:
        if _held.get(_identity(path)) == os.getpid():
            return True
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None  # no lock file, as in a copy, or none that may be read
    try:
        return _shared(fd)
    finally:
        os.close(fd)


def _shared(fd: int) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return None  # a file system without locks
    return False


def _tried(fd: int) -> Iterator[bool]:
    """Whether the lock could be taken, each time it is tried."""
    yield _locked(fd)
    for _ in range(TRIES - 1):
        time.sleep(PAUSE_S)
        yield _locked(fd)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _refuse(directory: Path) -> NoReturn:
    raise RecordError(
        f"Recorder: {directory}: expected to be its only writer, got a directory that another "
        "recorder has open; close that one or record into another directory"
    )


def _locked(fd: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks must not keep anybody from recording
    return True
