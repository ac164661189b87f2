"""Trainings in which no loss falls."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.standstill import NothingFalls
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def flat(level: float) -> np.ndarray:
    """A loss that scatters around a level."""
    return level * (1 + 0.02 * RNG.standard_normal(N))


def test_nothing_falls() -> None:
    """Flat and rising losses only: a note that names all of them."""
    run = make_run({"ce": flat(6.9), "box": np.linspace(1, 2, N)})
    (one,) = found_by(NothingFalls(), run)
    assert one.severity is Severity.NOTE
    assert set(one.terms) == {"loss", "ce", "box"}


def test_one_loss_that_falls_is_enough() -> None:
    """The near miss: the others may stand still."""
    assert not found_by(NothingFalls(), make_run({"ce": flat(6.9), "box": decay(RNG, 2, 1)}))


def test_an_early_fall_counts() -> None:
    """A loss that falls within its first records has been learned."""
    early = np.where(np.arange(N) < 6, 20.0, 1.0) * flat(1)
    assert not found_by(NothingFalls(), make_run({"ce": early}))


def test_adversaries_are_not_judged() -> None:
    """Their losses are not meant to fall."""
    run = make_run({"G_GAN": flat(1), "D_fake": flat(0.5)}, total=None)
    assert not found_by(NothingFalls(), run)
