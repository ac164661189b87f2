"""What probes measured on both sides: gradient shares, motion, step response."""

from collections.abc import Mapping, Sequence

import numpy as np

from poise.comparing.comparison import Pair
from poise.doctor.case import Case
from poise.doctor.probes import moved, series_at, shares
from poise.run import Floats, Kind, Run

ALIKE = 1.5
"""Factor within which motion or step response is the same on both sides."""


def backing(name: str, motion: Mapping[str, Pair], responses: Mapping[str, Pair]) -> str:
    """Whether motion and step response agree that a term was only rescaled; empty if not measured.

    Example:
        >>> backing("ce", {"trunk": Pair(before=1e-3, after=4e-3)}, {})
        'but parameters move x4 as far per step: more than a unit has changed'
    """
    found: list[str] = []
    step = [responses[name]] if name in responses else []
    both = (
        ("parameters move", "as far per step", _ratio(list(motion.values()))),
        (
            "a step changes it by",
            "the share",
            _ratio(step),
        ),
    )
    for before, after, ratio in both:
        if ratio is None:
            continue
        if not 1 / ALIKE <= ratio <= ALIKE:
            return f"but {before} x{ratio:.2g} {after}: more than a unit has changed"
        found.append(f"{before} x{ratio:.2g} {after}")
    return ", ".join(found)


def _ratio(pairs: Sequence[Pair]) -> float | None:
    """Median of after over before, of what was measured and is not zero."""
    ratios = [one.after / one.before for one in pairs if one.before and one.after]
    return float(np.median(ratios)) if ratios else None


def late(values: Floats) -> float | None:
    """Median of the finite values of the second half, at least one; None without any.

    Example:
        >>> late(np.array([9.0, 9.0, 1.0, 3.0]))
        2.0
    """
    values = values[np.isfinite(values)]
    return float(np.median(values[len(values) // 2 :])) if len(values) else None


def gradient_shares(before: Sequence[Run], after: Sequence[Run]) -> tuple[dict[str, Pair], str]:
    """Gradient shares by term, and where they were measured; empty unless at one kind of place."""
    places = [[shares(Case(run)) for run in side] for side in (before, after)]
    wheres = {one.where for side in places for one in side if one is not None}
    if len(wheres) != 1:
        return {}, ""
    sides = [
        [{name: late(one.of(name)) for name in one.names} for one in side if one is not None]
        for side in places
    ]
    return _pairs(*sides), wheres.pop()


def motion(before: Sequence[Run], after: Sequence[Run]) -> dict[str, Pair]:
    """Relative motion of each module in an optimizer step."""
    sides = [
        [{name: late(values) for name, (_, values) in moved(Case(run)).items()} for run in side]
        for side in (before, after)
    ]
    return _pairs(*sides)


def responses(before: Sequence[Run], after: Sequence[Run]) -> dict[str, Pair]:
    """Change of each term by one optimizer step, over the term's own late value: unit-free."""
    return _pairs(*([_responses(run) for run in side] for side in (before, after)))


def _responses(run: Run) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for one in series_at(Case(run), Kind.RESPONSE):
        values = run.train.series.get(one.of or "")
        change, level = late(one.values), None if values is None else late(values.values)
        if one.of is not None and change is not None and level:
            found[one.of] = change / level
    return found


def _pairs(
    before: Sequence[Mapping[str, float | None]], after: Sequence[Mapping[str, float | None]]
) -> dict[str, Pair]:
    """Median over the runs of each side, by name, in the order of the first run that has it."""
    names = dict.fromkeys(name for one in (*before, *after) for name in one)
    found = {name: Pair(before=_middle(before, name), after=_middle(after, name)) for name in names}
    return {name: one for name, one in found.items() if (one.before, one.after) != (None, None)}


def _middle(side: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    values = [value for one in side if (value := one.get(name)) is not None]
    return float(np.median(values)) if values else None
