"""What the charts of the HTML report draw: plain data, decimated, on shared axes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from poise.doctor.diagnosis import Diagnosis
from poise.report import plain, scales
from poise.report.decimate import decimate, gaps
from poise.report.order import grouped
from poise.report.shares import logged_weight, value_shares, weighted
from poise.report.timeline import Timeline, timeline
from poise.run import Composition, Floats, Kind, Run, Series, Table

Json: TypeAlias = dict[str, Any]

POINTS = 120_000
"""Points in one report, over all series; some 25 bytes each."""
POINTS_MOST = 3000
"""Points of one series: twice the pixels of a wide chart."""
SERIES_MOST = 1200
"""Series drawn in one report; terms come before statistics."""
BINS = 400
"""Stretches of the value-share chart."""
SHARE_TERMS = 11
"""Terms with a colour of their own in the value-share chart; the others are summed."""
MARKS = 200
"""Restarts and events drawn."""
SAME = 1.5
"""Two tables with different words for their steps share an axis if they end this close."""
GAPS = 200
"""Non-finite stretches of one series."""

LINES = (
    ("terms", "Terms", (Kind.TOTAL, Kind.TERM)),
    ("rate", "Learning rate", (Kind.LEARNING_RATE,)),
    ("gradient", "Gradient norm", (Kind.GRAD_NORM,)),
    ("weights", "Logged weights", (Kind.WEIGHT,)),
)
FURTHER = (Kind.STATISTIC, Kind.LOSS_SCALE, Kind.COUNT)
"""Kinds that get one small chart a name, in a section that starts collapsed."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One table as it is drawn: its positions and how many points a series may have."""

    table: Table
    positions: NDArray[np.int64]
    budget: int
    composition: Composition | None
    solid: bool


def chart_data(diagnosis: Diagnosis) -> Json:
    """All charts of a report, as JSON-ready data; names are escaped, never markup.

    Keys: `axes` (one per way of counting steps, the training table's first), `panels` (in order),
    `small` (further series, one small chart a name), `findings` (where each is marked),
    `restarts`, `events`, `left_out` (how many series are not drawn).
    """
    run = diagnosis.run
    budget, left_out = _budget(run)
    axes: list[Json] = []
    panels: list[Json] = []
    small: list[Json] = []
    for index, tables in enumerate(_by_axis(run)):
        base = timeline(tables[0])
        axes.append(_axis(tables[0], base))
        sheets = [
            _Sheet(
                table=one,
                positions=base.positions(one),
                budget=budget,
                composition=run.composition,
                solid=one.split == tables[0].split,
            )
            for one in tables
        ]
        panels += _panels(sheets, index)
        small += _small(sheets, index)
    kept = max(SERIES_MOST - sum(len(one["series"]) for one in panels), 0)
    found = timeline(run.train) if run.tables and len(run.train) else None
    return {
        "axes": axes,
        "panels": panels,
        "small": small[:kept],
        "left_out": left_out,
        "findings": _findings(diagnosis, found) if found else [],
        "restarts": found.firsts[1 : MARKS + 1].tolist() if found else [],
        "events": _events(run, found) if found else [],
    }


def _budget(run: Run) -> tuple[int, int]:
    """Points per series, and how many series there are beyond the most that are drawn."""
    drawn = sum(
        one.kind not in (Kind.CLOCK, Kind.POSITION)
        for table in run.tables
        for one in table.series.values()
    )
    budget = POINTS // max(min(drawn, SERIES_MOST), 1)
    return min(max(budget, 24), POINTS_MOST), max(drawn - SERIES_MOST, 0)


def _by_axis(run: Run) -> list[list[Table]]:
    """Tables that count the same steps, the finest of every split, the training table first."""
    groups: list[list[Table]] = []
    for one in run.tables:
        if len(one):
            home = next((group for group in groups if _same_count(group[0], one)), None)
            if home is None:
                groups.append([one])
            else:
                home.append(one)
    return groups


def _same_count(one: Table, other: Table) -> bool:
    """Whether two tables count the same thing: by its name, or as two words for about as much.

    Epochs and row numbers are never mixed with steps.
    """
    if one.step_name == other.step_name:
        return True
    if any(name.startswith(("epoch", "row")) for name in (one.step_name, other.step_name)):
        return False
    low, high = sorted((int(one.steps.max()), int(other.steps.max())))
    return low > 0 and high <= SAME * low


def _axis(table: Table, base: Timeline) -> Json:
    return {
        "name": plain.name(table.step_name, 20),
        "firsts": base.firsts.tolist(),
        "offsets": base.offsets.tolist(),
        "range": [int(base.firsts.min()), int(base.lasts.max())],
    }


def _panels(sheets: list[_Sheet], axis: int) -> Iterator[Json]:
    for panel, title, kinds in LINES:
        series = list(_lines(sheets, kinds))
        if not series or (panel == "weights" and not _varied(series)):
            continue
        yield _panel(f"{panel}-{axis}", title, axis, series[:SERIES_MOST])
        if panel == "terms" and (shares := _share_panel(sheets[0], axis)):
            yield shares


def _varied(series: list[Json]) -> bool:
    return any(len(set(one["y"])) > 1 for one in series)


def _panel(panel: str, title: str, axis: int, series: list[Json]) -> Json:
    values = [value for one in series for value in one["y"] if value is not None]
    choice = scales.choose(np.asarray(values, dtype=np.float64))
    return {
        "id": panel,
        "title": title,
        "axis": axis,
        "kind": "lines",
        "scale": choice.scale.value,
        "threshold": choice.threshold,
        "series": series,
    }


