"""Value shares: weighted value of a term over the sum of absolute weighted values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.run import Composition, Floats, Kind, Series, Table, TermWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Value shares over a table.

    Attributes:
        rows: First record of every bin, shape (b,).
        names: Terms of the total, or all terms where nothing says which belong to it.
        values: Shape (b, terms); every row sums to 1, or is NaN where all terms are 0 or
            absent, or beyond the float range.
        weighted: True if the weight of every term is known; else unknown weights count as 1.
    """

    rows: NDArray[np.int64]
    names: tuple[str, ...]
    values: Floats
    weighted: bool


def members(
    table: Table, composition: Composition | None
) -> tuple[tuple[Series, float | None], ...]:
    """Terms that make up the total, with their weights; all terms where there is no total."""
    if composition is None:
        return tuple((one, None) for one in table.of_kind(Kind.TERM))
    return tuple(
        (table.series[one.name], constant_weight(table, one))
        for one in composition.terms
        if one.name in table.series and constant_weight(table, one) != 0.0
    )


def constant_weight(table: Table, term: TermWeight) -> float | None:
    """The weight of a term in the total; None where it is unknown or declared and then changed.

    Of a declared weight that changes only the last value is in the composition; all are logged.
    """
    logged = logged_weight(table, term.name) if term.source == "declared" else None
    changes = logged is not None and bool((logged.values != logged.values[0]).any())
    return None if changes else term.weight


def weighted(table: Table, series: Series, weight: float | None) -> Floats:
    """Values times weight, shape (len(series),): the constant weight, else the one logged beside.

    A weight that is logged less often than its term holds until it is logged again; a term without
    any known weight counts as it is.
    """
    if weight is not None:
        return series.values * np.float64(weight)
    logged = logged_weight(table, series.name)
    if logged is None:
        return series.values
    place = np.searchsorted(logged.rows, series.rows, side="right") - 1
    return series.values * logged.values[np.maximum(place, 0)]


def logged_weight(table: Table, term: str) -> Series | None:
    """The logged weight of a term, if the table has one."""
    found = (one for one in table.of_kind(Kind.WEIGHT) if one.of == term and len(one))
    return next(found, None)


def value_shares(table: Table, composition: Composition | None, bins: int) -> Shares | None:
    """Shares over at most `bins` stretches of records; None with fewer than two terms.

    Within a stretch the absolute weighted values are averaged first (over the finite ones), so a
    share is a ratio of means.
    """
    terms = members(table, composition)
    if len(terms) < 2 or not len(table):
        return None
    bins = min(bins, len(table))
    edges = np.arange(bins) * len(table) // bins
    # Sums beyond the float range are infinite and give NaN, as documented for nothing to share.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        means = np.column_stack([_means(table, one, weight, edges) for one, weight in terms])
        sums = means.sum(axis=1, keepdims=True)
        values = np.where((sums > 0.0) & np.isfinite(sums), means / sums, np.nan)
    known = all(
        weight is not None or logged_weight(table, one.name) is not None for one, weight in terms
    )
    return Shares(
        rows=edges, names=tuple(one.name for one, _ in terms), values=values, weighted=known
    )


def _means(table: Table, series: Series, weight: float | None, edges: NDArray[np.int64]) -> Floats:
    """Mean of |weighted value| per bin over its finite values; 0 where a bin has none."""
    sizes = np.abs(weighted(table, series, weight))
    finite = np.isfinite(sizes)
    starts = np.searchsorted(series.rows, edges)
    sums = _per_bin(np.where(finite, sizes, 0.0), starts)
    counts = _per_bin(finite.astype(np.float64), starts)
    return np.divide(sums, counts, out=np.zeros(len(edges)), where=counts > 0.0)


def _per_bin(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Sums of consecutive stretches that begin at `starts`; an empty stretch sums to 0."""
    padded = np.append(values, 0.0)
    sums = np.add.reduceat(padded, starts)
    empty = np.append(np.diff(starts), len(values) - starts[-1]) == 0
    return np.where(empty, 0.0, sums)
