"""From scalars in log order to frames: which of them were logged together.

TensorBoard logs single scalars, each with a step. What belongs to one record is not said. Two
things have to be found out: which tags count the same steps (a per-epoch tag next to a
per-iteration tag looks like a training that goes backwards again and again), and where a training
was restarted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.read.frame import Column, Frame
from poise.run import Event, Floats, Ints

STEP = "step"
# A tag counts another tag's steps if this share of its values lies between that tag's neighbours.
_AGREE = 0.9
# A log with more clocks than this is no training log; the rest shares one frame.
_CLOCKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Scalars of one split in log order.

    Attributes:
        tags: Column names.
        tag: Which of them, shape (n,).
        step: As logged, shape (n,).
        value: As logged, shape (n,).
        file: Number of the file it stands in, shape (n,).
        continues: By file number, the name of a file that goes on where another one stopped.
    """

    tags: tuple[str, ...]
    tag: Ints
    step: Ints
    value: Floats
    file: Ints
    continues: dict[int, str]


def frames(log: Log, split: str | None = None) -> Iterator[Frame]:
    """One frame for every clock, the one with most values first.

    Within a frame, steps decrease only where a training was restarted, and a tag that is logged
    several times at one step has as many records there.

    Example:
        >>> log = Log(tags=("loss", "val"), tag=np.array([0, 0, 1, 0, 0, 1]),
        ...           step=np.array([10, 20, 0, 30, 40, 1]), value=np.arange(6.0),
        ...           file=np.zeros(6, dtype=np.int64), continues={})
        >>> [frame.columns["step"].values.tolist() for frame in frames(log)]
        [[10.0, 20.0, 30.0, 40.0], [0.0, 1.0]]
    """
    clock = _clocks(log)
    for number in range(int(clock.max()) + 1):
        keep = clock[log.tag] == number
        part = Log(
            tags=log.tags,
            tag=log.tag[keep],
            step=log.step[keep],
            value=log.value[keep],
            file=log.file[keep],
            continues=log.continues,
        )
        yield _frame(part, split)


def _clocks(log: Log) -> Ints:
    """Number of the clock of every tag, shape (tags,)."""
    counts = np.bincount(log.tag, minlength=len(log.tags))
    clock: Ints = np.full(len(log.tags), -1, dtype=np.int64)
    number = 0
    while (clock < 0).any():
        waiting = np.where(clock < 0, counts, -1)
        lead = int(np.argmax(waiting))
        if number < _CLOCKS - 1:
            agree = _agreement(log, lead) >= _AGREE
            clock[agree & (clock < 0)] = number
            clock[lead] = number
        else:
            clock[clock < 0] = number
        number += 1
    return clock


def _agreement(log: Log, lead: int) -> Floats:
    """By tag, the share of values whose step fits between those of `lead` around them."""
    at = np.flatnonzero(log.tag == lead)
    steps = log.step[at].astype(np.float64)
    padded = np.concatenate(([-np.inf, -np.inf], steps, [np.inf]))
    place = np.searchsorted(at, np.arange(len(log.tag)))
    # One logging interval of slack: evaluations are often logged with the step before.
    before, last, after = padded[place], padded[place + 1], padded[place + 2]
    low, high = np.minimum(np.minimum(before, last), after), np.maximum(last, after)
    fits = (log.step >= low) & (log.step <= high)
    counts = np.maximum(np.bincount(log.tag, minlength=len(log.tags)), 1)
    share: Floats = np.bincount(log.tag[fits], minlength=len(log.tags)) / counts
    return share


def _frame(log: Log, split: str | None) -> Frame:
    segment, starts = _segments(log)
    row, first = _rows(log, segment)
    size = len(first)
    every: Ints = np.arange(size)
    columns = {STEP: Column(rows=every, values=log.step[first].astype(np.float64))}
    shared: dict[bytes, Ints] = {}
    order = np.argsort(log.tag, kind="stable")
    edges = np.flatnonzero(np.diff(log.tag[order])) + 1
    parts = {int(log.tag[part[0]]): part for part in np.split(order, edges)}
    for number in sorted(parts, key=lambda one: int(parts[one][0])):
        part = parts[number][np.argsort(row[parts[number]], kind="stable")]
        rows = every if len(part) == size else row[part]
        rows = rows if rows is every else shared.setdefault(rows.tobytes(), rows)
        name = log.tags[number]
        columns[f"{STEP} (tag)" if name == STEP else name] = Column(
            rows=rows, values=log.value[part]
        )
    events = tuple(
        Event(name="restart", step=int(row[log.file == number].min()), text=f"{name} begins")
        for number, name in starts.items()
    )
    return Frame(size=size, columns=columns, split=split, events=events)


def _segments(log: Log) -> tuple[Ints, dict[int, str]]:
    """Number of the (re)start of every scalar, and the files that begin one.

    A restart is a file that continues another, or a tag whose step decreases within what was
    logged since the last restart.
    """
    order = np.argsort(log.tag, kind="stable")
    back = (np.diff(log.tag[order]) == 0) & (np.diff(log.step[order]) < 0)
    later, earlier = order[1:][back], order[:-1][back]
    lead = np.argmax(np.bincount(log.tag))
    files: list[int] = np.unique(log.file[log.tag == lead]).tolist()
    names = {one: log.continues[one] for one in files if one in log.continues}
    begins: dict[int, int] = {int(np.argmax(log.file == one)): len(log.tag) for one in names}
    begins |= {
        int(at): max(int(before), begins.get(int(at), 0))
        for at, before in zip(later, earlier, strict=True)
    }
    segment: Ints = np.zeros(len(log.tag), dtype=np.int64)
    start = 0
    for at in sorted(begins):
        if begins[at] >= start and at > 0:
            segment[at] = 1
            start = at
    return np.cumsum(segment), names


def _rows(log: Log, segment: Ints) -> tuple[Ints, Ints]:
    """Record of every scalar, shape (n,), and the first scalar of every record."""
    order = np.lexsort((log.step, segment))
    ahead, inner = segment[order], log.step[order]
    new: NDArray[np.bool_] = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(ahead) != 0) | (np.diff(inner) != 0)
    block = np.empty(len(order), dtype=np.int64)
    block[order] = np.cumsum(new) - 1
    repeat = _repeats(block * len(log.tags) + log.tag)
    if repeat.any():
        order = np.lexsort((repeat, block))
        new[1:] = (np.diff(block[order]) != 0) | (np.diff(repeat[order]) != 0)
        block[order] = np.cumsum(new) - 1
    return block, order[new]


def _repeats(key: Ints) -> Ints:
    """How often each key stood before, shape (n,)."""
    order = np.argsort(key, kind="stable")
    new: NDArray[np.bool_] = np.ones(len(key), dtype=np.bool_)
    new[1:] = np.diff(key[order]) != 0
    place: Ints = np.arange(len(key))
    since: Ints = np.maximum.accumulate(np.where(new, place, 0))
    repeat = np.empty(len(key), dtype=np.int64)
    repeat[order] = place - since
    return repeat
