"""What the charts of the HTML report draw: plain data, decimated, on shared axes."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from poise.doctor.diagnosis import Diagnosis
from poise.report import plain
from poise.report.charts_measured import gradient_panels, measured_panels
from poise.report.measured import ordered
from poise.report.order import grouped
from poise.report.shares import constant_weight, logged_weight, value_shares, weighted
from poise.report.subject import subject
from poise.report.timeline import Timeline, timeline
from poise.report.traces import Json, Sheet, line, panel, points, stack
from poise.run import Kind, Run, Series, Table

POINTS = 120_000
"""Points in one report, over all series; some 25 bytes each."""
POINTS_MOST = 3000
"""Points of one series: twice the pixels of a wide chart."""
SERIES_MOST = 1200
"""Series drawn in one report; terms come before statistics."""
BINS = 400
"""Stretches of the value-share chart."""
NORM, USED = "grad_norm", "grad_norm_used"
"""Gradient norm before and after clipping, as poise records them."""
MARKS = 200
"""Restarts and events drawn."""
SAME = 1.5
"""Two tables with different words for their steps share an axis if they end this close."""
LINES = (
    ("terms", "Terms", (Kind.TOTAL, Kind.TERM)),
    ("rate", "Learning rate", (Kind.LEARNING_RATE,)),
    ("gradient", "Gradient norm", (Kind.GRAD_NORM,)),
    ("weights", "Logged weights", (Kind.WEIGHT,)),
)
FURTHER = (Kind.STATISTIC, Kind.LOSS_SCALE, Kind.COUNT)
"""Kinds that get one small chart a name, in a section that starts collapsed."""


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
            Sheet(
                table=one,
                positions=base.positions(one),
                budget=budget,
                composition=run.composition,
                solid=one.split == tables[0].split,
            )
            for one in tables
        ]
        panels += _panels(run, sheets, index)
        small += _small(run, sheets, index)
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


def _panels(run: Run, sheets: list[Sheet], axis: int) -> Iterator[Json]:
    """Terms and shares first, then what probes measured, then what the optimizer did."""
    for kind, title, kinds in LINES:
        series = list(_lines(run, sheets, kinds))
        if kind == "rate":
            yield from measured_panels(run, sheets, axis)
        if not series or (kind == "weights" and not _varied(series)):
            continue
        note = _merged(series) if kind == "gradient" else ""
        found = panel(f"{kind}-{axis}", title, axis, series[:SERIES_MOST])
        yield (found | {"note": note}) if note else found
        if kind == "terms":
            if shares := _share_panel(sheets[0], axis):
                yield shares
            yield from gradient_panels(run, sheets, axis)


def _merged(series: list[Json]) -> str:
    """Draws the norm that the optimizer used once if it is the norm itself, else dashed.

    Two lines at the same place would look like one that is missing.
    """
    for one in [one for one in series if one["name"] == USED]:
        whole = (two for two in series if two["name"] == NORM and two["split"] == one["split"])
        before = next(whole, None)
        if before is not None and _same(before, one):
            series.remove(one)
            return f"{USED} equals {NORM} at every record: nothing was clipped. Drawn once."
        one["dash"] = True
    return ""


def _same(one: Json, other: Json) -> bool:
    a, b = (np.array(each["y"], dtype=np.float64) for each in (one, other))
    return one["x"] == other["x"] and np.allclose(a, b, rtol=1e-5, atol=0.0, equal_nan=True)


def _varied(series: list[Json]) -> bool:
    return any(len(set(one["y"])) > 1 for one in series)


def _lines(run: Run, sheets: list[Sheet], kinds: Iterable[Kind]) -> Iterator[Json]:
    """Every series of the kinds once per split, from the finest table that has it.

    Terms, and weights and counts of terms, come as the record declares the terms.
    """
    order = {name: at for at, name in enumerate(ordered(run))}
    seen: set[tuple[str, str]] = set()
    for sheet in sheets:
        members = sheet.table.of_kind(*kinds)
        for one in sorted(members, key=lambda one: order.get(one.of or one.name, -1)):
            key = (sheet.table.split, one.name)
            if len(one) and key not in seen:
                seen.add(key)
                yield _line(sheet, one)


def _line(sheet: Sheet, one: Series) -> Json:
    # A weight is named and coloured as its term.
    named = one.kind is Kind.WEIGHT and one.name == f"weight/{one.of}"
    found = line(sheet, one, one.of if named else None) | {"total": one.kind is Kind.TOTAL}
    if one.kind is Kind.TERM:
        found |= _weight(sheet, one, sheet.positions[one.rows])
    return found


def _weight(sheet: Sheet, one: Series, x: NDArray[np.int64]) -> Json:
    """The constant weight of a term, or its weighted points where the weight is logged."""
    terms = sheet.composition.terms if sheet.composition else ()
    known = (constant_weight(sheet.table, term) for term in terms if term.name == one.name)
    weight = next(known, None)
    if weight is not None:
        return {"weight": weight if np.isfinite(weight) else None}
    if logged_weight(sheet.table, one.name) is None:
        return {}
    drawn = points(x, weighted(sheet.table, one, None), sheet.budget // 2)
    return {"wx": drawn["x"], "wy": drawn["y"]}


def _share_panel(sheet: Sheet, axis: int) -> Json | None:
    """Value shares of the largest terms over time, the others in one; None with one record."""
    shares = value_shares(sheet.table, sheet.composition, BINS)
    if shares is None or len(shares.rows) < 2 or not np.isfinite(shares.values).any():
        return None
    layers = list(zip(shares.names, shares.values.T, strict=True))
    known = "weighted" if shares.weighted else "raw: unknown weights count as 1"
    found = stack(f"shares-{axis}", "Value shares", axis, sheet, shares.rows, layers)
    return found | {"note": f"{known}. Who owns the loss value, not the gradient."}


def _small(run: Run, sheets: list[Sheet], axis: int) -> Iterator[Json]:
    """One small chart for every further name, its splits together."""
    by_name: dict[str, list[Json]] = {}
    for one in _lines(run, sheets, FURTHER):
        by_name.setdefault(str(one["name"]), []).append(one)
    for index, (name, series) in enumerate(by_name.items()):
        yield panel(f"small-{axis}-{index}", name, axis, series)


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
                    f"{subject(one, diagnosis.run, most=2)}".strip(),
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
