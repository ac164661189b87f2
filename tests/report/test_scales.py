"""The axis follows from the data."""

import numpy as np
import pytest

from poise.report.scales import Scale, choose


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (np.linspace(1.0, 2.0, 50), Scale.LINEAR),
        (np.geomspace(1e-6, 10.0, 50), Scale.LOG),
        (np.append(np.geomspace(1e-6, 10.0, 50), 0.0), Scale.SYMLOG),
        (np.append(-np.geomspace(1e-3, 1e4, 50), 1.0), Scale.SYMLOG),
        (np.sin(np.arange(500) / 10.0), Scale.LINEAR),
        (np.append(np.ones(500), 1e6), Scale.LOG),
        (np.zeros(9), Scale.LINEAR),
        (np.full(9, np.nan), Scale.LINEAR),
        (np.array([]), Scale.LINEAR),
        (np.array([5.0]), Scale.LINEAR),
        (np.array([1e-320, 1.7e308]), Scale.LOG),
    ],
)
def test_scale(values: np.ndarray, scale: Scale) -> None:
    """Spread asks for a logarithm, zeros and signs for a symmetric one, a swing for neither."""
    assert choose(values).scale is scale


def test_unit_does_not_matter() -> None:
    """The same curve in other units gets the same axis."""
    values = np.geomspace(1e-3, 1.0, 40)
    assert choose(values * 1e9).scale is choose(values * 1e-9).scale is Scale.LOG


def test_non_finite_values_have_no_say() -> None:
    """Infinity does not stretch an axis."""
    assert choose(np.array([1.0, 2.0, np.inf, -np.inf, np.nan])) == choose(np.array([1.0, 2.0]))


def test_threshold_is_below_the_data() -> None:
    """The linear part of a symmetric log axis lies below nearly all magnitudes, and is > 0."""
    axis = choose(np.array([0.0, 3e-5, 1.0, 1000.0]))
    assert axis.threshold == pytest.approx(1e-5)
    assert choose(np.array([-5e-324, 0.0, 1.0])).threshold > 0.0
