"""Whether the share of a term is a good wish: what would move a term that its share keeps still."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from poise.doctor.case import Case
from poise.doctor.intervals import mean_interval
from poise.doctor.measured import percent
from poise.doctor.probes import (
    MOVED,
    fallen,
    held_back,
    judged,
    lags,
    level,
    mapping,
    moved,
    series_at,
    shares,
)
from poise.doctor.probes import (
    at as place_words,
)
from poise.doctor.series import finite, multiple, number
from poise.run import Floats, Kind, Series

ENOUGH_SHARE = 0.95
"""A share at which the step follows the term's own descent to this part: more buys next to none."""
AGREE = 3.0
"""The measured response to a step and the fall of the values agree within this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A term that lags behind, and what would move it: a first-order estimate.

    It has lost less than 5% of its start while another task lost 30%; or less than 30%, and less
    than a third of what the other tasks lost, in the logarithm.

    A step of a given length lowers a term in proportion to the cosine between its own gradient and
    the shared one, which the shares and the measured cosines tell for every other choice of shares.
    What the term fell at its measured share sets the proportion: the lower end of its 95% interval,
    because its own head had a part in that fall, which no share raises. A larger output unit raises
    the fall by at most its own factor, while the error is large.

    Attributes:
        term: Its name.
        where: The place it was measured at, in words.
        share: Its measured gradient share, median over the probes.
        fall: How much it fell over the run, in its own units, between the levels of the quarters.
        low: Lower end of the 95% interval of `fall`; minus infinity if too little is known.
        high: Its upper end; infinity if too little is known.
        steps: Steps in which it should move: those left, or as many again after the end.
        goal: What it should fall in these: 30% of where it stands, as tasks that move do.
        gain: How many times faster it falls at most, if it gets the whole gradient.
        needed: The smallest share at which it is expected to reach the goal; None if no share does.
        wish: The share to declare: `needed`, else the one beyond which more buys next to nothing.
        unit: By which factor the unit of its output must grow besides, at least; 1 if none, None if
            its fall is unknown.
        confidence: `good`: the fall is not 0 within its interval, and the measured response to a
            step agrees within a factor of 3; `fair`: no response was measured; `poor`: else.
    """

    term: str
    where: str
    share: float
    fall: float
    low: float
    high: float
    steps: int
    goal: float
    gain: float
    needed: float | None
    wish: float
    unit: float | None
    confidence: str

    @property
    def summary(self) -> str:
        """What was seen, in one sentence."""
        seen = f"it fell by {number(self.fall)}"
        if math.isfinite(self.low):
            seen += f" (95% interval {number(self.low)} to {number(self.high)})"
        return (
            f"'{self.term}' lags behind at a gradient share of {percent(self.share)} {self.where}: "
            f"{seen}; all of the gradient would make it {multiple(self.gain)} times as fast at most"
        )

    @property
    def action(self) -> str:
        """What would move it, in one sentence."""
        share = f"declare a share of {percent(self.wish)} or more for it"
        goal = f"{number(self.goal)} down in {self.steps} steps"
        if self.needed is not None:
            return f"{share[0].upper()}{share[1:]}: a first-order estimate for {goal}."
        head = f"Let the head of '{self.term}' predict in units of its target's range"
        if self.unit is None:
            return f"{head}, and {share}: how much that brings cannot be told from this run."
        return (
            f"{head} (one unit of output at least {multiple(self.unit)} times as large), and "
            f"{share}: no share alone brings it {goal}."
        )


def wishes(case: Case, wished: Mapping[str, float]) -> tuple[Wish, ...]:
    """The tasks that lag behind although they have a share.

    Args:
        case: The run.
        wished: Share by term; terms with a share of 0 are meant to stand still.
    """
    place = shares(case)
    if place is None or not _in_motion(case):
        return ()
    angles = _cosines(case, place.names)
    found = (wish_of(case, name, angles) for name, one in wished.items() if one > 0)
    return tuple(one for one in found if one is not None)


def wish_of(case: Case, term: str, angles: Floats | None = None) -> Wish | None:
    """What would move a term; None if it keeps up, is no task, or was not measured.

    Args:
        case: The run.
        term: The term.
        angles: Cosines between the terms where shares were measured, if they are at hand.
    """
    place = shares(case)
    if place is None or term not in place.names or not judged(case, term):
        return None
    at = place.names.index(term)
    had = np.array([place.median(name) for name in place.names])
    angles = _cosines(case, place.names) if angles is None else angles
    now = aligned(had, angles, at)
    if now <= 0 or not _lags(case, term):
        return None
    fall, low, high = _fall(case, term)
    steps = _steps(case)
    length = max(int(np.ptp(case.train.steps)), 1)
    goal = MOVED * abs(level(case, term)[1])
    # The cautious end, since a part of the fall is its own head's and does not grow with a share;
    # where that end is 0, the hopeful one: what that end cannot reach is out of reach for sure.
    hope = (low if low > 0 else high) * steps / length
    grid = had[at] + (1.0 - had[at]) * np.arange(101) / 100
    gains = np.array([aligned(_with(had, at, one), angles, at) for one in grid]) / now
    reach = np.flatnonzero(hope * gains >= goal) if math.isfinite(hope) else np.arange(0)
    enough = int(np.flatnonzero(gains >= ENOUGH_SHARE * gains.max())[0])
    best = int(reach[0]) if len(reach) else enough
    return Wish(
        term=term,
        where=place_words(case, place, term),
        share=float(had[at]),
        fall=fall,
        low=low,
        high=high,
        steps=steps,
        goal=goal,
        gain=float(gains.max()),
        needed=float(grid[reach[0]]) if len(reach) else None,
        wish=float(grid[best]),
        unit=_unit(goal, hope * float(gains[best])),
        confidence=_confidence(case, term, fall / length, sure=low > 0),
    )


