"""From records to frames: one for every split and kind of record, without what is no record."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poise.read.frame import Column, Frame
from poise.read.text import dialects
from poise.read.text.records import POSITIONS, Records
from poise.read.text.scan import Said
from poise.run import Event, Ints

_TOTALS = {"loss", "total loss", "total_loss"}
"""What an evaluation reports is a result under these names, whatever the training calls its own."""


@dataclass(slots=True, eq=False)
class _Group:
    """Records of one split and kind."""

    split: str
    positions: tuple[str, ...]
    averaged: bool
    placed: bool
    opened: Ints
    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(self.opened)

    @property
    def values(self) -> list[str]:
        """Names that are neither positions nor clocks."""
        return [name for name in self.columns if name not in POSITIONS and not _is_clock(name)]

    @property
    def lossy(self) -> bool:
        """True if a name is surely a loss."""
        return any(dialects.LOSSY.search(name) for name in self.columns)


def build(
    records: Records, said: Sequence[Said], terms: frozenset[str], remarks: list[str]
) -> tuple[Frame, ...]:
    """Frames of the records that matter, the one with most losses first.

    Args:
        records: All records of the log.
        said: What the log says in words.
        terms: Names that the dialect declares to be loss terms.
        remarks: Takes what is left out.
    """
    groups = _groups(records, remarks)
    main = [one for one in groups if one.lossy and one.placed]
    known = {name.lower() for one in main for name in one.values if dialects.LOSSY.search(name)}
    main = main or [one for one in groups if one.lossy]
    kept = [one for one in groups if one in main or not main]
    for group in groups:
        if group in kept:
            continue
        steady = _is_block(group, known if group.split in ("", "train") else known | _TOTALS)
        large = len(group) > 2 * max(map(len, main))
        if steady and (not group.placed or (group.values and (group.split or large))):
            kept.append(group)
        elif group.values and group.placed:
            _lend(group, main)
        if group.split and group.placed and group not in kept:
            what = f"{len(group)} {group.split} records"
            remarks.append(f"{what} name no loss and are not kept as a table")
    kept.sort(key=lambda one: (not one.lossy, -len(one)))
    fine = any(one.positions != ("epoch",) for one in kept)
    return tuple(
        _frame(group, fine, _events(group, said) if i == 0 else (), terms)
        for i, group in enumerate(kept)
    )


def _is_block(group: _Group, known: set[str]) -> bool:
    """Whether records without a position are a block of results rather than configuration.

    Results recur with the same names, or are called as the losses of the training are.
    """
    size = len(group)
    steady = [name for name in group.values if len(group.columns[name].rows) * 2 > size]
    if any(dialects.AVERAGE.sub("", name).lower() in known for name in steady):
        return True
    return (size > 2 or group.placed) and len(steady) * 2 > len(group.values)


def _is_clock(name: str) -> bool:
    return bool(dialects.CLOCKY.search(name)) and not dialects.LOSSY.search(name)


def _groups(records: Records, remarks: list[str]) -> list[_Group]:
    usable = _usable(records, remarks)
    columns = _inherited(records)
    key = np.stack([records.split, records.kind, records.averaged.astype(np.int64)])
    distinct, which = np.unique(key[:, usable], axis=1, return_inverse=True)
    members = np.flatnonzero(usable)
    groups: list[_Group] = []
    keys: list[list[int]] = distinct.T.tolist()
    for index, (split, _, averaged) in enumerate(keys):
        rows = members[which.ravel() == index]
        rows = _last_states(records, columns, rows)
        taken = _taken(columns, rows)
        named = tuple(n for n in ("epoch", "iter", "step") if n in taken)
        group = _Group(
            records.splits[split],
            named,
            bool(averaged),
            bool((records.placed | records.free)[rows].all()),
            records.opened[rows],
            taken,
        )
        _drop_rare(group, records)
        _drop_twin(group)
        _drop_empty(group)
        groups.append(group)
    return [one for one in groups if len(one.columns) > len(one.positions)]


def _usable(records: Records, remarks: list[str]) -> np.ndarray:
    """Records with values, except those in front of the first position."""
    usable = np.zeros(len(records.opened), bool)
    for name, column in records.columns.items():
        if name not in POSITIONS:
            usable[column.rows] = True
    if records.placed.any():
        first = int(np.argmax(records.placed))
        early = _lossy(records)[:first] & ~records.free[:first]
        if count := records.early + int(early.sum()):
            remarks.append(f"{count} records with losses in front of the first position left out")
        usable[:first] &= records.free[:first]
    tagged = np.array([bool(tag) for tag in records.tags])[records.kind]
    if not (tagged | ~usable).all():
        usable &= ~tagged | _lossy(records)
    return usable


def _lossy(records: Records) -> np.ndarray:
    """True for records that mention a loss."""
    has = np.zeros(len(records.opened), bool)
    for name, column in records.columns.items():
        if dialects.LOSSY.search(name):
            has[column.rows] = True
    return has


def _inherited(records: Records) -> dict[str, Column]:
    """Columns in which records without a position have that of the record before.

    Records that count iterations alone take over the epoch.
    """
    columns = dict(records.columns)
    size = len(records.opened)
    has_epoch = np.zeros(size, bool)
    if "epoch" in columns:
        has_epoch[columns["epoch"].rows] = True
    for name in ("epoch", "iter", "step"):
        if name not in columns:
            continue
        column = columns[name]
        wants = ~records.free & (~has_epoch if name == "epoch" else ~records.placed)
        if name != "epoch":
            wants &= _same_segment(column.rows, records, size)
        at = np.searchsorted(column.rows, np.arange(size), side="right") - 1
        fill = np.zeros(size, bool)
        fill[column.rows] = True
        fill |= wants & (at >= 0)
        rows = np.flatnonzero(fill)
        columns[name] = Column(rows=rows, values=column.values[at[rows]])
    return columns


def _same_segment(rows: Ints, records: Records, size: int) -> np.ndarray:
    """True where the last record with a position is one that mentions the column."""
    placed = np.flatnonzero(records.placed)
    last = np.searchsorted(placed, np.arange(size), side="right") - 1
    source = placed[np.maximum(last, 0)] if len(placed) else np.zeros(size, np.int64)
    return (last >= 0) & np.isin(source, rows)


def _taken(columns: dict[str, Column], rows: Ints) -> dict[str, Column]:
    """The columns of some records, numbered anew."""
    everything = np.arange(len(rows))
    taken: dict[str, Column] = {}
    for name, column in columns.items():
        at = np.searchsorted(column.rows, rows)
        inside = at < len(column.rows)
        inside[inside] = column.rows[at[inside]] == rows[inside]
        if inside.all():
            taken[name] = Column(rows=everything, values=column.values[at])
        elif inside.any():
            taken[name] = Column(rows=np.flatnonzero(inside), values=column.values[at[inside]])
    return taken


def _last_states(records: Records, columns: dict[str, Column], rows: Ints) -> Ints:
    """Of progress-bar records in a row that stand at one position, the last."""
    if not len(rows) or not records.bar[rows].any():
        return rows
    here = _taken({n: c for n, c in columns.items() if n in POSITIONS}, rows)
    same = records.bar[rows[1:]].copy()
    for column in here.values():
        dense = np.full(len(rows), np.nan)
        dense[column.rows] = column.values
        same &= (dense[1:] == dense[:-1]) | (np.isnan(dense[1:]) & np.isnan(dense[:-1]))
    keep = np.ones(len(rows), bool)
    keep[:-1] = ~same
    return rows[keep]


def _drop_rare(group: _Group, records: Records) -> None:
    """Drop what lines beside the records say once or twice: configuration, not a quantity."""
    size = len(group)
    if size <= 5:
        return
    least = max(2, 0.02 * size)
    for name in list(group.columns):
        if name in POSITIONS or records.beside.get(name):
            continue
        count = len(group.columns[name].rows)
        enough = min(least, 3) if dialects.LOSSY.search(name) else least
        constant = count < size and _is_constant_integer(group.columns[name])
        if count < enough or (constant and not dialects.LOSSY.search(name)):
            del group.columns[name]


def _drop_empty(group: _Group) -> None:
    """Drop records that have lost all their values."""
    has = np.zeros(len(group), bool)
    for name, column in group.columns.items():
        if name not in POSITIONS:
            has[column.rows] = True
    if not has.all():
        rows = np.flatnonzero(has)
        group.opened = group.opened[rows]
        group.columns = _taken(group.columns, rows)


def _is_constant_integer(column: Column) -> bool:
    first = column.values[0]
    return bool(np.isfinite(first) and first == round(first) and (column.values == first).all())


def _drop_twin(group: _Group) -> None:
    """Drop the iterations of a bar over epochs: they count the same as the epoch."""
    epoch, iteration = group.columns.get("epoch"), group.columns.get("iter")
    if epoch is None or iteration is None or len(epoch.rows) != len(iteration.rows):
        return
    lead = iteration.values - epoch.values
    if len(lead) > 1 and epoch.values.max() > epoch.values.min() and len(np.unique(lead)) == 1:
        del group.columns["iter"]
        total = group.columns.pop("iter_total", None)
        if total is not None:
            group.columns.setdefault("epoch_total", total)
        group.positions = tuple(name for name in group.positions if name != "iter")


def _lend(group: _Group, main: list[_Group]) -> None:
    """Give the values of records without losses to the record that follows in the log."""
    hosts = [
        one
        for one in main
        if one.split in ("", group.split, "train") and len(one) * 1.5 > len(group)
    ]
    if not hosts:
        return
    host = max(hosts, key=len)
    follower = np.searchsorted(host.opened, group.opened)
    for name in group.values:
        if name in host.columns:
            continue
        column = group.columns[name]
        if len(column.rows) < max(2, 0.02 * len(host)):
            continue
        row = follower[column.rows]
        last = np.append(row[1:] != row[:-1], True) & (row < len(host))
        if last.any():
            host.columns[name] = Column(rows=row[last], values=column.values[last])


def _events(group: _Group, said: Sequence[Said]) -> tuple[Event, ...]:
    """Events with the record that follows; a start banner in front of all records is none."""
    events: list[Event] = []
    begun: set[int] = set()
    for one in sorted(said, key=lambda one: one.line):
        record = int(np.searchsorted(group.opened, one.line))
        if one.name == "restart":
            if record == 0 or record in begun:
                continue
            begun.add(record)
        events.append(Event(name=one.name, step=record, text=one.text))
    return tuple(events)


def _frame(group: _Group, fine: bool, events: tuple[Event, ...], terms: frozenset[str]) -> Frame:
    by_epoch = group.averaged or (fine and group.positions == ("epoch",))
    return Frame(
        size=len(group),
        columns=group.columns,
        split=group.split or None,
        grain="epoch" if by_epoch else None,
        terms=frozenset(name for name in group.columns if name in terms),
        events=events,
    )
