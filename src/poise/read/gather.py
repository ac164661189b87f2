"""From records (one mapping per log line) to columns, without keeping an object per value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from poise.errors import ReadError
from poise.read.frame import Column, Frame
from poise.run import Event, Floats, Ints

MAX_COLUMNS = 10_000
"""More columns than this are no training log."""

_CHUNK = 8_192  # records that may wait as Python objects
_DEPTH = 6  # objects inside objects that are still followed
_LIST = 64  # a longer list is data, not a set of metrics


@dataclass(slots=True)
class _Shape:
    """Records that wait to be converted and that mention the same keys in the same order."""

    keys: tuple[str, ...]
    rows: list[int] = field(default_factory=list[int])
    values: list[object] = field(default_factory=list[object])  # row by row, flat


@dataclass(slots=True)
class _Parts:
    """What one column has so far; `marks` tell whether two columns have the same rows."""

    rows: list[Ints] = field(default_factory=list[Ints])
    values: list[Floats] = field(default_factory=list[Floats])
    marks: list[int] = field(default_factory=list[int])


class Gather:
    """Collects records and gives them back as a `Frame`.

    Nested objects become `outer/inner`, short lists of numbers become `name.0`, `name.1`, ...;
    numbers written as strings are numbers, `null` is the same as not mentioned, and all other text
    is dropped.

    Example:
        >>> gather = Gather()
        >>> gather.add({"step": 0, "loss": "2.5", "aux": {"kl": 0.5}})
        >>> gather.add({"step": 1, "loss": float("nan")})
        >>> frame = gather.frame()
        >>> {name: column.values.tolist() for name, column in frame.columns.items()}
        {'step': [0.0, 1.0], 'loss': [2.5, nan], 'aux/kl': [0.5]}
    """

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._parts: dict[str, _Parts] = {}
        self._size = 0
        self._waiting = 0
        self._mark = 0
        self._skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return self._size

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out and why, one sentence per name (the first few)."""
        self._flush()
        found = [f"{name!r} is left out: {why}" for name, why in self._skipped.items()]
        more = [f"{len(found) - 5} more names are left out"] if len(found) > 5 else []
        return (*found[:5], *more)

    def add(self, record: Mapping[str, object]) -> None:
        """Append one record.

        Raises:
            ReadError: There are more than `MAX_COLUMNS` different names.
        """
        keys = tuple(record)
        shape = self._shapes.get(keys)
        if shape is None:
            shape = self._shapes[keys] = _Shape(keys)
        shape.rows.append(self._size)
        shape.values.extend(record.values())
        self._size += 1
        self._waiting += 1
        if self._waiting >= _CHUNK:
            self._flush()

    def frame(
        self,
        *,
        split: str | None = None,
        grain: str | None = None,
        terms: Iterable[str] = (),
        totals: Iterable[str] = (),
        events: Sequence[Event] = (),
    ) -> Frame:
        """All records so far as a frame; the arguments are passed on to it."""
        self._flush()
        every = np.arange(self._size)
        shared: dict[tuple[int, ...], tuple[Ints, Ints | None]] = {}
        columns = {name: self._column(parts, every, shared) for name, parts in self._parts.items()}
        return Frame(
            size=self._size,
            columns=columns,
            split=split,
            grain=grain,
            terms=frozenset(terms),
            totals=frozenset(totals),
            events=tuple(events),
        )

    @staticmethod
    def _column(
        parts: _Parts, every: Ints, shared: dict[tuple[int, ...], tuple[Ints, Ints | None]]
    ) -> Column:
        values = np.concatenate(parts.values)
        key = tuple(parts.marks)
        if key not in shared:
            rows = np.concatenate(parts.rows)
            order = None
            if len(rows) > 1 and not bool((np.diff(rows) > 0).all()):
                order = np.argsort(rows, kind="stable")
                rows = rows[order]
            shared[key] = (every if len(rows) == len(every) else rows, order)
        rows, order = shared[key]
        return Column(rows=rows, values=values if order is None else values[order])

    def _flush(self) -> None:
        waiting = [shape for shape in self._shapes.values() if shape.rows]
        self._shapes = {shape.keys: shape for shape in waiting[:64]}
        self._waiting = 0
        for shape in waiting:
            self._convert(shape)
            shape.rows, shape.values = [], []

    def _convert(self, shape: _Shape) -> None:
        width = len(shape.keys)
        if width == 0:
            return
        rows = np.array(shape.rows, dtype=np.int64)
        table = _numbers(shape.values)
        if table is None:
            self._convert_slowly(shape, rows)
            return
        table = table.reshape(-1, width).T
        mark = self._next_mark()
        for name, values in zip(shape.keys, table, strict=True):
            self._put(name, rows, np.ascontiguousarray(values), mark)

    def _convert_slowly(self, shape: _Shape, rows: Ints) -> None:
        width = len(shape.keys)
        mark = self._next_mark()
        for index, name in enumerate(shape.keys):
            column = shape.values[index::width]
            values = _numbers(column)
            if values is None:
                self._take_apart(name, rows, column)
            else:
                self._put(name, rows, values, mark)

    def _take_apart(self, name: str, rows: Ints, column: Sequence[object]) -> None:
        """One column that holds something else than numbers: objects, lists, text, nulls."""
        found: dict[str, tuple[list[int], list[float]]] = {}
        for row, value in zip(rows.tolist(), column, strict=True):
            for leaf, number in self._leaves(name, value, 0):
                at, numbers = found.setdefault(leaf, ([], []))
                if not at or at[-1] != row:
                    at.append(row)
                    numbers.append(number)
        for leaf, (at, numbers) in found.items():
            self._put(leaf, np.array(at, dtype=np.int64), np.array(numbers), self._next_mark())

    def _leaves(self, name: str, value: object, depth: int) -> Iterable[tuple[str, float]]:
        if isinstance(value, dict | list):
            return self._inner(name, value, depth)  # pyright: ignore[reportUnknownArgumentType] -- any JSON value is handled
        number = to_number(value)
        return () if number is None else ((name, number),)

    def _inner(
        self, name: str, value: dict[str, object] | list[object], depth: int
    ) -> Iterable[tuple[str, float]]:
        if depth >= _DEPTH:
            self._skipped.setdefault(name, f"objects deeper than {_DEPTH} are not followed")
            return ()
        if isinstance(value, dict):
            parts = ((f"{name}/{key}", one) for key, one in value.items())
        elif len(value) > _LIST:
            self._skipped.setdefault(name, f"a list of {len(value)} is data, not metrics")
            return ()
        else:
            parts = ((f"{name}.{index}", one) for index, one in enumerate(value))
        return chain.from_iterable(self._leaves(key, one, depth + 1) for key, one in parts)

    def _put(self, name: str, rows: Ints, values: Floats, mark: int) -> None:
        parts = self._parts.get(name)
        if parts is None:
            if len(self._parts) >= MAX_COLUMNS:
                raise ReadError(
                    f"the log has more than {MAX_COLUMNS:,} differently named quantities; "
                    "a training log has some hundreds, so this is taken for something else"
                )
            parts = self._parts[name] = _Parts()
        parts.rows.append(rows)
        parts.values.append(values)
        parts.marks.append(mark)

    def _next_mark(self) -> int:
        self._mark += 1
        return self._mark


def _numbers(values: list[object]) -> Floats | None:
    """The values as numbers; None if one of them is no number (a null is none)."""
    try:
        numbers = np.fromiter(values, np.float64, len(values))
    except (TypeError, ValueError, OverflowError):
        return None
    # numpy takes a null for NaN, but NaN is what the log says and a null says nothing
    return None if np.isnan(numbers).any() and None in values else numbers


def to_number(value: object) -> float | None:
    """The number that a logged value stands for; None if it stands for none.

    Example:
        >>> [to_number(one) for one in (1, True, " 2e-3 ", "0.1%", "NaN", "abc", None)]
        [1.0, 1.0, 0.002, 0.1, nan, None, None]
    """
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if not isinstance(value, str) or len(value) > 64 or "_" in value:
        return None
    try:
        return float(value.strip().removesuffix("%"))
    except ValueError:
        return None
