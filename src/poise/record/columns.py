"""Records of one split, gathered into columns chunk by chunk."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias, cast

import numpy as np

from poise.record.schema import KEYS, MAPS, SCALARS, Record, number
from poise.run import Floats, Ints

Key: TypeAlias = tuple[str, str]
"""Key of the record and, inside a map, the name: `("total", "")`, `("terms", "ce")`."""
GROUPS = (
    "step",
    "micro",
    "wall_s",
    "total",
    "terms",
    "weights",
    "counts",
    "lr",
    "grad_norm",
    "grad_norm_used",
    "skipped",
    "discarded",
    "log",
)
"""Keys of a record that hold numbers."""
Cells: TypeAlias = tuple[Ints, Floats]
"""Records that mention a quantity, strictly increasing, and its values there."""


@dataclass(slots=True)
class Columns:
    """Gathers `step` or `eval` records; numpy does the work per number, Python that per record.

    Attributes:
        size: Records so far.
        unknown: Keys that the schema does not have, and how many records use each.
        bad: Values that are no numbers, by the key they stand under.
        huge: Integers beyond the range of float64, which became infinite.
    """

    size: int = 0
    unknown: Counter[str] = field(default_factory=Counter[str])
    bad: Counter[str] = field(default_factory=Counter[str])
    huge: int = 0
    _pieces: dict[Key, list[Cells]] = field(default_factory=dict[Key, list[Cells]])

    def extend(self, records: Sequence[Record]) -> None:
        """Appends records whose `step` is known to be a 64-bit integer."""
        rows = np.arange(self.size, self.size + len(records))
        self.size += len(records)
        present = set[str]().union(*records)
        for key in SCALARS:
            if key in present:
                self._add_column((key, ""), rows, _each(records, key))
        for key in MAPS:
            if key in present:
                self._add_maps(key, rows, _each(records, key))
        if "lr" in present:
            self._add_rates(rows, _each(records, "lr"))
        if present - KEYS:
            for one in records:
                self.unknown.update(one.keys() - KEYS)

    def set_from_here(self, weights: Mapping[str, float]) -> None:
        """Puts weights in force from the next record on."""
        for name, weight in weights.items():
            self._add(("weights", name), np.array([self.size]), np.array([weight]))

    def finish(self) -> dict[Key, Cells]:
        """All columns in the order of `GROUPS`, then of appearance.

        Weights hold for every record since they were set. Columns that every record mentions share
        one array of rows. The gathered pieces are gone afterwards.
        """
        every = np.arange(self.size)
        columns: dict[Key, Cells] = {}
        for key in sorted(self._pieces, key=lambda key: GROUPS.index(key[0])):
            rows, values = _joined(self._pieces.pop(key))
            if key[0] == "weights":
                rows, values = _carried_on(rows, values, every)
            if len(rows) == self.size:
                rows = every
            if len(rows):
                columns[key] = rows, values
        return columns

    def _add_maps(self, key: str, rows: Ints, maps: list[object]) -> None:
        dicts = cast(list[Record], maps)
        if set(map(type, maps)) == {dict}:
            shapes = set(map(tuple, dicts))
            if len(shapes) == 1:
                self._add_matrix(key, shapes.pop(), rows, [one.values() for one in dicts])
                return
        found: dict[tuple[str, ...], list[int]] = {}
        for index, one in enumerate(dicts):
            if type(one) is dict:
                found.setdefault(tuple(one), []).append(index)
            elif maps[index] is not _Missing and maps[index] is not None:
                self.bad[key] += 1
        for names, indices in found.items():
            self._add_matrix(key, names, rows[indices], [dicts[one].values() for one in indices])

    def _add_rates(self, rows: Ints, rates: list[object]) -> None:
        if set(map(type, rates)) == {list}:
            lists = cast(list[list[object]], rates)
            lengths = set(map(len, lists))
            if len(lengths) == 1:
                self._add_matrix("lr", tuple(map(str, range(lengths.pop()))), rows, lists)
                return
        self._add_maps("lr", rows, [_by_index(one) for one in rates])

    def _add_matrix(
        self, key: str, names: tuple[str, ...], rows: Ints, cells: Sequence[Collection[object]]
    ) -> None:
        """Adds the numbers `cells`, one collection a row, in the order of `names`."""
        flat = _floats(chain.from_iterable(cells), len(names) * len(rows))
        if flat is not None:
            for name, column in zip(names, flat.reshape(len(rows), len(names)).T, strict=True):
                self._add((key, name), rows, column)
            return
        for name, column in zip(names, zip(*cells, strict=True), strict=True):
            self._add_column((key, name), rows, list(column))

    def _add_column(self, key: Key, rows: Ints, values: list[object]) -> None:
        flat = _floats(values, len(values))
        if flat is not None:
            self._add(key, rows, flat)
            return
        mentioned = [index for index, one in enumerate(values) if one is not _Missing]
        numbers = [number(values[index]) for index in mentioned]
        kept = [index for index, one in zip(mentioned, numbers, strict=True) if one is not None]
        self.bad[key[0]] += len(mentioned) - len(kept)
        self.huge += sum(
            type(values[index]) is int and one in (math.inf, -math.inf)
            for index, one in zip(mentioned, numbers, strict=True)
        )
        self._add(key, rows[kept], np.array([one for one in numbers if one is not None], float))

    def _add(self, key: Key, rows: Ints, values: Floats) -> None:
        self._pieces.setdefault(key, []).append((rows, values))


class _Missing:
    """Stands where a record does not mention a key; numpy cannot make a number of it."""


def _each(records: Sequence[Record], key: str) -> list[object]:
    try:
        return [one[key] for one in records]
    except KeyError:
        return [one.get(key, _Missing) for one in records]


def _by_index(rates: object) -> object:
    """Learning rates of a record as a map from the number of the parameter group."""
    if rates is _Missing:
        return _Missing
    listed = cast(list[object], rates) if isinstance(rates, list) else [rates]
    return {str(index): rate for index, rate in enumerate(listed)}


def _floats(values: Iterable[object], count: int) -> Floats | None:
    """The numbers at full speed; None if one of them needs a closer look."""
    try:
        # numpy takes "NaN" and "Infinity" for what they mean.
        return np.fromiter(values, np.float64, count)
    except (ValueError, TypeError, OverflowError):
        return None


def _joined(pieces: list[Cells]) -> Cells:
    rows = np.concatenate([rows for rows, _ in pieces])
    values = np.concatenate([values for _, values in pieces])
    if np.any(rows[1:] <= rows[:-1]):
        # Records of different shapes interleave; of two pieces for one record the later one holds.
        order = np.argsort(rows, kind="stable")
        rows, values = rows[order], values[order]
        last = np.append(rows[1:] != rows[:-1], True)
        rows, values = rows[last], values[last]
    return rows, values


def _carried_on(rows: Ints, values: Floats, every: Ints) -> Cells:
    """Values that hold until the next one, for every record from the first of them on."""
    start = int(rows[0])
    return every[start:], np.repeat(values, np.diff(rows, append=max(len(every), int(rows[-1]))))
