"""The records of one total, what their printing hides, and what a fit says about them."""

from dataclasses import dataclass

import numpy as np

from poise.read.weights.resolution import quantum
from poise.read.weights.solve import Mask
from poise.run import Floats, Ints

_ARITHMETIC = 2e-6
"""Relative difference that summing in single precision leaves."""
_HUGE = 1e100
"""Squares of larger numbers overflow; a loss of this size is as good as infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a total is made of terms, as far as their values tell.

    Attributes:
        weights: One a term; None where the values do not determine it.
        residual: Median of |total - weighted sum| over the median of |total|; NaN without records.
        tolerance: What printing and arithmetic explain of that, in the same unit.
        exact: True if the weighted sum stays within the tolerance of every record, stray ones
            apart.
        remainder: Median of total - weighted sum, in units of the total.
        records: Number of records that were used.
        why: One sentence on how.
    """

    weights: tuple[float | None, ...]
    residual: float
    tolerance: float
    exact: bool
    remainder: float
    records: int
    why: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The records of one total and what their printing hides."""

    total: Floats
    terms: Floats
    step: Floats
    steps: Floats

    @property
    def width(self) -> int:
        """Number of terms."""
        return len(self.terms.T)

    @property
    def live(self) -> Mask:
        """True for terms that are not zero throughout."""
        return np.any(self.terms != 0, axis=0)

    @property
    def informative(self) -> int:
        """Number of records that differ from each other."""
        mixed = self.total + self.terms @ np.sqrt(np.arange(2.0, self.width + 2.0))
        return len(np.unique(mixed))

    def rest(self, weights: Floats) -> Floats:
        """Total minus weighted sum, per record."""
        return self.total - self.terms @ weights

    def allowance(self, weights: Floats) -> Floats:
        """The most that printing and arithmetic can leave, per record."""
        sized = np.abs(weights)
        arithmetic = _ARITHMETIC * (np.abs(self.total) + np.abs(self.terms) @ sized)
        return 0.5 * (self.step + self.steps @ sized) + arithmetic

    def deviation(self, weights: Floats) -> Floats:
        """Standard deviation of what printing and arithmetic leave, per record, positive."""
        printed = (self.step**2 + self.steps**2 @ weights**2) / 12.0
        sums = 0.1 * _ARITHMETIC * (np.abs(self.total) + np.abs(self.terms) @ np.abs(weights))
        found = np.sqrt(printed + sums**2)
        # Records of zeros only would otherwise outweigh all others.
        return found + 1e-9 * float(np.median(found)) + 1e-200

    def explains(self, weights: Floats, slack: float = 0.0) -> bool:
        """True if the weighted sum gives the total in all records but a few strays."""
        rest = np.abs(self.rest(weights))
        allowed = self.allowance(weights) + slack * np.abs(self.total)
        size = float(np.median(np.abs(self.total)))
        coarse = float(np.median(allowed)) > 0.25 * max(size, float(np.abs(self.total).max()) / 4)
        # All records within their worst case still need not look like rounding: a small term
        # that is missing pushes them all to one side.
        like = float(np.median(rest / self.deviation(weights))) <= 2.0
        whole = float(np.mean(rest <= allowed * (1 + 1e-9) + 1e-300)) >= 0.98
        return whole and like and not coarse

    def part(self, rows: slice | Ints | Mask) -> "Problem":
        """The same problem on some of the records."""
        return Problem(self.total[rows], self.terms[rows], self.step[rows], self.steps[rows])


@dataclass(frozen=True, slots=True)
class Guess:
    """Weights to try; `told` is False where another weight would do as well."""

    weights: Floats
    told: Mask
    why: str
    slack: float = 0.0
    """Relative difference to overlook beside rounding."""


def pose(total: Floats, terms: Floats) -> Problem:
    """The problem on those records in which every number is finite and below 1e100.

    Args:
        total: Logged total, shape (n,).
        terms: Logged terms, shape (n, k).
    """
    sound = (np.abs(total) < _HUGE) & np.all(np.abs(terms) < _HUGE, axis=1)
    step = quantum(total)
    steps = [quantum(one) for one in terms.T]
    for column, one in zip(terms.T, steps, strict=True):
        # A constant 0.04 may have been printed as 0.040000: too few values to tell a step from.
        if len(np.unique(column[np.isfinite(column)])) < 4:
            np.minimum(one, step, out=one)
    grid = np.column_stack(steps) if steps else np.empty_like(terms)
    return Problem(total, terms, step, grid).part(sound)


def unknown(problem: Problem, reason: str) -> Fit:
    """What is to be said where nothing can be fitted."""
    return Fit(
        weights=(None,) * problem.width,
        residual=float("nan"),
        tolerance=float("nan"),
        exact=False,
        remainder=float("nan"),
        records=len(problem.total),
        why=f"The weights are unknown: {reason}.",
    )


def report(problem: Problem, guess: Guess, *, exact: bool) -> Fit:
    """How well the guessed weights do; those that are not told, or of silent terms, as None."""
    rest = problem.rest(guess.weights)
    size = float(np.median(np.abs(problem.total))) or float(np.abs(problem.total).max())
    told = guess.told & problem.live
    pairs = zip(guess.weights.tolist(), told.tolist(), strict=True)
    return Fit(
        weights=tuple(one + 0.0 if known else None for one, known in pairs),
        residual=float(np.median(np.abs(rest))) / size,
        tolerance=float(np.median(problem.allowance(guess.weights))) / size,
        exact=exact,
        remainder=float(np.median(rest)),
        records=len(rest),
        why=guess.why,
    )
