"""Totals that need quantities which no name calls a loss."""

import numpy as np

from poise.read.naming import loss_like
from poise.read.weights.fit import fit, plain
from poise.read.weights.sheet import OFTEN, Sheet, values_at
from poise.read.weights.spell import spelled
from poise.run import Composition, Floats, Kind

_STATISTICS = 40
_BORROWED = 12
"""With more other quantities a sum that fits may be an accident."""
_GENERATORS = 3
"""Losses of a log without a total that are tried as sums."""


def borrowed(sheet: Sheet, total: str, terms: list[str]) -> Composition | None:
    """A total that is exact once quantities that no name calls a loss are among its terms."""
    goal = sheet.columns[total]
    columns = {
        one.name: values_at(one, sheet.rows)
        for one in sheet.table.of_kind(Kind.STATISTIC, Kind.COUNT)
    }
    extra = {name: one for name, one in columns.items() if _serves(one, goal)}
    whole = [name for name in terms if np.isfinite(sheet.columns[name]).mean() >= OFTEN]
    names = [*whole, *extra]
    different = len(np.unique(goal))
    if not extra or len(extra) > _BORROWED or different < 4:
        return None
    grid = np.column_stack([sheet.grid(whole), *extra.values()])
    found = fit(goal, grid) if different >= 2 * len(names) + 2 else plain(goal, grid)
    weights = zip(names, found.weights, strict=True)
    used = [name for name, one in weights if name in extra and one is not None and one != 0]
    if not found.exact or not used:
        return None
    return spelled(total, names, found, [*terms, *used])


def lifted(sheet: Sheet, total: str) -> Composition | None:
    """A total that is one statistic times a number: that statistic is its term."""
    goal = sheet.columns[total]
    finite = goal[np.isfinite(goal)]
    if len(np.unique(finite)) < 6:
        return None
    for one in list(sheet.table.of_kind(Kind.STATISTIC))[:_STATISTICS]:
        values = values_at(one, sheet.rows)
        if np.isnan(values).any() or np.array_equal(values, goal):
            continue
        found = fit(goal, values[:, None])
        if found.exact and found.weights[0] is not None:
            return spelled(total, [one.name], found, [one.name])
    return None


def generators(sheet: Sheet, terms: list[str]) -> list[Composition]:
    """In a log without a total: losses that are sums of quantities that no name calls a loss."""
    tried = [one for one in terms if loss_like(one)][:_GENERATORS]
    others = [one for one in terms if not loss_like(one)]
    found = (borrowed(sheet, one, others) for one in tried)
    return [one for one in found if one is not None and len(one.terms) > 1]


def _serves(values: Floats, goal: Floats) -> bool:
    """True for a column that moves and accompanies the total."""
    return (
        bool(np.isfinite(values).all())
        and len(np.unique(values)) > 3
        and not np.array_equal(values, goal)
    )
