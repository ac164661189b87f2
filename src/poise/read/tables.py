"""From one frame to tables: rows are sorted by split and granularity, repeats are joined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from poise.read import words
from poise.read.frame import Column, Frame
from poise.read.naming import Name, classify, pieces
from poise.read.positions import Bools, Positions, positions_of
from poise.run import Event, Floats, Ints, Kind, Series, Table

_TRAINING = (
    Kind.TOTAL,
    Kind.TERM,
    Kind.LEARNING_RATE,
    Kind.GRAD_NORM,
    Kind.LOSS_SCALE,
    Kind.WEIGHT,
)
_UNTIMED = (Kind.CLOCK, Kind.POSITION)


@dataclass(frozen=True, slots=True)
class Built:
    """What one frame gave."""

    tables: list[Table] = field(default_factory=list[Table])
    events: list[Event] = field(default_factory=list[Event])
    remarks: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Part:
    """One column as far as it belongs to one table."""

    name: Name
    column: Column


_Key = tuple[str, str | None]


def tables_of(frame: Frame) -> Built:
    """All tables of one frame, in no particular order, with restarts as events."""
    built = Built()
    if not frame.size or not frame.columns:
        return built
    names = classify(
        list(frame.columns),
        terms=frame.terms,
        totals=frame.totals,
        split=frame.split,
        kinds=frame.kinds,
    )
    anchor = _rows_with(frame, names, _TRAINING)
    losses = _rows_with(frame, names, (Kind.TOTAL, Kind.TERM))
    positions = positions_of(frame, names, anchor)
    # a second writer may be a step ahead, so only losses tell a restart
    segments = _segments(frame, positions, losses if losses.any() else anchor, built)
    for (split, grain), parts in _parted(frame, names, anchor).items():
        table = _table(frame, split, grain, parts, positions, segments, names, built)
        if table is not None:
            built.tables.append(table)
    return built


def _rows_with(frame: Frame, names: Mapping[str, Name], kinds: tuple[Kind, ...]) -> Bools:
    """Records that mention one of these kinds for no other split than training."""
    mask = np.zeros(frame.size, dtype=bool)
    for label, column in frame.columns.items():
        if names[label].split in (None, "train") and names[label].kind in kinds:
            mask[column.rows] = True
    return mask


def _segments(frame: Frame, positions: Positions, anchor: Bools, built: Built) -> Ints:
    """Number of the restart of every record; fills in the events."""
    starts = np.zeros(frame.size, dtype=bool)
    told: set[int] = set()
    for event, stated in zip_longest(frame.events, frame.event_steps):
        row = min(max(event.step or 0, 0), frame.size - 1)
        if event.name == "restart":
            if not event.step or event.step >= frame.size or row in told:
                continue
            told.add(row)
            starts[row] = True
        step = None if event.step is None else int(positions.steps[row])
        step = step if stated is None else stated
        built.events.append(Event(name=event.name, step=step, text=event.text[:300]))
    held = np.flatnonzero(anchor if anchor.any() else np.ones(frame.size, dtype=bool))
    steps = positions.steps[held]
    known = np.cumsum(starts)
    for at in np.flatnonzero(np.diff(steps) < 0).tolist():
        old, new = int(held[at]), int(held[at + 1])
        if known[old] != known[new]:
            continue
        starts[new] = True
        text = f"{positions.name} goes back from {steps[at]} to {steps[at + 1]} at record {new}"
        built.events.append(Event(name="restart", step=int(steps[at + 1]), text=text))
    return np.cumsum(starts)


def _parted(frame: Frame, names: Mapping[str, Name], anchor: Bools) -> dict[_Key, list[_Part]]:
    """Columns, cut where needed, by split and granularity."""
    by_split: dict[str, list[_Part]] = {}
    others = any(one.split not in (None, "train") for one in names.values())
    measured = _metric_rows(frame, names, anchor) if frame.split is None else None
    for label, column in frame.columns.items():
        name = names[label]
        if name.kind is Kind.POSITION:
            continue
        inside = None if measured is None or name.split else measured[column.rows]
        if inside is not None and inside.any():
            by_split.setdefault("val", []).append(_Part(name, _cut(column, inside)))
        rest = column if inside is None else _cut(column, ~inside)
        if len(rest.rows):
            by_split.setdefault(_split(frame, name, others=others), []).append(_Part(name, rest))
    found: dict[_Key, list[_Part]] = {}
    for split, parts in by_split.items():
        for grain, some in _by_grain(parts, frame.size, frame.grain).items():
            found[split, grain] = some
    return found


def _split(frame: Frame, name: Name, *, others: bool) -> str:
    """Split of a column; metrics that no split is named for belong to the validation, if any."""
    if frame.split is not None:
        return frame.split
    if name.split is None and others and name.label.lower().startswith(("metrics/", "metric/")):
        return "val"
    return name.split or "train"


def _metric_rows(frame: Frame, names: Mapping[str, Name], anchor: Bools) -> Bools | None:
    """Records that hold only metrics such as mAP, which no training record mentions.

    These are evaluations, although nothing in their names says so.
    """
    if not anchor.any() or anchor.all():
        return None
    metric = np.zeros(frame.size, dtype=bool)
    usual = np.zeros(frame.size, dtype=bool)
    for label, column in frame.columns.items():
        name = names[label]
        if name.kind is not Kind.STATISTIC or name.split not in (None, "train"):
            continue
        if anchor[column.rows].any():
            usual[column.rows] = True
        elif any(one.rstrip("0123456789") in words.METRICS for one in pieces(name.base)):
            metric[column.rows] = True
    metric &= ~anchor & ~usual
    return metric if metric.any() else None


def _cut(column: Column, keep: Bools) -> Column:
    if keep.all():
        return column
    return Column(rows=column.rows[keep], values=column.values[keep])


def _by_grain(parts: list[_Part], size: int, default: str | None) -> dict[str | None, list[_Part]]:
    """Columns of one split by granularity; what says none goes with the records it stands in."""
    grains = {one.name.grain for one in parts}
    if grains == {None}:
        return {default: parts}
    fine, coarse = (_rows_of(parts, one, size) for one in ("step", "epoch"))
    found: dict[str | None, list[_Part]] = {}
    for one in parts:
        if one.name.grain is not None:
            found.setdefault(one.name.grain, []).append(one)
            continue
        rows = one.column.rows
        to_epoch = coarse[rows] & ~fine[rows]
        for grain, keep in (("step", ~to_epoch), ("epoch", to_epoch)):
            if keep.any():
                found.setdefault(grain, []).append(_Part(one.name, _cut(one.column, keep)))
    return found


def _rows_of(parts: list[_Part], grain: str, size: int) -> Bools:
    mask = np.zeros(size, dtype=bool)
    for one in parts:
        if one.name.grain == grain:
            mask[one.column.rows] = True
    return mask


def _table(
    frame: Frame,
    split: str,
    grain: str | None,
    parts: list[_Part],
    positions: Positions,
    segments: Ints,
    names: Mapping[str, Name],
    built: Built,
) -> Table | None:
    mask, parts = _told(parts, frame.size)
    if not parts:
        return None
    rows = np.flatnonzero(mask)
    # within one start records are in the order of their steps, whoever wrote them
    order = np.lexsort((positions.steps[rows], segments[rows]))
    rows = rows[order]
    steps, parts_of = positions.steps[rows], segments[rows]
    target = np.zeros(frame.size, dtype=np.int64)
    target[rows] = np.arange(len(rows))
    series: dict[str, Series] = {}
    shared: dict[int, Ints] = {}
    for one in parts:
        _put(series, one, target, shared)
    for label, column in frame.columns.items():
        if names[label].kind is Kind.POSITION:
            told = mask[column.rows]
            if told.any():
                _put(series, _Part(names[label], _cut(column, told)), target, shared)
    apart = _apart(series.get(frame.counter or ""), len(steps))
    keep = _join(steps, parts_of, series, f"{split} records", built.remarks, apart)
    if grain is None:
        epochs = None if positions.epochs is None else positions.epochs[rows][keep]
        grain = _grain(positions.name, epochs, names)
    return Table(
        split=split,
        grain=grain,
        steps=steps[keep],
        step_name=positions.name,
        segments=parts_of[keep],
        series=series,
    )


def _told(parts: list[_Part], size: int) -> tuple[Bools, list[_Part]]:
    """Records that say more than the time, and the columns cut to them."""
    mask = np.zeros(size, dtype=bool)
    for one in parts:
        if one.name.kind is not Kind.CLOCK:
            mask[one.column.rows] = True
    cut = [_Part(one.name, _cut(one.column, mask[one.column.rows])) for one in parts]
    return mask, [one for one in cut if len(one.column.rows)]


def _grain(step_name: str, epochs: Ints | None, names: Mapping[str, Name]) -> str:
    """Epoch if every record has an epoch of its own."""
    if step_name.lower().startswith("ep") and "episode" not in step_name.lower():
        return "epoch"
    if step_name == "row" and epochs is None:
        both = {one.split for one in names.values()} & {"val", "test", "eval"}
        return "epoch" if both else "step"
    return "epoch" if epochs is not None and len(epochs) > 1 and np.diff(epochs).all() else "step"


def _put(series: dict[str, Series], part: _Part, target: Ints, shared: dict[int, Ints]) -> None:
    """Adds one column; `shared` has by length the rows of the first column that has so many."""
    name = part.name.base if part.name.base not in series else part.name.label
    if name in series:
        return
    rows, values = target[part.column.rows], part.column.values
    if len(rows) > 1 and not bool((rows[1:] > rows[:-1]).all()):
        order = np.argsort(rows)
        rows, values = rows[order], values[order]
    first = shared.setdefault(len(rows), rows)
    if np.array_equal(first, rows):
        rows = first  # one array for all that are mentioned together
    series[name] = Series(
        name=name,
        kind=part.name.kind,
        rows=rows,
        values=values,
        label=part.name.label,
        of=part.name.of,
    )


def _apart(counter: Series | None, size: int) -> Bools:
    """For every record but the first: a counter says that it is another one than that before."""
    if counter is None:
        return np.zeros(max(size - 1, 0), dtype=bool)
    dense = np.full(size, np.nan)
    dense[counter.rows] = counter.values
    return np.diff(dense) != 0


def _join(
    steps: Ints,
    segments: Ints,
    series: dict[str, Series],
    what: str,
    remarks: list[str],
    apart: Bools,
) -> Ints:
    """Join neighbouring records of one step that complete each other; drop exact repeats.

    Changes `series` in place.

    Returns:
        Indices of the records that stay.
    """
    same = (np.diff(steps) == 0) & (np.diff(segments) == 0) & ~apart
    if not same.any():
        return np.arange(len(steps))
    group = np.concatenate(([0], np.cumsum(~same)))
    clash = np.zeros(group[-1] + 1, dtype=bool)
    for one in series.values():
        if one.kind is not Kind.POSITION:
            at = group[one.rows]
            clash[at[1:][at[1:] == at[:-1]]] = True
    repeat = _repeats(same, series)
    gone = np.concatenate(([False], same & (~clash[group[1:]] | repeat)))
    repeated = int((gone[1:] & clash[group[1:]]).sum())
    other = int((same & clash[group[1:]] & ~repeat).sum())
    if repeated:
        remarks.append(f"{repeated} {what} repeat the one before them exactly and are left out")
    if other:
        remarks.append(f"{other} {what} have the step of the one before them and other values")
    keep = np.flatnonzero(~gone)
    target = np.cumsum(~gone) - 1
    for name, one in list(series.items()):
        rows = target[one.rows]
        first = np.concatenate(([True], np.diff(rows) > 0))
        series[name] = Series(
            name=one.name,
            kind=one.kind,
            rows=rows[first],
            values=one.values[first],
            label=one.label,
            of=one.of,
        )
    return keep


def _repeats(same: Bools, series: Mapping[str, Series]) -> Bools:
    """For every record but the first: it says the same as the one before, clocks aside."""
    equal = same.copy()
    for one in series.values():
        if one.kind in _UNTIMED:
            continue
        dense: Floats = np.full(len(same) + 1, np.nan)
        there = np.zeros(len(same) + 1, dtype=bool)
        dense[one.rows], there[one.rows] = one.values, True
        equal &= there[1:] == there[:-1]
        equal &= (dense[1:] == dense[:-1]) | (np.isnan(dense[1:]) & np.isnan(dense[:-1]))
    return equal
