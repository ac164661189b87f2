"""Clipping that is always active, and factors that Adam undoes."""

from collections.abc import Sequence

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.clipping import ClippingAlways, ScaleUndone
from poise.run import Run
from tests.doctor.build_probes import ADAM, SGD, fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(4))


def made(
    seed: int, threshold: float, *, optimizers: Sequence[dict[str, object]] = SGD, **given: object
) -> Run:
    """Gradient norms around 4, clipped at a threshold."""
    rng = np.random.default_rng(seed)
    before = 4 * np.exp(0.3 * rng.standard_normal(200))
    return watched(
        {"a": fall(2, 1, rng), "b": fall(3, 1, rng)},
        grad_norm=before,
        grad_norm_used=np.minimum(before, threshold),
        shares={"a": 0.7, "b": 0.3},
        optimizers=optimizers,
        **given,  # type: ignore[arg-type]  # passed on
    )


@SEEDS
def test_always_clipped_under_sgd(seed: int) -> None:
    """At a quarter of the usual norm: a warning that says whose gradient sets it."""
    (one,) = found_by(ClippingAlways(), made(seed, 1.0))
    assert (one.severity, one.terms) == (Severity.WARNING, ("a",))
    assert "SGD" in one.cause


@SEEDS
def test_adam_makes_it_a_note(seed: int) -> None:
    """The near miss: Adam undoes a factor that hardly varies."""
    (one,) = found_by(ClippingAlways(), made(seed, 1.0, optimizers=ADAM))
    assert one.severity is Severity.NOTE


@SEEDS
def test_rare_or_mild_clipping_is_silent(seed: int) -> None:
    """The near miss: a threshold at the usual norm, and one a little below."""
    assert not found_by(ClippingAlways(), made(seed, 4.0))
    assert not found_by(ClippingAlways(), made(seed, 2.9))


def test_a_constant_factor_is_undone_by_adam() -> None:
    """Ten times the gradient in front of Adam is a note, in front of SGD nothing is said."""
    rng = np.random.default_rng(0)
    before = 4 * np.exp(0.3 * rng.standard_normal(200))
    for optimizers, expected in ((ADAM, 1), (SGD, 0)):
        run = watched(
            {"a": fall(2, 1, rng)},
            grad_norm=before,
            grad_norm_used=10 * before,
            optimizers=optimizers,
        )
        assert len(found_by(ScaleUndone(), run)) == expected


def test_the_weight_of_a_head_of_its_own_is_undone() -> None:
    """A term that shares nothing does not feel its weight under Adam; one that shares does."""
    rng = np.random.default_rng(0)
    terms = {"a": fall(2, 1, rng), "b": fall(2, 1, rng)}
    apart = {"a": ("trunk.weight",), "b": ("head.weight",)}
    (one,) = found_by(ScaleUndone(), watched(terms, weights={"b": 0.01}, reach=apart))
    assert one.terms == ("b",)
    assert not found_by(ScaleUndone(), watched(terms, weights={"b": 0.01}))
