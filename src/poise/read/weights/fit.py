"""The weights with which terms enter a total, recovered from their logged values."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product

import numpy as np

from poise.read.weights.approximate import approximate
from poise.read.weights.problem import Fit, Guess, Problem, pose, report, unknown
from poise.read.weights.solve import Mask, Solution, nearest, simple, solve
from poise.run import Floats, Ints

_WINDOWS = 5e-5
"""Relative difference that a plain sum or mean may leave beside rounding, where window means of a
term that came and went add to it; nothing is fitted there, so nothing else can hide in it."""
_BLOCKS = 8
_ROUNDS = 5
_ZERO = 0.003
"""A weight is called 0 only if it is known to within this."""


def fit(total: Floats, terms: Floats) -> Fit:
    """Weights that make the terms add up to the total.

    Tried in this order, and the first that reproduces the total within what printing and
    arithmetic allow wins: the plain sum, the plain mean, least-squares weights rounded to simple
    numbers, the bare least-squares weights, weights that change in the course of the run. Failing
    all, the plain sum, the mean or non-negative weights are reported as an approximation if the
    records scatter around it; otherwise only what is certain is reported.

    Args:
        total: Logged total, shape (n,); records with a non-finite number are left out.
        terms: Logged terms, shape (n, k); a few thousand rows are plenty.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> terms = rng.uniform(1, 9, (20, 2)).round(3)
        >>> fit((terms @ [1.0, 0.25]).round(3), terms).weights
        (1.0, 0.25)
    """
    with np.errstate(all="ignore"):
        problem = pose(total, terms)
        if not _alive(problem):
            return unknown(problem, "no record holds a total and a term that are not zero")
        found = _exact(problem) or _drift(problem) or _ramp(problem)
        return found or approximate(problem)


def _alive(problem: Problem) -> bool:
    return len(problem.total) > 0 and bool(problem.live.any()) and bool(problem.total.any())


def plain(total: Floats, terms: Floats) -> Fit:
    """How well the plain sum of the terms reproduces the total, without a search for weights.

    Args:
        total: As for `fit`.
        terms: As for `fit`, already multiplied with the weights that are to be checked.
    """
    problem = pose(total, terms)
    if not len(problem.total) or not problem.total.any():
        return unknown(problem, "there is no record to check the sum on")
    ones = np.ones(problem.width)
    guess = Guess(ones, ones > 0, "The total is the plain sum of the terms.")
    return report(problem, guess, exact=problem.explains(ones, _WINDOWS))


def _exact(problem: Problem) -> Fit | None:
    """The simplest weights that reproduce the total, if any do."""
    spare = problem.informative - int(problem.live.sum())
    for guess in _guesses(problem, enough=spare >= 2):
        if problem.explains(guess.weights, guess.slack):
            return report(problem, guess, exact=True)
    return None


def _guesses(problem: Problem, *, enough: bool) -> Iterator[Guess]:
    count, live = problem.width, problem.live
    every = np.ones(count, dtype=np.bool_)
    ones = np.ones(count)
    yield Guess(ones, every, "The total is the plain sum of the terms.", _WINDOWS)
    for parts in dict.fromkeys((count, int(live.sum()))):
        yield Guess(ones / parts, every, "The total is the plain mean of the terms.", _WINDOWS)
    if not enough:
        return
    found = _solved(problem)
    yield from _subsets(problem, found)
    yield from _rounded(problem, found)


def _solved(problem: Problem) -> Solution:
    """Least squares, with the rows weighted by what the weights of a first pass leave of noise."""
    weights = np.ones(problem.width)
    few = problem.part(_telling(problem))
    noise = few.steps / np.sqrt(12.0)
    found = solve(few.total, few.terms, deviation=few.deviation(weights), noise=noise)
    again = np.clip(np.abs(found.weights), 0.0, 1e6)
    return solve(few.total, few.terms, deviation=few.deviation(again), noise=noise)


def _telling(problem: Problem) -> Ints:
    """Rows enough to solve on: evenly spread ones, and those in which a rare term shows."""
    count = len(problem.total)
    even = np.linspace(0, count - 1, min(count, 400 + 1_000_000 // problem.width**2)).astype(
        np.int64
    )
    shown = problem.terms != 0
    rare = shown.sum(axis=0) < 0.1 * count
    extra = [np.flatnonzero(column)[:200] for column in shown[:, rare].T]
    return np.unique(np.concatenate([even, *extra]))


def _rounded(problem: Problem, found: Solution) -> Iterator[Guess]:
    """All weights rounded; then, round by round, the sharp ones only and the others anew."""
    parts = problem.width
    near = nearest(found, parts)
    why = "The weights are fitted to the values and rounded to simple numbers"
    yield _guess(near, _certain(found, near), why)
    fixed, free = np.zeros(parts), np.ones(parts, dtype=np.bool_)
    certain = _certain(found, near)
    for _ in range(_ROUNDS):
        tight = found.known & (found.error < np.where(near == 0, _ZERO, 0.02 * np.abs(near)))
        at = np.flatnonzero(free)
        fixed[at[tight]] = near[tight]
        free[at[tight]] = False
        if not tight.any() or not free.any():
            break
        noise = problem.steps[:, free] / np.sqrt(12.0)
        deviation = problem.deviation(np.abs(fixed) + free)
        found = solve(problem.rest(fixed), problem.terms[:, free], deviation=deviation, noise=noise)
        near = nearest(found, parts)
        certain = _certain(found, near)
        yield _guess(_merged(fixed, free, near), ~free | _spread(free, certain), why)
    if free.any() and problem.informative >= 2 * parts + 8:
        certain &= found.error < 0.05 * np.abs(found.full)
        weights = _merged(fixed, free, found.full)
        yield _guess(weights, ~free | _spread(free, certain), "Least squares gives these weights")


def _certain(found: Solution, near: Floats) -> Mask:
    """True where no other simple number would do as well."""
    return found.known & (found.error < np.where(near == 0, _ZERO, 0.1 * np.abs(near)))


def _merged(fixed: Floats, free: Mask, values: Floats) -> Floats:
    merged = fixed.copy()
    merged[free] = values
    return merged


def _spread(free: Mask, flags: Mask) -> Mask:
    spread = np.zeros(len(free), dtype=np.bool_)
    spread[free] = flags
    return spread


def _guess(weights: Floats, told: Mask, why: str) -> Guess:
    lost = int(np.sum(~told))
    lacking = f"; {lost} of them cannot be told from the values." if lost else "."
    return Guess(weights, told, why + lacking)


def _subsets(problem: Problem, found: Solution) -> Iterator[Guess]:
    """Terms that least squares cannot separate, each in the total with weight 1 or not at all."""
    loose = np.flatnonzero(~found.known & problem.live)
    if not 1 <= len(loose) <= 10:
        return
    near = nearest(found, problem.width)
    sure = _certain(found, near)
    base = np.where(found.known, near, 0.0)
    masks = np.array(list(product((0.0, 1.0), repeat=len(loose))), dtype=np.float64)
    rows = np.linspace(0, len(problem.total) - 1, min(64, len(problem.total))).astype(np.int64)
    few = problem.part(rows)
    rest = np.abs(few.rest(base)[:, None] - few.terms[:, loose] @ masks.T)
    allowed = few.allowance(np.maximum(np.abs(base), 1.0))
    fits = np.flatnonzero(np.mean(rest <= allowed[:, None], axis=0) >= 0.95)
    tries = [base.copy() for _ in fits]
    for weights, fitting in zip(tries, fits.tolist(), strict=True):
        weights[loose] = masks[fitting]
    good = [one for one in tries if problem.explains(one)]
    if good:
        same = np.all(np.array(good) == good[0], axis=0) & (sure | ~found.known)
        # Where a term is hardly more than its own rounding, 0 and 1 are not the only candidates.
        limit = 20.0 * float(np.median(problem.allowance(np.ones(problem.width))))
        same &= found.known | (np.median(np.abs(problem.terms), axis=0) > limit)
        yield Guess(good[-1], same, "The total is the plain sum of a part of the terms.")


def _drift(problem: Problem) -> Fit | None:
    """Weights that change: stretches of the run each have exact weights, but not the same."""
    count = len(problem.total)
    blocks = min(_BLOCKS, count // (2 * problem.width + 7))
    if blocks < 3:
        return None
    edges = np.linspace(0, count, blocks + 1).astype(np.int64).tolist()
    parts = [problem.part(slice(a, b)) for a, b in pairwise(edges)]
    last = _exact(parts[-1]) if _alive(parts[-1]) else None
    if last is None:
        return None
    fits = [_exact(one) if _alive(one) else None for one in parts[:-1]]
    good = [*(one for one in fits if one is not None), last]
    if len(good) < 0.7 * blocks:
        return None
    columns = zip(*(one.weights for one in reversed(good)), strict=True)
    latest = [next((one for one in column if one is not None), None) for column in columns]
    mean = float(np.median([one.residual for one in good]))
    why = (
        f"The weights change in the course of the run: they are exact in {len(good)} of {blocks} "
        "stretches, with different weights; the last ones are given."
    )
    remainder = float(np.median([one.remainder for one in good]))
    return replace(
        last, weights=tuple(latest), residual=mean, remainder=remainder, records=count, why=why
    )


def _ramp(problem: Problem) -> Fit | None:
    """One weight that only rises or only falls, the others 1: a term that is faded in or out."""
    count, ones = len(problem.total), np.ones(problem.width)
    if count < 30 or not 2 <= problem.width <= 20:
        return None
    rest, allowed = problem.rest(ones), problem.allowance(ones)
    for index in np.flatnonzero(problem.live).tolist():
        term = problem.terms[:, index]
        shown = np.abs(term) > 20.0 * allowed
        if np.mean(shown) < 0.8:
            continue
        weight = 1.0 + rest[shown] / term[shown]
        at = np.linspace(0, len(weight) - 1, min(len(weight), 200)).astype(np.int64)
        noise = 2.0 * (allowed[shown] / np.abs(term[shown]))[at]
        moves = np.diff(weight[at])
        width = float(np.ptp(weight))
        wrong = np.minimum(np.mean(moves > noise[1:]), np.mean(moves < -noise[1:]))
        if wrong > 0 or width < 0.05 or float(np.abs(moves).max()) > 0.3 * width:
            continue
        last = ones.copy()
        last[index] = simple(float(weight[-1]), float(noise[-1]))
        why = (
            f"One weight moves steadily from {weight[0]:.4g} to {weight[-1]:.4g} while the others "
            "are 1; the last one is given."
        )
        here = problem.part(shown)
        moved = here.terms.copy()
        moved[:, index] *= weight
        followed = replace(here, terms=moved)
        found = report(followed, Guess(ones, ones > 0, why), exact=True)
        return replace(
            found, weights=report(problem, Guess(last, ones > 0, why), exact=True).weights
        )
    return None
