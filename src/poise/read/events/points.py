"""Every scalar of one event file, in log order, as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from poise.read.events.framing import TRAILER, Bytes, masked_crc, masked_crcs, scan, stack
from poise.read.events.summary import Layout, decode, layout_of
from poise.read.protobuf import MalformedError
from poise.run import Floats, Ints

Keys: TypeAlias = NDArray[np.uint64]

# Longer records hold images, graphs or histograms; they are parsed one by one.
_LONGEST = 1024
# Up to this length, records without scalars are checked too: one may be a scalar's remains.
_SHORT = 256
# Groups of fewer records than this, or than a quarter of their length, are not worth an array.
_FEWEST = 4
# A chunk bounds the memory of the arrays that are built beside the file.
_CHUNK = 1 << 17
# Records of one length with more layouts than this are parsed one by one.
_PASSES = 16
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Scalars in log order.

    Attributes:
        tags: Names, in order of first appearance.
        tag: Which name, shape (n,).
        step: As logged, shape (n,).
        wall: Seconds since 1970, shape (n,).
        value: As logged, shape (n,).
        events: How many events the file holds, scalars or not.
        remarks: What was passed over, one sentence each.
    """

    tags: tuple[str, ...]
    tag: Ints
    step: Ints
    wall: Floats
    value: Floats
    events: int = 0
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.tag)


@dataclass(slots=True)
class _Found:
    """Scalars in the order in which groups of records were read."""

    tags: dict[str, int] = field(default_factory=dict[str, int])
    order: list[Ints] = field(default_factory=list[Ints])
    tag: list[Ints] = field(default_factory=list[Ints])
    step: list[Ints] = field(default_factory=list[Ints])
    wall: list[Floats] = field(default_factory=list[Floats])
    value: list[Floats] = field(default_factory=list[Floats])
    damaged: int = 0
    odd: int = 0

    def add(self, layout: Layout, columns: Bytes, order: Ints) -> None:
        """Keep the scalars of records of one layout (one a column); `order` is their place."""
        step, wall = _steps(columns, layout), _walls(columns, layout)
        for slot in layout.slots:
            number = self.tags.setdefault(slot.tag, len(self.tags))
            self.order.append(order)
            self.tag.append(np.full(len(order), number, dtype=np.int64))
            self.step.append(step)
            self.wall.append(wall)
            self.value.append(decode(columns, slot))

    def add_one(self, record: bytes, order: int, stored: bytes | None = None) -> None:
        """Keep the scalars of one record, whose checksum is `stored` unless it was checked."""
        try:
            layout = layout_of(record)
        except MalformedError:
            self.odd += 1
            return
        # A long record without scalars is a histogram or an image: not worth the time.
        doubtful = stored is not None and (layout is not None or len(record) <= _SHORT)
        if doubtful and masked_crc(record).to_bytes(TRAILER, "little") != stored:
            self.damaged += 1
        elif layout is not None:
            columns = np.frombuffer(record, dtype=np.uint8)[:, None]
            self.add(layout, columns, np.array([order], dtype=np.int64))


def points_of(data: bytes) -> Points:
    """Read every scalar of an event file; never raises.

    Records whose checksum disagrees are left out. Beside `data`, memory is that of the scalars and
    of a chunk of records.
    """
    records = scan(data)
    found = _Found()
    starts, lengths = records.starts, records.lengths
    by_length = np.argsort(lengths, kind="stable")
    edges = np.flatnonzero(np.diff(lengths[by_length])) + 1
    for group in np.split(by_length, edges) if len(by_length) else ():
        length = int(lengths[group[0]])
        for base in range(0, len(group), _CHUNK):
            _read_group(found, data, starts, group[base : base + _CHUNK], length)
    return _ordered(found, len(starts), records.remarks)


