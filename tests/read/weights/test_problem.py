import numpy as np

from poise.read.weights.problem import Guess, pose, report, unknown


def test_rounding_is_allowed_and_a_constant_offset_is_not() -> None:
    """Errors of half a step on every number pass; the same error on one side does not."""
    rng = np.random.default_rng(0)
    raw = rng.uniform(1, 2, (500, 3))
    terms, total = raw.round(2), raw.sum(axis=1).round(2)
    ones = np.ones(3)
    assert pose(total, terms).explains(ones)
    assert not pose((total + 0.02).round(2), terms).explains(ones)


def test_a_total_below_the_resolution_is_never_explained() -> None:
    """Numbers that are all rounding agree with anything and so confirm nothing."""
    terms = np.random.default_rng(1).integers(0, 3, (50, 2)) / 10
    assert not pose(terms.sum(axis=1), terms).explains(np.ones(2))


def test_a_constant_column_borrows_the_step_of_the_total() -> None:
    """0.04 throughout may have been printed as 0.0400: it must not allow for half of 0.01."""
    rng = np.random.default_rng(2)
    problem = pose(rng.uniform(1, 2, 40).round(4), np.full((40, 1), 0.04))
    assert float(problem.steps.max()) <= 1.0001e-4


def test_reports_hide_what_is_not_told() -> None:
    """Weights that are not told, or belong to silent terms, are None."""
    terms = np.column_stack([np.arange(1.0, 9.0), np.ones(8), np.zeros(8)])
    problem = pose(terms.sum(axis=1), terms)
    guess = Guess(np.ones(3), np.array([True, False, True]), "because")
    found = report(problem, guess, exact=True)
    assert (found.weights, found.residual, found.why) == ((1.0, None, None), 0.0, "because")
    assert unknown(problem, "x").records == 8