def _lines(sheets: list[_Sheet], kinds: Iterable[Kind]) -> Iterator[Json]:
    """Every series of the kinds once per split, from the finest table that has it."""
    seen: set[tuple[str, str]] = set()
    for sheet in sheets:
        for one in sheet.table.of_kind(*kinds):
            key = (sheet.table.split, one.name)
            if len(one) and key not in seen:
                seen.add(key)
                yield _line(sheet, one)


def _line(sheet: _Sheet, one: Series) -> Json:
    x = sheet.positions[one.rows]
    found: Json = {
        "name": plain.name(one.name, 120),
        "split": plain.name(sheet.table.split, 20),
        "solid": sheet.solid,
        "total": one.kind is Kind.TOTAL,
        "count": len(one),
        **_points(x, one.values, sheet.budget),
    }
    if one.kind is Kind.TERM:
        found |= _weight(sheet, one, x)
    return found


def _weight(sheet: _Sheet, one: Series, x: NDArray[np.int64]) -> Json:
    """The constant weight of a term, or its weighted points where the weight is logged."""
    terms = sheet.composition.terms if sheet.composition else ()
    weight = next((term.weight for term in terms if term.name == one.name), None)
    if weight is not None:
        return {"weight": weight if np.isfinite(weight) else None}
    if logged_weight(sheet.table, one.name) is None:
        return {}
    points = _points(x, weighted(sheet.table, one, None), sheet.budget // 2)
    return {"wx": points["x"], "wy": points["y"]}


def _points(x: NDArray[np.int64], values: Floats, budget: int) -> Json:
    """Positions and values for a line, `None` where it breaks, and what was not finite."""
    order = None if len(x) < 2 or (x[1:] >= x[:-1]).all() else np.argsort(x, kind="stable")
    if order is not None:
        x, values = x[order], values[order]
    steps, kept = decimate(x, values, budget)
    return {
        "x": steps.tolist(),
        "y": [_short(one) for one in kept.tolist()],
        "bad": [
            [one.first, one.last, one.nan, one.high, one.low]
            for one in gaps(x, values, min(GAPS, budget))
        ],
    }


def _short(value: float) -> float | None:
    """Seven significant digits; None where a line has to break."""
    return float(f"{value:.7g}") if abs(value) < float("inf") else None


def _share_panel(sheet: _Sheet, axis: int) -> Json | None:
    """Value shares of the largest terms over time, the others in one; None with one record."""
    shares = value_shares(sheet.table, sheet.composition, BINS)
    if shares is None or len(shares.rows) < 2 or not np.isfinite(shares.values).any():
        return None
    means = np.nanmean(shares.values[~np.isnan(shares.values).all(axis=1)], axis=0)
    order: list[int] = np.argsort(-means, kind="stable").tolist()
    shown = order[:SHARE_TERMS] if len(order) > SHARE_TERMS + 1 else order
    columns = [(plain.name(shares.names[one], 120), shares.values[:, one], False) for one in shown]
    if len(shown) < len(order):
        rest = shares.values[:, order[len(shown) :]].sum(axis=1)
        columns.append((f"{len(order) - len(shown)} other terms", rest, True))
    x = sheet.positions[shares.rows].tolist()
    split = plain.name(sheet.table.split, 20)
    known = "weighted" if shares.weighted else "raw: unknown weights count as 1"
    return {
        "id": f"shares-{axis}",
        "title": "Value shares",
        "note": f"{known}. Who owns the loss value, not the gradient.",
        "axis": axis,
        "kind": "stack",
        "scale": "linear",
        "threshold": 1.0,
        "series": [
            {
                "name": name,
                "rest": rest,
                "split": split,
                "solid": True,
                "total": False,
                "x": x,
                "y": [None if np.isnan(one) else round(one, 5) for one in values.tolist()],
                "bad": [],
            }
            for name, values, rest in columns
        ],
    }


def _small(sheets: list[_Sheet], axis: int) -> Iterator[Json]:
    """One small chart for every further name, its splits together."""
    by_name: dict[str, list[Json]] = {}
    for line in _lines(sheets, FURTHER):
        by_name.setdefault(str(line["name"]), []).append(line)
    for index, (name, series) in enumerate(by_name.items()):
        yield _panel(f"small-{axis}-{index}", name, axis, series)


def _findings(diagnosis: Diagnosis, base: Timeline) -> list[Json]:
    """Where every finding is marked; ids and numbers are those of the list of findings."""
    found: list[Json] = []
    for index, group in enumerate(grouped(diagnosis.findings), start=1):
        for inner, one in enumerate((group.cause, *group.symptoms)):
            number = f"{index}.{inner}" if inner else str(index)
            found.append(
                {
                    "id": f"finding-{number}",
                    "number": number,
                    "severity": one.severity.value,
                    "label": f"{one.severity.value}: {one.fault.value} "
                    f"{plain.listed(one.terms, most=2)}".strip(),
                    "terms": [plain.name(term, 120) for term in one.terms],
                    "spans": base.spans(one.steps),
                }
            )
    return found


def _events(run: Run, base: Timeline) -> list[Json]:
    places = [(base.nearest(one.step), one) for one in run.events if one.step is not None]
    found: list[Json] = [
        {"x": place, "text": f"{plain.name(one.name)}: {plain.shorten(plain.plain(one.text), 100)}"}
        for place, one in places
        if place is not None and one.name != "restart"
    ]
    return found[:MARKS]
