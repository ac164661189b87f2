"""From lines with numbers to records: what belongs together, in which split, at which position."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from poise.read.frame import Column
from poise.read.text import dialects
from poise.read.text.plan import Plan
from poise.run import Floats, Ints

POSITIONS = ("epoch", "epoch_total", "iter", "iter_total", "step", "step_total")


@dataclass(slots=True)
class Form:
    """All lines that are read by one plan.

    Attributes:
        plan: How they are read.
        lines: Numbers of the lines in the log, increasing, in pieces.
        values: Their numbers, one row per line, in pieces of shape (n, slots that are used).
    """

    plan: Plan
    lines: list[Ints] = field(default_factory=list[Ints])
    values: list[Floats] = field(default_factory=list[Floats])


@dataclass(slots=True, kw_only=True)
class Lines:
    """All lines that say something, in log order.

    Attributes:
        number: Line number in the log, shape (n,).
        form: Index of the line's form, shape (n,).
        row: Index of the line within its form, shape (n,).
        record: Record that the line belongs to, shape (n,); -1 in front of the first.
    """

    number: Ints
    form: Ints
    row: Ints
    record: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    _order: Ints = field(init=False)
    _starts: Ints = field(init=False)

    def __post_init__(self) -> None:
        self._order = np.argsort(self.form, kind="stable")
        count = int(self.form.max(initial=-1)) + 1
        self._starts = np.searchsorted(self.form[self._order], np.arange(count + 1))

    def of(self, forms: Sequence[int]) -> Ints:
        """Indices of the lines of some forms, increasing."""
        known = [form for form in forms if form + 1 < len(self._starts)]
        parts = [self._order[self._starts[form] : self._starts[form + 1]] for form in known]
        if len(parts) == 1:
            return parts[0]
        return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All records of a log, before they are sorted into frames.

    Attributes:
        opened: Number of the line that opened each record, shape (records,), increasing.
        columns: By name: the records that mention it, and the values. The last mention counts.
        beside: Of every column, how many of its values stand in a line with a position.
        split: Index into `splits` of each record.
        splits: Splits; the empty string where the log does not say.
        placed: True where the record has a position of its own.
        free: True where the record follows a rhythm of its own, between the positions.
        kind: A number for every combination of positions, tag and table, shape (records,).
        tags: Tag of every kind.
        averaged: True where the record is a mean over an epoch.
        bar: True where the record is one state of a progress bar.
        early: Number of lines with losses in front of the first record.
    """

    opened: Ints
    columns: dict[str, Column]
    beside: dict[str, int]
    split: Ints
    splits: tuple[str, ...]
    placed: np.ndarray
    free: np.ndarray
    kind: Ints
    tags: tuple[str, ...]
    averaged: np.ndarray
    bar: np.ndarray
    early: int


def join(forms: Sequence[Form]) -> Records | None:
    """Sort the lines of all forms into records.

    A line with a position opens a record. Lines of pairs without a position join it, until they
    repeat a name, name another split or begin another table.
    """
    forms = [one for one in forms if one.lines]
    if not forms:
        return None
    for form in forms:
        form.lines = [np.concatenate(form.lines)]
        form.values = [np.concatenate(form.values)]
    lines = _banners_first(forms, _ordered(forms))
    split, splits = _splits(forms, lines)
    opens = _opens(forms, lines, split)
    free = _free(forms, lines, split)
    opens[free] = False
    segment = np.where(free, -1, np.cumsum(opens))
    opens |= _repeats(forms, lines, segment, free)
    if free.any():
        opens[np.argmax(free)] = True
    if not opens.any():
        return None
    lines.record = _latest(opens & free, free, _latest(opens & ~free, ~free, np.cumsum(opens) - 1))
    return _records(forms, lines, opens, free, split, splits)


def _ordered(forms: Sequence[Form]) -> Lines:
    number = np.concatenate([form.lines[0] for form in forms])
    index = np.concatenate([np.full(len(form.lines[0]), i) for i, form in enumerate(forms)])
    row = np.concatenate([np.arange(len(form.lines[0])) for form in forms])
    order = np.argsort(number, kind="stable")
    return Lines(number=number[order], form=index[order], row=row[order])


