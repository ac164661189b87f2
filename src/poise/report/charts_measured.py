"""The charts of what probes measured: shares, cosines, motion and step response over time."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from poise.report import plain
from poise.report.measured import (
    PROBE,
    by_term,
    motions,
    ordered,
    pairs,
    place_words,
    suffixes,
)
from poise.report.traces import Json, Sheet, line, panel, stack
from poise.run import Kind, Run, Series


def gradient_panels(run: Run, sheets: Iterable[Sheet], axis: int) -> Iterator[Json]:
    """Gradient shares over time, one chart a place with two probes of two terms or more."""
    for sheet in _probed(sheets):
        for number, (where, suffix) in enumerate(suffixes(run).items()):
            columns = _sorted(run, by_term(sheet.table, Kind.GRADIENT_SHARE, suffix))
            title = f"Gradient shares ({plain.name(where)})"
            found = _stacked(sheet, columns, f"gradient-shares-{axis}-{number}", title, axis)
            if found:
                words = plain.plain(place_words(run, where))
                note = f"weighted, {words}. Who owns the gradient, not the loss value."
                yield found | {"note": note}


def measured_panels(run: Run, sheets: Iterable[Sheet], axis: int) -> Iterator[Json]:
    """Direction and update shares, cosines, motion by module, step response, where recorded."""
    for sheet in _probed(sheets):
        where, suffix = _first_place(run, sheet)
        shared = {
            "update-shares": ("Update shares", Kind.UPDATE_SHARE, UPDATE),
            "direction-shares": ("Direction shares", Kind.DIRECTION_SHARE, DIRECTION),
        }
        for name, (title, kind, note) in shared.items():
            columns = _sorted(run, by_term(sheet.table, kind, suffix))
            yield from _lined(sheet, columns, f"{name}-{axis}", title, f"{where}. {note}", axis)
        table, terms = sheet.table, ordered(run)
        cosines = {f"{a} and {b}": one for a, b, one in pairs(table, terms, suffix)}
        yield from _lined(
            sheet, cosines, f"cosines-{axis}", "Cosines of gradients", f"{where}. {COSINE}", axis
        )
        yield from _motion(sheet, axis)
        response = _sorted(run, by_term(table, Kind.RESPONSE))
        for one in _lined(sheet, response, f"response-{axis}", "Step response", RESPONSE, axis):
            yield one | {"percent": False}


UPDATE = "Who owns the optimizer's step; negative: undone by the others."
DIRECTION = "Who owns the direction of the gradient; negative: opposed by the others."
COSINE = "Negative: the two terms pull apart."
RESPONSE = "Change of each term on the same batch by one optimizer step."
MOTION = "Distance moved in one optimizer step over the norm of the module's parameters."


def _motion(sheet: Sheet, axis: int) -> Iterator[Json]:
    series = [line(sheet, one, name) for name, one in motions(sheet.table).items() if len(one)]
    if any(one["count"] > 1 for one in series):
        found = panel(f"motion-{axis}", "Motion by module", axis, series)
        yield found | {"note": MOTION, "percent": True}


def _lined(
    sheet: Sheet, columns: Mapping[str, Series], identity: str, title: str, note: str, axis: int
) -> Iterator[Json]:
    """One chart of lines on a linear axis, if anything was measured twice."""
    series = [line(sheet, one, name) for name, one in columns.items() if len(one)]
    if any(one["count"] > 1 for one in series):
        percent = "share" in identity
        linear = not identity.startswith("response")
        found = panel(identity, title, axis, series, linear=linear)
        yield found | {"note": note, "percent": percent}


def _stacked(
    sheet: Sheet, columns: Mapping[str, Series], identity: str, title: str, axis: int
) -> Json | None:
    """Layers over the probes that measured any; a term without a value at one has no share."""
    if len(columns) < 2:
        return None
    rows = np.unique(np.concatenate([one.rows for one in columns.values()]))
    values = np.zeros((len(rows), len(columns)))
    for at, one in enumerate(columns.values()):
        values[np.searchsorted(rows, one.rows), at] = one.values
    values[~np.isfinite(values).all(axis=1)] = np.nan
    if len(rows) < 2 or np.isnan(values).all():
        return None
    shares = list(zip(columns, values.T, strict=True))
    return stack(identity, title, axis, sheet, rows, shares)


def _first_place(run: Run, sheet: Sheet) -> tuple[str, str]:
    """Words and suffix of the place that says most and has the directions of two terms."""
    for where, suffix in suffixes(run).items():
        if len(by_term(sheet.table, Kind.DIRECTION_SHARE, suffix)) > 1:
            return plain.plain(place_words(run, where)), suffix
    return plain.plain(place_words(run, "shared")), ""


def _sorted(run: Run, columns: Mapping[str, Series]) -> dict[str, Series]:
    return {name: columns[name] for name in ordered(run) if name in columns}


def _probed(sheets: Iterable[Sheet]) -> Iterator[Sheet]:
    return (one for one in sheets if one.table.grain == PROBE)
