"""Is a quantity the same one on both sides, or the same but for a constant factor?"""

from collections.abc import Sequence

import numpy as np

from poise.comparing.course import Course, Quantity
from poise.run import Floats

APART = 2.0
"""Factor by which two runs must be apart before blocks of their values show a factor."""
EXACT = 0.02
"""Scatter of the logarithmic ratio of single records, as a share of it, of a constant factor."""
STEADY = 0.1
"""The same of means over blocks, which other seeds make less steady."""
LEAST = 0.01
"""Logarithmic ratio below which no factor is sought: 1%."""
RECORDS = 8
"""Records, and blocks, that a constant factor has to hold over."""
FIRST = 3
"""Values that show where a run starts."""
SIGMAS = 4.0
EARLY = 0.05
"""The first values are a start if they lie within this share of the course."""


def constant_factor(one: Quantity) -> float | None:
    """The factor between the two sides that holds over the whole course; None without one.

    Either the ratio is the same at every common record (then it may be small), or the ratio of
    means over each eighth of the course is, and it is 2 or more. A better model is ahead more
    and more; another unit is ahead from the first record on. Only positive values have a factor.
    """
    if not _positive((*one.before, *one.after)):
        return None
    ratios = _of_records(one)
    if _constant(ratios, EXACT, LEAST):
        return float(np.exp(np.median(ratios)))
    ratios = _of_blocks(one)
    if _constant(ratios, STEADY, float(np.log(APART))):
        return float(np.exp(np.median(ratios)))
    return None


def start_factor(one: Quantity) -> float | None:
    """The factor by which the runs after start apart from those before; None if they do not.

    The start must be seen, and the first values must differ twice and by 4 times their scatter.
    """
    every = (*one.before, *one.after)
    if not _positive(every) or not all(_start_seen(each) for each in every):
        return None
    before, after = _firsts(one.before), _firsts(one.after)
    apart = float(after.mean() - before.mean())
    scatter = float(np.hypot(_scatter(before), _scatter(after)))
    return float(np.exp(apart)) if abs(apart) >= max(np.log(APART), SIGMAS * scatter) else None


def _positive(courses: Sequence[Course]) -> bool:
    return all(len(one) >= FIRST and bool((one.values > 0).all()) for one in courses) and all(
        bool(np.isfinite(one.values).all()) for one in courses
    )


def _constant(ratios: Floats, steady: float, least: float) -> bool:
    if len(ratios) < RECORDS:
        return False
    middle = abs(float(np.median(ratios)))
    return middle >= least and float(np.abs(ratios - np.median(ratios)).max()) <= steady * middle


def _of_records(one: Quantity) -> Floats:
    """Logarithmic ratio at every common record of a single pair, shape (n,); else empty."""
    if len(one.before) != 1 or len(one.after) != 1:
        return np.empty(0)
    first, second = one.before[0], one.after[0]
    _, here, there = np.intersect1d(first.at, second.at, return_indices=True)
    return np.log(second.values[there]) - np.log(first.values[here])


def _of_blocks(one: Quantity) -> Floats:
    """Logarithmic ratio of means over each eighth of the course, shape (8,); empty if sparse."""
    sides = [
        np.array([_blocks(each, one.end) for each in side]) for side in (one.before, one.after)
    ]
    before, after = (np.log(side).mean(axis=0) for side in sides)
    ratios = after - before
    return ratios if bool(np.isfinite(ratios).all()) else np.empty(0)


def _blocks(one: Course, end: float) -> Floats:
    edges = np.linspace(float(one.at[0]), end, RECORDS + 1)
    cuts = np.searchsorted(one.at, edges[1:-1], side="right")
    stop = int(np.searchsorted(one.at, end, side="right"))
    parts = np.split(one.values[:stop], cuts)
    return np.array([each.mean() if len(each) else np.nan for each in parts])


def _firsts(courses: Sequence[Course]) -> Floats:
    """Logarithms of the first values, shape (runs, FIRST)."""
    return np.log(np.array([one.values[:FIRST] for one in courses]))


def _scatter(values: Floats) -> float:
    """Of the first values in a run, or between runs where there are several."""
    between = float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else 0.0
    return max(between, float(values.std(axis=1, ddof=1).mean()))


def _start_seen(one: Course) -> bool:
    """True if the first values lie within a twentieth of the course: little was learned yet."""
    begin = min(float(one.at[0]), 0.0)
    return float(one.at[FIRST - 1]) - begin <= EARLY * (float(one.at[-1]) - begin)