def _banners_first(forms: Sequence[Form], lines: Lines) -> Lines:
    """Positions that stand below their values are moved above them.

    That is so where losses come before the first position and none behind the last.
    """
    bare = _of(lines, [bool(f.plan.positions) and not f.plan.pairs for f in forms]).astype(bool)
    told = _of(lines, [_is_lossy(f.plan) and not f.plan.positions for f in forms]).astype(bool)
    if not bare.any() or any(_is_lossy(f.plan) and f.plan.positions for f in forms):
        return lines
    banners, losses = np.flatnonzero(bare), np.flatnonzero(told)
    before = np.searchsorted(losses, banners)
    if not len(losses) or before[0] == 0 or before[-1] < len(losses):
        return lines
    if len(banners) > 1 and np.mean(np.diff(before) > 0) < 0.9:
        return lines
    place = np.arange(len(bare), dtype=np.float64)
    place[banners] = np.concatenate(([losses[0]], banners[:-1] + 1)) - 0.5
    order = np.argsort(place, kind="stable")
    # a banner takes the number of the line that it now stands in front of
    number = np.minimum.accumulate(lines.number[order][::-1])[::-1]
    return Lines(number=number, form=lines.form[order], row=lines.row[order])


def _of(lines: Lines, what: Sequence[object]) -> np.ndarray:
    """A property of every form, for every line."""
    return np.asarray(what)[lines.form]


def _splits(forms: Sequence[Form], lines: Lines) -> tuple[Ints, tuple[str, ...]]:
    """Split of every line: its own, else for lines without a position that of the line before."""
    splits = tuple(dict.fromkeys(["", *(form.plan.split or "" for form in forms)]))
    own = _of(lines, [splits.index(form.plan.split or "") for form in forms])
    says = _of(lines, [bool(form.plan.split or form.plan.positions) for form in forms])
    source = np.maximum.accumulate(np.where(says, np.arange(len(own)), 0))
    return own[source], splits


def _opens(forms: Sequence[Form], lines: Lines, split: Ints) -> np.ndarray:
    """Lines that begin a record by what they are, not by what they repeat."""
    opens = _of(lines, [_opening(form.plan) for form in forms]).astype(bool)
    opens[1:] |= split[1:] != split[:-1]
    table = _of(lines, [form.plan.table for form in forms]).astype(bool)
    ruler = _of(lines, [form.plan.ruler for form in forms]).astype(bool)
    # an edge counts where a row follows at once; an edge inside a table is no new record
    edge = np.zeros(len(opens), bool)
    edge[:-1] = ruler[:-1] & table[1:] & (lines.number[1:] - lines.number[:-1] == 1)
    edge[1:] &= ~(table[:-1] & edge[1:])
    opens |= edge
    if not (opens.any() or _of(lines, [bool(f.plan.positions) for f in forms]).any()):
        opens[0] = True
    return opens


def _free(forms: Sequence[Form], lines: Lines, split: Ints) -> np.ndarray:
    """Lines of pairs that follow a rhythm of their own, whatever the positions between them.

    That is so where a loss comes again and again without a new position.
    """
    placed = _of(lines, [bool(form.plan.positions) for form in forms]).astype(bool)
    loose = _of(
        lines,
        [bool(f.plan.pairs) and not f.plan.positions and not f.plan.table for f in forms],
    ).astype(bool)
    telling = _of(lines, [bool(f.plan.positions) and _is_lossy(f.plan) for f in forms]).astype(bool)
    turns = placed.copy()
    turns[1:] |= split[1:] != split[:-1]
    segment = np.cumsum(turns)
    if not placed.any():
        return np.zeros(len(loose), bool)
    for name, having in _having(forms).items():
        if not dialects.LOSSY.search(name):
            continue
        at = lines.of(having)
        at = at[loose[at]]
        if len(at) < max(4, 0.5 * telling.sum()):
            continue
        if 1 + np.count_nonzero(np.diff(segment[at])) < 0.9 * len(at):
            return loose
    return np.zeros(len(loose), bool)


def _having(forms: Sequence[Form]) -> dict[str, list[int]]:
    """By name of a value, the forms that mention it."""
    having: dict[str, list[int]] = {}
    for index, form in enumerate(forms):
        for _, name in form.plan.pairs:
            having.setdefault(name, []).append(index)
    return having


def _is_lossy(plan: Plan) -> bool:
    return any(dialects.LOSSY.search(name) for _, name in plan.pairs)


def _latest(opens: np.ndarray, stream: np.ndarray, record: Ints) -> Ints:
    """For the lines of one stream the record of its latest opening line, -1 before the first."""
    running = np.maximum.accumulate(np.where(opens, record, -1))
    return np.where(stream, running, record)


def _opening(plan: Plan) -> bool:
    return bool(plan.positions) or (plan.split is not None and not plan.pairs)


def _repeats(forms: Sequence[Form], lines: Lines, segment: Ints, free: np.ndarray) -> np.ndarray:
    """Lines that repeat a name of the record they would join."""
    if free.any():
        repeats = np.zeros(len(free), bool)
        for stream in (free, ~free):
            some = Lines(
                number=lines.number[stream], form=lines.form[stream], row=lines.row[stream]
            )
            repeats[stream] = _rounds(forms, some, segment[stream])
        return repeats
    return _rounds(forms, lines, segment)


