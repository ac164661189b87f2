"""Totals of normalised terms: each term divided by a running mean of its own value.

No constant weights reproduce such a total, so it has to be looked for by itself.
"""

from dataclasses import dataclass

import numpy as np

from poise.run import Floats, Ints, Table

DECAYS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Decays of the running mean that are tried: those that people write."""
WARM_UPS = (1, 5, 10, 20, 50, 100)
"""Records over which the mean is a plain one before it decays."""
LEAST = 20
"""Fewer records do not tell one decay from another."""
RECORDS = 400
"""The first records of the training decide; more add cost and no information."""
FIT = 1e-3
"""Rest of the total below which the arithmetic is taken for proved. Losses printed with four
digits leave 1e-4; weights that do not change leave more than ten times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser:
    """total = sum of weight * value / (running mean of value), as recovered from a log.

    Attributes:
        decay: Of the running mean.
        weights: Of the normalised terms, shape (k,).
        factors: What one unit of each term weighs at the end: weight / running mean, shape (k,).
        rest: Median |total - sum| over median |total|.
        plain: The same rest with the best weights that do not change.
    """

    decay: float
    weights: Floats
    factors: Floats
    rest: float
    plain: float


def running_mean(values: Floats, *, decay: float, warm_up: int) -> Floats:
    """A plain mean over the first `warm_up` records, an exponential one from there on.

    Each mean includes the record it is taken at.

    Args:
        values: Shape (n, k).
        decay: Weight of the past, 0 to 1.
        warm_up: At least 1.

    Returns:
        Shape (n, k).

    Example:
        >>> running_mean(np.array([[2.0], [4.0], [7.0]]), decay=0.5, warm_up=2)[:, 0].tolist()
        [2.0, 3.0, 5.0]
    """
    means = np.empty_like(values)
    begun = min(warm_up, len(values))
    means[:begun] = np.cumsum(values[:begun], axis=0) / np.arange(1, begun + 1)[:, None]
    for row in range(begun, len(values)):
        means[row] = decay * means[row - 1] + (1.0 - decay) * values[row]
    return means


def recover(total: Floats, terms: Floats) -> Normaliser | None:
    """The normaliser that made a total, if one did.

    Args:
        total: Consecutive records from the first on, shape (n,).
        terms: Positive values of the same records, shape (n, k).
    """
    plain, _ = _solved(total, terms)
    best: Normaliser | None = None
    for decay in DECAYS:
        for warm_up in WARM_UPS:
            means = running_mean(terms, decay=decay, warm_up=warm_up)
            rest, weights = _solved(total, terms / means)
            proved = rest < FIT and rest < 0.1 * plain and bool(np.all(weights > 0))
            if proved and (best is None or rest < best.rest):
                factors = weights / means[-1]
                best = Normaliser(
                    decay=decay, weights=weights, factors=factors, rest=rest, plain=plain
                )
    return best


def _solved(total: Floats, columns: Floats) -> tuple[float, Floats]:
    """Rest of the least squares fit of a total, and the weights."""
    weights: Floats = np.linalg.lstsq(columns, total, rcond=None)[0].astype(np.float64)
    left = np.abs(total - columns @ weights)
    return float(np.median(left) / np.median(np.abs(total))), weights


def normaliser_of(table: Table, total: str, terms: list[str]) -> Normaliser | None:
    """The normaliser behind a logged total, if the log holds every step from the first on.

    Args:
        table: Training table.
        total: Name of the total in it.
        terms: Names of all its terms.
    """
    if not terms:
        return None
    rows, values = table.aligned([total, *terms])
    rows, values = rows[:RECORDS], values[:RECORDS]
    enough = len(values) >= 3 * values.shape[1]
    if not enough or not consecutive(table.steps[rows], values):
        return None
    if not bool((np.ptp(values, axis=0) > 0).all()):
        return None
    return recover(values[:, 0], values[:, 1:])


def consecutive(steps: Ints, values: Floats) -> bool:
    """True for 20 records or more of every step from the first on, all positive and finite.

    Only then can the running means of a training be recomputed from its log.

    Args:
        steps: Shape (n,).
        values: Shape (n, k).

    Example:
        >>> values = np.ones((30, 2))
        >>> consecutive(np.arange(30), values), consecutive(np.arange(0, 60, 2), values)
        (True, False)
    """
    if len(values) < LEAST or steps[0] > 1 or not bool((np.diff(steps) == 1).all()):
        return False
    return bool(np.isfinite(values).all()) and bool((values > 0).all())
