"""How one series, and one chart of several, become JSON-ready data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from poise.report import plain, scales
from poise.report.decimate import decimate, gaps
from poise.run import Composition, Floats, Series, Table

Json: TypeAlias = dict[str, Any]

GAPS = 200
"""Non-finite stretches of one series."""
SHARE_TERMS = 11
"""Terms with a colour of their own in a chart of shares; the others are summed."""
NAME_CELLS = 120
"""Longest name in the data of a chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table as it is drawn.

    Attributes:
        table: The table.
        positions: Position of every record on the axis, shape (len(table),).
        budget: How many points a series may have.
        composition: How the total is made of terms, if that is known.
        solid: False for another split than the first, which is drawn dashed.
    """

    table: Table
    positions: NDArray[np.int64]
    budget: int
    composition: Composition | None
    solid: bool


def panel(
    identity: str, title: str, axis: int, series: list[Json], *, linear: bool = False
) -> Json:
    """A chart of lines; its axis is chosen by the values unless it has to be linear."""
    values = [value for one in series for value in one["y"] if value is not None]
    choice = scales.Axis(scale=scales.Scale.LINEAR)
    if not linear:
        choice = scales.choose(np.asarray(values, dtype=np.float64))
    return {
        "id": identity,
        "title": title,
        "axis": axis,
        "kind": "lines",
        "scale": choice.scale.value,
        "threshold": choice.threshold,
        "series": series,
    }


def line(sheet: Sheet, one: Series, name: str | None = None) -> Json:
    """A series as a line, under another name than its own if one is given."""
    return {
        "name": plain.name(one.name if name is None else name, NAME_CELLS),
        "split": plain.name(sheet.table.split, 20),
        "solid": sheet.solid,
        "total": False,
        "count": len(one),
        **points(sheet.positions[one.rows], one.values, sheet.budget),
    }


def points(x: NDArray[np.int64], values: Floats, budget: int) -> Json:
    """Positions and values for a line, `None` where it breaks, and what was not finite."""
    order = None if len(x) < 2 or (x[1:] >= x[:-1]).all() else np.argsort(x, kind="stable")
    if order is not None:
        x, values = x[order], values[order]
    steps, kept = decimate(x, values, budget)
    return {
        "x": steps.tolist(),
        "y": [short(one) for one in kept.tolist()],
        "bad": [
            [one.first, one.last, one.nan, one.high, one.low]
            for one in gaps(x, values, min(GAPS, budget))
        ],
    }


def short(value: float) -> float | None:
    """Seven significant digits; None where a line has to break.

    Example:
        >>> short(1 / 3), short(float("nan"))
        (0.3333333, None)
    """
    return float(f"{value:.7g}") if abs(value) < float("inf") else None


def stack(
    identity: str,
    title: str,
    axis: int,
    sheet: Sheet,
    rows: NDArray[np.int64],
    shares: Sequence[tuple[str, Floats]],
) -> Json:
    """Shares of a whole as layers: those of the largest terms, the others in one.

    Args:
        identity: Of the element on the page.
        title: Of the chart.
        axis: Number of the axis.
        sheet: The table that was measured.
        rows: Records of the table, shape (n,).
        shares: Name and values of every layer, each of shape (n,), NaN where nothing is known.
    """
    values = np.column_stack([one for _, one in shares])
    means = np.nanmean(values[~np.isnan(values).all(axis=1)], axis=0)
    order: list[int] = np.argsort(-means, kind="stable").tolist()
    shown = order if len(order) <= SHARE_TERMS + 1 else order[:SHARE_TERMS]
    kept = sorted(shown)
    layers = [(plain.name(shares[one][0], NAME_CELLS), values[:, one], False) for one in kept]
    if len(shown) < len(order):
        rest = values[:, order[len(shown) :]].sum(axis=1)
        layers.append((f"{len(order) - len(shown)} other terms", rest, True))
    return {
        "id": identity,
        "title": title,
        "axis": axis,
        "kind": "stack",
        "scale": "linear",
        "threshold": 1.0,
        "series": [
            {
                "name": name,
                "rest": rest,
                "split": plain.name(sheet.table.split, 20),
                "solid": True,
                "total": False,
                "x": sheet.positions[rows].tolist(),
                "y": [None if np.isnan(one) else float(f"{one:.4g}") for one in layer.tolist()],
                "bad": [],
            }
            for name, layer, rest in layers
        ],
    }
