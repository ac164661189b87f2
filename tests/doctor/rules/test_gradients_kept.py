"""Gradients that nobody zeroes, and what grows for other reasons."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.gradients_kept import GradientsKept
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"a": fall(2, 1, RNG), "b": fall(2, 1, RNG)}
AT = np.array([0, 1, 3, 7, 15, 31, 50, 100, 150, 199])
"""Records at which a watch measures: powers of two, then every fiftieth."""
STEADY = {"a": np.full(10, 0.3), "b": np.full(10, 0.1)}


def run_of(norm: np.ndarray, used: np.ndarray | None = None, **given: object) -> Run:
    """A run with these gradient norms at `AT`."""
    told = {"norms": STEADY} | given
    return watched(
        TERMS,
        grad_norm=(AT, norm),  # type: ignore[arg-type]  # rows and values
        grad_norm_used=None if used is None else _everywhere(used),
        probe_steps=AT,
        **told,  # type: ignore[arg-type]  # passed on
    )


def _everywhere(values: np.ndarray) -> np.ndarray:
    """Values at `AT` on all 200 records; only those at `AT` have a partner."""
    found = np.full(200, np.nan)
    found[AT] = values
    return found


def summed(rng: np.random.Generator, signal: float, noise: float) -> np.ndarray:
    """Norms at `AT` of the sum of all gradients so far, of 500 parameters."""
    steps = signal / 500**0.5 + noise / 500**0.5 * rng.standard_normal((200, 500))
    return np.linalg.norm(np.cumsum(steps, axis=0), axis=1)[AT]


@pytest.mark.parametrize("seed", range(20))
def test_kept_gradients_are_an_error(seed: int) -> None:
    """A sum of gradients with as much noise as signal grows in proportion."""
    (one,) = found_by(GradientsKept(), run_of(summed(np.random.default_rng(seed), 0.4, 0.4)))
    assert one.severity is Severity.ERROR
    assert "zero_grad() is missing" in one.summary


def test_growth_that_clipping_cuts_short_is_a_warning() -> None:
    """Three norms in proportion, then clipped in every step; two would be chance."""
    norm = np.array([0.25, 0.5, 1.0, 1.3, 1.4, 1.2, 1.3, 1.4, 1.2, 1.3])
    (one,) = found_by(GradientsKept(), run_of(norm, np.minimum(norm, 0.9)))
    assert one.severity is Severity.WARNING
    assert not found_by(GradientsKept(), run_of(norm, np.minimum(norm, 0.45)))
    once = np.minimum(norm, 0.9)
    once[5] = norm[5]
    assert not found_by(GradientsKept(), run_of(norm, once))


@pytest.mark.parametrize("seed", range(20))
def test_large_heads_and_a_regulariser_outside_are_spared(seed: int) -> None:
    """A gradient far above that of the terms, steady, drifting or bursting, is no sum of steps."""
    rng = np.random.default_rng(seed)
    size = 50 * np.exp(0.5 * rng.standard_normal(10))
    for norm in (size, size * np.linspace(1, 4, 10), size * np.geomspace(1, 1e3, 10)):
        assert not found_by(GradientsKept(), run_of(norm))


def test_a_ramp_is_spared() -> None:
    """A weight that grows with the steps makes the gradient of its head grow with them."""
    ramp = (np.arange(200) + 1) / 200
    history = {"weight_history": {"b": ramp}, "weights": {"b": 1.0}}
    assert found_by(GradientsKept(), run_of(0.4 * (AT + 1.0)))
    assert not found_by(GradientsKept(), run_of(0.4 * (AT + 1.0), **history))


def test_terms_that_grow_as_much_are_spared() -> None:
    """Then the gradient of the batch grows, not what is left of earlier ones."""
    norms = {"a": 0.3 * (AT + 1.0), "b": np.full(10, 0.1)}
    assert not found_by(GradientsKept(), run_of(0.4 * (AT + 1.0), norms=norms))


def test_a_record_that_begins_later_is_not_judged() -> None:
    """The number of steps since the last zero_grad() is known at the beginning only."""
    late = {"steps": np.arange(200) + 1000}
    assert not found_by(GradientsKept(), run_of(0.4 * (AT + 1.0), **late))