def _lags(case: Case, term: str) -> bool:
    lost = fallen(case, term)
    return lost is not None and lost < MOVED and (held_back(case, term) or lags(case, term))


def aligned(parts: Floats, cosines: Floats, at: int) -> float:
    """Cosine between one term's gradient and the sum of all.

    Args:
        parts: Gradient share of each term, shape (k,).
        cosines: Between the terms' gradients, shape (k, k).
        at: Which term.

    Example:
        >>> round(aligned(np.array([0.6, 0.8]), np.eye(2), 0), 6)
        0.6
    """
    whole = float(parts @ cosines @ parts)
    return float(cosines[at] @ parts) / math.sqrt(whole) if whole > 0 else 0.0


def _with(parts: Floats, at: int, share: float) -> Floats:
    """The shares if one term has another one; the rest stays in proportion."""
    rest = parts.copy()
    rest[at] = 0.0
    whole = float(rest.sum())
    rest *= (1 - share) / whole if whole > 0 else 0.0
    rest[at] = share
    return rest


def _cosines(case: Case, names: tuple[str, ...]) -> Floats:
    """Medians of the measured cosines, shape (k, k); 0, as in many dimensions, where unknown."""
    found = np.eye(len(names))
    columns: dict[str, Series] = {}
    for one in series_at(case, Kind.COSINE):
        name = one.name.partition("@")[0]
        if name not in columns or len(columns[name]) < len(one):
            columns[name] = one
    equal: dict[int, list[tuple[int, int, Floats]]] = {}
    for i, j in combinations(range(len(names)), 2):
        for a, b in ((i, j), (j, i)):
            one = columns.get(f"cosine/{names[a]}/{names[b]}")
            values = np.empty(0) if one is None else finite(one.values)
            if len(values):
                equal.setdefault(len(values), []).append((i, j, values))
    for cells in equal.values():  # at once: a hundred terms have thousands
        middles = np.median(np.stack([values for _, _, values in cells]), axis=1)
        for (i, j, _), middle in zip(cells, middles.tolist(), strict=True):
            found[i, j] = found[j, i] = middle
    return found


def _fall(case: Case, term: str) -> tuple[float, float, float]:
    """Fall of a term over the run, as a straight line has it, and its 95% interval."""
    values = case.stretches[0].traces[term].mid
    quarter = max(len(values) // 4, 1)
    whole = len(values) / max(len(values) - quarter, 1)
    first, last = _level(values[:quarter]), _level(values[-quarter:])
    fall = (first[0] - last[0]) * whole
    half = math.hypot(first[1], last[1]) * whole
    return fall, fall - half, fall + half


def _level(values: Floats) -> tuple[float, float]:
    """Mean and half of its 95% interval, the slope within the values not taken for noise."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    power = float(x @ x)
    slope = float(x @ values) / power if power > 0 else 0.0
    found = mean_interval(values - slope * x)
    return found.mean, found.high - found.mean


def _steps(case: Case) -> int:
    """Steps that are left, or as many as there were if it is over."""
    last = int(case.train.steps.max())
    told = case.run.declared.get("total_steps")
    left = told - last - 1 if isinstance(told, int) else 0
    return left if left > 0 else int(np.ptp(case.train.steps)) + 1


def _unit(goal: float, fall: float) -> float | None:
    if not math.isfinite(fall) or fall <= 0:
        return None
    return max(1.0, goal / fall)


def _confidence(case: Case, term: str, pace: float, *, sure: bool) -> str:
    if not sure:
        return "poor"
    told = [one for one in series_at(case, Kind.RESPONSE) if one.of == term]
    values = finite(told[0].values) if told else np.empty(0)
    if not len(values):
        return "fair"
    return "good" if 1 / AGREE <= -float(np.median(values)) / pace <= AGREE else "poor"


def _in_motion(case: Case) -> bool:
    """False if every module that was measured stood still: then shares are not what is wrong."""
    found = [finite(values) for _, values in moved(case).values()]
    return not found or any(one.any() for one in found)


def declared_shares(case: Case) -> Mapping[str, float]:
    """Declared gradient shares by term."""
    told = mapping(case.run.declared.get("shares"))
    return {name: float(one) for name, one in told.items() if isinstance(one, (int, float))}