def _read_group(found: _Found, data: bytes, starts: Ints, group: Ints, length: int) -> None:
    """Read records of one length."""
    if len(group) < max(_FEWEST, length // 4) or length > _LONGEST:
        for order in group.tolist():
            start = int(starts[order])
            stop = start + length
            found.add_one(data[start:stop], order, data[stop : stop + TRAILER])
        return
    rows = stack(data, starts[group], length + TRAILER)
    stored = np.ascontiguousarray(rows[:, length:]).view("<u4")[:, 0]
    columns = np.ascontiguousarray(rows[:, :length].T)
    good = masked_crcs(columns) == stored
    if not good.all():
        found.damaged += int((~good).sum())
        columns, group = np.ascontiguousarray(columns[:, good]), group[good]
    _read_columns(found, columns, group)


def _read_columns(found: _Found, columns: Bytes, group: Ints) -> None:
    """Read records of one length, one a column, layout by layout."""
    for _ in range(_PASSES):
        layout = None
        skipped = 0
        while layout is None and skipped < len(group):
            layout = _layout(found, columns, skipped)
            skipped += layout is None
        if layout is None:
            return
        columns, group = columns[:, skipped:], group[skipped:]
        left = _read_alike(found, columns, group, layout)
        columns, group = np.ascontiguousarray(columns[:, left]), group[left]
    for place, order in enumerate(group):
        found.add_one(columns[:, place].tobytes(), int(order))


def _layout(found: _Found, columns: Bytes, place: int) -> Layout | None:
    try:
        return layout_of(columns[:, place].tobytes())
    except MalformedError:
        found.odd += 1
        return None


def _read_alike(found: _Found, columns: Bytes, group: Ints, first: Layout) -> NDArray[np.bool_]:
    """Read the records whose numbers lie where those of `first` lie.

    Returns:
        True for the records that are still to be read, shape (n,).
    """
    frozen = _blanked(columns, first)
    left = np.ones(len(group), dtype=np.bool_)
    # Another layout shows before the first tag; what is not blanked there are numbers.
    begins = (frozen[: first.tag_at] == frozen[: first.tag_at, :1]).all(axis=0)
    places = np.flatnonzero(begins)
    for part in _classes(np.ascontiguousarray(frozen[:, places])):
        same = places[part]
        same = same[(frozen[:, same] == frozen[:, same[:1]]).all(axis=0)]
        layout = _layout(found, columns, int(same[0]))
        # With equal places and all other bytes equal, parsing any of them takes the same path.
        if layout is not None and layout.fingerprint() == first.fingerprint():
            found.add(layout, columns[:, same], group[same])
            left[same] = False
    return left


def _blanked(columns: Bytes, layout: Layout) -> Bytes:
    """A copy without wall time, step and values; of the step, the bits that say its width stay."""
    frozen = columns.copy()
    if layout.wall_at >= 0:
        frozen[layout.wall_at : layout.wall_at + 8] = 0
    if layout.step_at >= 0:
        frozen[layout.step_at : layout.step_at + layout.step_width] &= 0x80
    for slot in layout.slots:
        if slot.at >= 0:
            frozen[slot.at : slot.at + slot.width] = 0
    return frozen


def _classes(frozen: Bytes) -> Iterator[Ints]:
    """Groups of columns that are equal but for collisions of a hash, each in increasing order.

    Columns that are alone are left out, except the first: most have another layout.
    """
    keys: Keys = np.zeros(len(frozen.T), dtype=np.uint64)
    for row in frozen:
        mixed: Keys = (keys ^ row) * _ODD
        keys = mixed ^ (mixed >> np.uint64(32))
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    starts = np.concatenate(([0], edges))
    stops = np.concatenate((edges, [len(order)]))
    wanted = (stops - starts > 1) | (order[starts] == 0)
    for start, stop in zip(starts[wanted], stops[wanted], strict=True):
        yield order[start:stop]


def _walls(columns: Bytes, layout: Layout) -> Floats:
    if layout.wall_at < 0:
        return np.zeros(len(columns.T))
    raw = np.ascontiguousarray(columns[layout.wall_at : layout.wall_at + 8].T)
    return raw.view("<f8")[:, 0].astype(np.float64)


def _steps(columns: Bytes, layout: Layout) -> Ints:
    steps: Keys = np.zeros(len(columns.T), dtype=np.uint64)
    for place in range(layout.step_width):
        part: Keys = (columns[layout.step_at + place] & np.uint8(0x7F)).astype(np.uint64)
        steps = np.bitwise_or(steps, part << np.uint64(7 * place), dtype=np.uint64)
    return steps.view(np.int64)


def _ordered(found: _Found, events: int, remarks: tuple[str, ...]) -> Points:
    """Bring the scalars into log order and number the tags by first appearance."""
    notes = list(remarks)
    if found.damaged:
        notes.append(f"{found.damaged} of {events} records fail their checksum and were left out")
    if found.odd:
        notes.append(f"{found.odd} of {events} records are no TensorBoard events and were left out")
    if not found.order:
        none = np.empty(0, dtype=np.int64)
        nothing = np.empty(0)
        return Points(
            tags=(), tag=none, step=none, wall=nothing, value=nothing,
            events=events, remarks=tuple(notes),
        )  # fmt: skip
    order = np.argsort(np.concatenate(found.order), kind="stable")
    tag = np.concatenate(found.tag)[order]
    names: list[str] = list(found.tags)
    numbers, first = np.unique(tag, return_index=True)
    by_first: Ints = numbers[np.argsort(first)]
    renumber = np.empty(len(names), dtype=np.int64)
    renumber[by_first] = np.arange(len(names))
    return Points(
        tags=tuple(names[int(number)] for number in by_first),
        tag=renumber[tag],
        step=np.concatenate(found.step)[order],
        wall=np.concatenate(found.wall)[order],
        value=np.concatenate(found.value)[order],
        events=events,
        remarks=tuple(notes),
    )
