"""Are two totals the same objective?"""

from collections.abc import Sequence

import numpy as np

from poise.doctor.series import weight_history
from poise.run import Run

SAME = 1.05
"""Constant weights within this factor are the same: fitted ones are rounded."""
SAME_VARIED = 1.5
"""Medians of weights that vary during a run: two seeds of one run differ in them."""


def objectives_differ(before: Sequence[Run], after: Sequence[Run]) -> str:
    """Why the main totals are different objectives; empty if they are not, as far as is known."""
    first, second = before[0], after[0]
    if {*first.terms} != {*second.terms}:
        return "the terms differ"
    for name in first.terms:
        one, two = _weight(first, name), _weight(second, name)
        if one is None or two is None:
            if (one is None) != (two is None):
                return f"the weight of '{name}' is known on one side only"
            continue
        (low, varied), (high, also) = one, two
        if varied != also:
            return f"the weight of '{name}' is constant on one side only"
        if not _alike(low, high, SAME_VARIED if varied else SAME):
            return f"the weight of '{name}' goes from {low:.3g} to {high:.3g}"
    return ""


def _alike(one: float, two: float, within: float) -> bool:
    small, large = sorted((abs(one), abs(two)))
    return one * two >= 0 and large <= within * small


def _weight(run: Run, name: str) -> tuple[float, bool] | None:
    """Median weight of a term and whether it varies; None if nothing is known."""
    logged = weight_history(run.train, name)
    if logged is not None:
        values = logged.values[np.isfinite(logged.values)]
        if len(values):
            middle = float(np.median(values))
            return middle, bool(np.ptp(values) > (SAME - 1) * abs(middle))
    told = () if run.composition is None else run.composition.terms
    weight = next((one.weight for one in told if one.name == name), None)
    return None if weight is None else (weight, False)
