"""A sample of the losses of one table: what totals are fitted on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from poise.run import Floats, Ints, Kind, Series, Table

OFTEN = 0.9
"""Share of the records that must mention a term for it to take part in every fit."""

_RECORDS = 4000
"""Records that are looked at, at most, spread over the run and its restarts."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sample of one table: terms and totals on common records, NaN where one is silent."""

    table: Table
    rows: Ints
    columns: Mapping[str, Floats]

    def named(self, kind: Kind) -> list[str]:
        """Columns of one kind, in log order."""
        return [name for name in self.columns if self.table.series[name].kind is kind]

    def grid(self, names: Iterable[str]) -> Floats:
        """Columns side by side, shape (n, k)."""
        found = [self.columns[name] for name in names]
        return np.column_stack(found) if found else np.empty((len(self.rows), 0))


def sample(table: Table) -> Sheet | None:
    """A sample of the records that mention a total, or else any term; None without any."""
    losses = list(table.of_kind(Kind.TOTAL, Kind.TERM))
    if not losses:
        return None
    totals = [one for one in losses if one.kind is Kind.TOTAL]
    rows = max((one.rows for one in totals or losses), key=len)
    if not len(rows):
        return None
    rows = rows[_spread(table.segments[rows])]
    columns = {one.name: values_at(one, rows) for one in losses}
    return Sheet(table, rows, columns)


def _spread(segments: Ints) -> Ints:
    """Positions of at most about 4000 records: even ones, and both ends of every restart."""
    count = len(segments)
    if count <= _RECORDS:
        return np.arange(count)
    starts = np.flatnonzero(np.diff(segments)) + 1
    even = np.linspace(0, count - 1, _RECORDS).astype(np.int64)
    return np.unique(np.concatenate([even, starts[:200], starts[:200] - 1]))


def values_at(series: Series, rows: Ints) -> Floats:
    """Values at the given rows of the table, NaN where the series is silent."""
    if not len(series):
        return np.full(len(rows), np.nan)
    at = np.minimum(np.searchsorted(series.rows, rows), len(series) - 1)
    return np.where(series.rows[at] == rows, series.values[at], np.nan)


def held_at(series: Series, rows: Ints) -> Floats:
    """Values at the given rows, where a silent record keeps the last value."""
    at = np.clip(np.searchsorted(series.rows, rows, side="right") - 1, 0, len(series) - 1)
    return series.values[at]
