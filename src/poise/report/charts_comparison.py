"""What the charts of a comparison draw: every quantity of both sides over each other."""

from collections.abc import Iterator, Sequence

import numpy as np

from poise.comparing.comparison import Comparison
from poise.comparing.course import Course, Quantity, quantities
from poise.doctor.case import Case
from poise.doctor.probes import Place, shares
from poise.report import plain
from poise.report.traces import NAME_CELLS, Json, panel, points
from poise.run import Floats, Ints, Run

POINTS = 120_000
"""Points in one report, over all series."""
POINTS_MOST = 2000
SEEDS = 4
"""Runs drawn a side."""
FINE = 1000
"""Progress is drawn in thousandths."""


def comparison_charts(one: Comparison) -> Json:
    """All charts of a comparison, as JSON-ready data; names are escaped, never markup.

    The keys are those of `chart_data`. A series is drawn solid before and dashed after.
    """
    before, after = (side[:SEEDS] for side in one.runs)
    drawn = list(quantities(before, after, one.aligned))
    budget = min(max(POINTS // max(2 * SEEDS * len(drawn), 1), 24), POINTS_MOST)
    panels = [_panel(f"compared-{k}", each, one, budget) for k, each in enumerate(drawn)]
    if one.aligned == "step":
        panels += _shares(before, after, one.shares_at, budget)
    ends = [x for each in panels for line in each["series"] for x in line["x"]]
    return {
        "axes": [
            {
                "name": _axis(one, before[0]),
                "firsts": [0],
                "offsets": [0],
                "range": [min(ends, default=0), max(ends, default=1)],
            }
        ],
        "panels": panels,
        "small": [],
        "left_out": 0,
        "findings": [],
        "restarts": [],
        "events": [],
    }


def _axis(one: Comparison, run: Run) -> str:
    if one.aligned == "progress":
        return "progress, in thousandths of each run"
    return plain.name(run.train.step_name, 20)


def _panel(identity: str, one: Quantity, of: Comparison, budget: int) -> Json:
    series = [
        _line(one.name, word, index, *_points(each, of.aligned), budget)
        for word, side in (("before", one.before), ("after", one.after))
        for index, each in enumerate(side)
    ]
    split = "" if one.split == "train" else f" ({plain.name(one.split, 20)})"
    found = panel(identity, f"{plain.name(one.name, NAME_CELLS)}{split}", 0, series)
    return found | {"note": of.of(one.name, one.split).verdict.value}


def _points(one: Course, aligned: str) -> tuple[Ints, Floats]:
    if aligned == "step":
        return one.steps, one.values
    return np.round(FINE * one.at).astype(np.int64), one.values


def _line(name: str, word: str, index: int, x: Ints, values: Floats, budget: int) -> Json:
    return {
        "name": plain.name(name, NAME_CELLS),
        "split": word if index == 0 else f"{word} {index + 1}",
        "solid": word == "before",
        "total": False,
        "count": len(x),
        **points(x, values, budget),
    }


def _shares(before: Sequence[Run], after: Sequence[Run], where: str, budget: int) -> Iterator[Json]:
    """Gradient share of each term over time; none unless all was measured at one kind of place."""
    sides = [
        (word, index, found)
        for word, side in (("before", before), ("after", after))
        for index, run in enumerate(side)
        if where and (found := shares(Case(run))) is not None
    ]
    names = dict.fromkeys(name for _, _, one in sides for name in one.names)
    for number, name in enumerate(names):
        series = [
            _share_line(name, word, index, found, budget)
            for word, index, found in sides
            if name in found.names
        ]
        title = f"gradient share of {plain.name(name, NAME_CELLS)}"
        yield panel(f"shared-{number}", title, 0, series, linear=True) | {"percent": True}


def _share_line(name: str, word: str, index: int, found: Place, budget: int) -> Json:
    return _line(name, word, index, found.steps, found.of(name), budget)
