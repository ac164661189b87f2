"""The curve over the error."""

import math

from torch.nn import functional as F

from poise.card.error_size import error_size, scale_free, sweep
from poise.card.ray import ray_of
from tests.card.subjects import facts, normal, of


def test_the_curve_is_the_formula() -> None:
    """For a mean of squares: e^2 and 2e at every error, on both sides."""
    one = of(F.mse_loss, normal(8, 3), normal(8, 3, seed=1))
    curve = sweep(one, ray_of(one))
    assert math.log10(curve.x[-1] / curve.x[0]) > 12
    for x, value, gradient, below in zip(
        curve.x,
        curve.lines["value +"],
        curve.lines["gradient +"],
        curve.lines["gradient -"],
        strict=True,
    ):
        assert math.isclose(value, x * x, rel_tol=1e-3)
        assert math.isclose(gradient, 2 * x, rel_tol=1e-3)
        assert math.isclose(below, 2 * x, rel_tol=1e-3)


def test_a_cosine_has_no_size_of_error() -> None:
    """Where only the direction counts, no saturation is read off the curve."""
    one = of(lambda a, b: 1 - F.cosine_similarity(a, b).mean(), normal(8, 3), normal(8, 3, seed=1))
    assert scale_free(one)
    found = error_size(one)
    assert facts(found) == {"scale-free": True}
    assert not found.findings