def _rounds(forms: Sequence[Form], lines: Lines, segment: Ints) -> np.ndarray:
    counts, lossy = _mentions(forms)
    limit = 1.25 * max((counts[name] for name in lossy), default=np.inf)
    placed = any(form.plan.positions for form in forms)
    having = _having(forms)
    breaking = [
        name for name in counts if 1 < counts[name] <= limit and (name in lossy or not placed)
    ]
    round_of = np.zeros(len(segment), np.int64)
    joins = _of(lines, [not _opening(form.plan) for form in forms]).astype(bool)
    for name in breaking:
        at = lines.of(having[name])
        if len(at) < 2 or not joins[at].any():
            continue
        first = np.searchsorted(segment[at], segment[at])
        round_of[at] = np.maximum(round_of[at], np.arange(len(at)) - first)
    offset = segment * (int(round_of.max(initial=0)) + 1)
    running = np.maximum.accumulate(round_of + offset)
    repeats = np.zeros(len(segment), bool)
    repeats[1:] = (running[1:] != running[:-1]) & (segment[1:] == segment[:-1]) & joins[1:]
    return repeats


def _mentions(forms: Sequence[Form]) -> tuple[dict[str, int], set[str]]:
    """How often each name is mentioned in lines without a position, and which are losses."""
    counts: dict[str, int] = {}
    for form in forms:
        for _, name in form.plan.pairs:
            counts[name] = counts.get(name, 0) + len(form.lines[0])
    return counts, {name for name in counts if dialects.LOSSY.search(name)}


def _records(
    forms: Sequence[Form],
    lines: Lines,
    opens: np.ndarray,
    free: np.ndarray,
    split: Ints,
    splits: tuple[str, ...],
) -> Records:
    at = np.flatnonzero(opens)
    plans = [form.plan for form in forms]
    opening = lines.form[at]
    columns, beside = _columns(forms, lines)
    telling = set(opening[_lossy_records(columns, len(at))].tolist())
    keys = [(_kind(plan), i in telling) for i, plan in enumerate(plans)]
    kinds = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    averaged = np.zeros(len(at), bool)
    means = lines.record[np.array([plan.averaged for plan in plans])[lines.form]]
    averaged[means[means >= 0]] = True
    return Records(
        opened=lines.number[at],
        columns=columns,
        beside=beside,
        split=split[at],
        splits=splits,
        placed=np.array([bool(plan.positions) for plan in plans])[opening],
        free=free[at],
        kind=np.array([kinds[key] for key in keys])[opening],
        tags=tuple(key[1] for key, _ in kinds),
        averaged=averaged,
        bar=np.array([plan.bar for plan in plans])[opening],
        early=int(
            np.sum(np.array([_is_lossy(one) for one in plans])[lines.form[lines.record < 0]])
        ),
    )


def _lossy_records(columns: dict[str, Column], size: int) -> np.ndarray:
    """True for records that mention a loss."""
    lossy = np.zeros(size, bool)
    for name, column in columns.items():
        if dialects.LOSSY.search(name):
            lossy[column.rows] = True
    return lossy


def _kind(plan: Plan) -> tuple[tuple[str, ...], str, bool]:
    names = (name for _, name in plan.positions if not name.endswith("_total"))
    return tuple(sorted(names)), plan.tag, plan.table or plan.ruler


def _columns(forms: Sequence[Form], lines: Lines) -> tuple[dict[str, Column], dict[str, int]]:
    """Values of every name by record; of several in one record the last."""
    pieces: dict[str, list[tuple[Ints, Ints, Floats]]] = {}
    beside: dict[str, int] = {}
    for index, form in enumerate(forms):
        mine = lines.of([index])
        record, number = lines.record[mine], lines.number[mine]
        for place, name in enumerate(_names(form.plan)):
            pieces.setdefault(name, []).append((record, number, form.values[0][:, place]))
            beside[name] = beside.get(name, 0) + len(mine) * bool(form.plan.positions)
    return {name: _column(parts) for name, parts in pieces.items()}, beside


def _names(plan: Plan) -> list[str]:
    return [name for _, name in (*plan.positions, *plan.pairs)]


def _column(parts: list[tuple[Ints, Ints, Floats]]) -> Column:
    record, number, value = (np.concatenate(one) for one in zip(*parts, strict=True))
    if len(parts) > 1:
        order = np.argsort(number, kind="stable")
        record, value = record[order], value[order]
    last = np.ones(len(record), bool)
    last[:-1] = record[1:] != record[:-1]
    last &= record >= 0
    return Column(rows=record[last], values=value[last])
