"""Totals that their terms do not reproduce: what can be said all the same."""

import numpy as np

from poise.read.weights.problem import Fit, Guess, Problem, report, unknown
from poise.read.weights.solve import non_negative, simple
from poise.run import Floats

_RECORDS = 800
_TERMS = 40
"""With more terms a scatter hides the weight of any of them, so none is fitted."""


def approximate(problem: Problem) -> Fit:
    """The simplest weights around which the records scatter; else what is left unexplained.

    Args:
        problem: One that no weights solve exactly, with a total and a term that are not zero.
    """
    count = len(problem.total)
    few = problem.part(np.linspace(0, count - 1, min(count, _RECORDS)).astype(np.int64))
    small = problem.width <= _TERMS
    best: Floats = _robust(few) if small else np.ones(problem.width)
    limit = 1.5 * _miss(few, best) + 0.003
    for weights, name in _plain(problem):
        near = small or _miss(few, weights) <= 0.05
        if near and _miss(few, weights) <= limit and _scatters(few, weights):
            why = (
                f"The total is the plain {name} of the terms up to a scatter around zero, as "
                "medians and means over windows leave it."
            )
            return report(problem, Guess(weights, weights > 0, why), exact=False)
    needed = int(problem.live.sum()) + 2
    if problem.informative < needed:
        return unknown(problem, f"that takes {needed} different records, and there are fewer")
    settled = _settled(few, best) if small else None
    guess = settled or (_coarse(few, best) if small else None) or _partial(few)
    return report(problem, guess, exact=False)


def _plain(problem: Problem) -> list[tuple[Floats, str]]:
    ones = np.ones(problem.width)
    means = dict.fromkeys((problem.width, int(problem.live.sum())))
    return [(ones, "sum"), *((ones / parts, "mean") for parts in means)]


def _miss(problem: Problem, weights: Floats) -> float:
    """Typical relative distance of the weighted sum from the total."""
    size = np.abs(problem.total) + np.abs(problem.terms) @ np.abs(weights) + 1e-300
    return float(np.median(2 * np.abs(problem.rest(weights)) / size))


def _scatters(problem: Problem, weights: Floats) -> bool:
    """True if the records lie on both sides of the weighted sum, and not far from it."""
    rest = problem.rest(weights)
    above = 0.5 + 0.5 * float(np.mean(np.sign(rest)))
    # Losses are skewed to the right, so the median of a sum exceeds the sum of the medians a bit.
    skew = 0.03 * float(np.median(np.abs(problem.total)))
    central = abs(float(np.median(rest))) <= max(0.4 * float(np.median(np.abs(rest))), skew)
    close = _miss(problem, weights) <= 0.25
    return len(rest) >= 8 and 0.2 <= above <= 0.8 and central and close


def _robust(problem: Problem) -> Floats:
    """Non-negative weights with relative rows, far ones counting less (Huber)."""
    sized = np.abs(problem.total)
    size = np.maximum(sized, 0.1 * float(np.median(sized))) + 1e-300
    size = size + problem.allowance(np.ones(problem.width))
    rows, goal = problem.terms / size[:, None], problem.total / size
    trust = np.ones(len(goal))
    weights = np.zeros(rows.shape[1])
    for _ in range(6):
        root = np.sqrt(trust)
        weights = non_negative(goal * root, rows * root[:, None])
        rest = np.abs(goal - rows @ weights)
        bound = 2.0 * float(np.median(rest)) + 1e-12
        trust = bound / np.maximum(rest, bound)
    return weights


def _settled(problem: Problem, best: Floats) -> Guess | None:
    """Fitted weights that both halves of the run agree on, with a small scatter."""
    half = len(problem.total) // 2
    if half < 2 * problem.width + 8 or _miss(problem, best) > 0.05:
        return None
    halves = [_robust(problem.part(one)) for one in (slice(half), slice(half, None))]
    spread = np.abs(halves[0] - halves[1])
    near = np.maximum(spread, 0.03 * np.abs(best))
    weights = np.array(
        [_round(one, off) for one, off in zip(best.tolist(), near.tolist(), strict=True)]
    )
    counts = np.abs(best) * np.median(np.abs(problem.terms), axis=0)
    matters = counts > 0.01 * float(np.median(np.abs(problem.total)))
    agree = (spread <= 0.1 * np.maximum(np.abs(best), 0.05)) & np.isfinite(weights)
    weights = np.where(np.isfinite(weights), weights, best)
    if np.any(matters & ~agree) or not _scatters(problem, weights):
        return None
    why = "The weights are fitted; the records scatter around them, as medians and means leave it."
    return Guess(weights, agree, why)


def _round(value: float, error: float) -> float:
    """A number with one digit, or 2.5 times a power of ten, within the error; else NaN.

    A scatter would bear out many numbers, so only those that people write are believed.
    """
    one = simple(value, error)
    digits = f"{one:.12e}".split("e")[0].rstrip("0")
    return one if len(digits) <= 2 or digits == "2.5" else float("nan")


def _coarse(problem: Problem, best: Floats) -> Guess | None:
    """Weights that come close enough for rounding to hide the rest, but are not determined."""
    rest, allowed = np.abs(problem.rest(best)), problem.allowance(best)
    if float(np.median(rest)) > 2.0 * float(np.median(allowed)):
        return None
    why = "The numbers are printed too coarsely to tell the weights; some would explain the total."
    return Guess(best, best < 0, why)


def _partial(problem: Problem) -> Guess:
    """The largest part of the total that terms with weight 1 explain, and what is left."""
    chosen = np.zeros(problem.width)
    miss = _miss(problem, chosen)
    for _ in range(problem.width):
        rest = problem.rest(chosen)
        size = np.abs(problem.total) + np.abs(problem.terms) @ chosen + 1e-300
        left = np.abs(rest[:, None] - problem.terms)
        misses = np.median(2 * left / (size[:, None] + np.abs(problem.terms)), axis=0)
        misses = np.where(chosen == 0, misses, np.inf)
        at = int(misses.argmin())
        if float(misses[at]) >= 0.97 * miss:
            break
        chosen[at], miss = 1.0, float(misses[at])
    left = float(np.median(np.abs(problem.rest(chosen))))
    typical = np.median(np.abs(problem.terms), axis=0)
    # With any weight worth the name such a term would be more than all that is left.
    absent = (chosen == 0) & (0.1 * typical > left)
    size = float(np.median(np.abs(problem.total))) or 1.0
    if left > 0.5 * size:
        return Guess(np.zeros(problem.width), chosen < 0, "No weights reproduce the total.")
    why = (
        "No weights reproduce the total: beside the terms with weight 1 there remains "
        f"{100 * left / size:.2g}% of it."
    )
    return Guess(chosen, absent | ((chosen == 1.0) & (typical > 0.1 * size)), why)
