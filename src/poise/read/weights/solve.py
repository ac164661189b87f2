"""Least squares on logged numbers: which weights the data determine, and how well."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from poise.run import Floats

Mask = NDArray[np.bool_]

_SINGLE = 1e-7
"""Relative noise that arithmetic in single precision leaves in any logged loss."""
_SIGNAL = 10.0
"""A direction counts only where it stands this far above the noise of printing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Weights with their errors.

    Attributes:
        weights: Best weights, shape (k,); the shortest of all equivalent ones.
        error: What each may be off by, shape (k,); infinite where the data do not tell.
        full: Ordinary least squares, with the directions that `weights` leaves out, shape (k,).
    """

    weights: Floats
    error: Floats
    full: Floats

    @property
    def known(self) -> Mask:
        """True where the data determine the weight at all, shape (k,)."""
        return np.isfinite(self.error)


def solve(total: Floats, terms: Floats, *, deviation: Floats, noise: Floats) -> Solution:
    """Least squares that knows that the terms themselves are rounded.

    Directions in which the terms vary no more than their rounding are left out, and the weights
    of the terms in them are reported as unknown; the pull of rounding noise towards zero is
    corrected.

    Args:
        total: Left side, shape (n,).
        terms: Columns, shape (n, k).
        deviation: Standard deviation of total minus weighted sum per row, positive, shape (n,).
        noise: Standard deviation of the rounding of every entry of `terms`, shape (n, k).

    Example:
        >>> a, b = np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 5.0])
        >>> rows = np.column_stack([a, b, 2 * b])
        >>> found = solve(3 * a + b, rows, deviation=np.ones(3), noise=np.full((3, 3), 1e-9))
        >>> found.known.tolist(), round(float(found.weights[0]), 6)
        ([True, False, False], 3.0)
    """
    count = terms.shape[1]
    rows = terms / deviation[:, None]
    floor = np.hypot(noise, _SINGLE * np.abs(terms)) / deviation[:, None]
    unit = np.sqrt((floor**2).sum(axis=0))
    live = unit > 0
    scaled = rows / np.where(live, unit, 1.0)
    stacked = np.column_stack([scaled, total / deviation])
    # Numbers near the limits of doubles overflow in here; their rows then say nothing.
    stacked = stacked[np.all(np.abs(stacked) < 1e150, axis=1)]
    packed = cast("Floats", np.linalg.qr(stacked, mode="r"))
    # Fewer rows than columns leave a wide factor; its missing rows are zero.
    left, values, right = np.linalg.svd(packed[:, :count], full_matrices=False)
    some = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300)
    # The pull of rounding can be undone only where the signal is not all rounding.
    pull = np.where(values > 2.0, values**2 - 1.0, values**2)
    inverse = np.where(some, values / np.where(some, pull, 1.0), 0.0)
    full: Floats = right.T @ (inverse * (left.T @ packed[:, count]))
    rank = int(np.sum(values > _SIGNAL))
    left, values, right = left[:, :rank], values[:rank], right[:rank]
    goal: Floats = left.T @ packed[:, count]
    answer = right.T @ (goal * values / (values**2 - 1.0))
    drag = np.abs(right.T @ (goal / values**3))
    spread = np.sqrt((right**2 / values[:, None] ** 2).sum(axis=0))
    seen = (right**2).sum(axis=0) > 1.0 - 1e-3
    safe = np.where(live, unit, 1.0)
    error = np.where(seen & live, (4.0 * spread + drag) / safe, np.inf)
    return Solution(weights=answer / safe, error=error, full=full / safe)


def non_negative(total: Floats, terms: Floats) -> Floats:
    """Least squares with weights of at least zero.

    Args:
        total: Left side, shape (n,).
        terms: Columns, shape (n, k).

    Returns:
        Weights, shape (k,).

    Example:
        >>> found = non_negative(np.array([1.0, 1.0]), np.array([[1.0, 0.0], [1.0, -1.0]]))
        >>> found.round(6).tolist()
        [1.0, 0.0]
    """
    # scipy.optimize takes longer to import than most logs take to read; few logs need it.
    from scipy.optimize import (
        nnls,  # pyright: ignore[reportUnknownVariableType] -- scipy ships no types
    )

    # Numbers near the limits of doubles overflow in here; their rows then say nothing.
    whole = np.all(np.abs(np.column_stack([terms, total])) < 1e150, axis=1)
    terms, total = terms[whole], total[whole]
    size = np.linalg.norm(terms, axis=0)
    unit = np.where(size > 0, size, 1.0)
    # Seen through QR, the rows are as many as the columns and the answer is the same.
    packed = cast("Floats", np.linalg.qr(np.column_stack([terms / unit, total]), mode="r"))
    weights = cast("Floats", nnls(packed[:, :-1], packed[:, -1], maxiter=100 * len(unit))[0])
    return weights / unit


def simple(value: float, error: float, parts: int = 1) -> float:
    """The simplest number within `error` of `value`.

    In this order: 1, 0, one of 1, 2, 5, 2.5 times a power of ten, a decimal of at most two
    digits, 1/m, a longer decimal.

    Args:
        value: The number to round.
        error: Half width of the interval, at least 0.
        parts: Number of terms: 1/2 .. 1/parts are tried before decimals of three or more digits.

    Returns:
        The simple number, or `value` where nothing shorter than seven digits is near enough.

    Example:
        >>> simple(4.9999, 0.001), simple(0.3334, 0.001, parts=3)
        (5.0, 0.3333333333333333)
    """
    fractions = [1.0 / m for m in range(2, parts + 1)]
    shorts = [float(f"{value:.{digits - 1}e}") for digits in range(1, 7)]
    power = int(np.floor(np.log10(abs(value) or 1.0)))
    signed = "-" if value < 0 else ""
    round_ones = [float(f"{signed}{one}e{power}") for one in (1, 2, 5, 10, 2.5)]
    for one in (1.0, 0.0, *round_ones, *shorts[:2], *fractions, *shorts[2:]):
        if abs(one - value) <= max(error, 1e-9 * abs(value)):
            return one
    return value


def nearest(found: Solution, parts: int = 1) -> Floats:
    """Every known weight as the simplest number within its error, the others as they are."""
    pairs = zip(found.weights.tolist(), found.error.tolist(), strict=True)
    return np.array([simple(w, e, parts) if np.isfinite(e) else w for w, e in pairs])
