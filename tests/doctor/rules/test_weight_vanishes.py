"""Weights that go to nothing."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.weight_vanishes import WeightVanishes
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def run(
    weight: np.ndarray, hard: np.ndarray | None = None, declared: dict[str, object] | None = None
) -> Run:
    """An easy term that is learned, and a hard one that may not be."""
    still = 1.4 * (1 + 0.01 * RNG.standard_normal(N)) if hard is None else hard
    return make_run(
        {"easy": decay(RNG, 1, 0.1), "hard": still},
        weight_history={"easy": 2 - weight, "hard": weight},
        declared=declared,
    )


FADING = np.geomspace(1, 1e-3, N)


def test_a_term_that_is_given_up() -> None:
    """Its weight goes to a thousandth, and it stays at ln 4."""
    (one,) = found_by(WeightVanishes(), run(FADING))
    assert (one.severity, one.terms) == (Severity.WARNING, ("hard",))


@pytest.mark.parametrize(
    "given",
    [
        {"weight": np.geomspace(1, 0.05, N)},
        {"weight": FADING, "hard": decay(RNG, 1.4, 0.2)},
        {"weight": FADING, "declared": {"schedules": {"hard": "Cosine"}}},
        {"weight": FADING, "declared": {"roles": {"hard": "regulariser"}}},
        {"weight": np.zeros(N)},
    ],
    ids=["a twentieth", "learned", "planned", "a penalty", "always 0"],
)
def test_weights_that_may_fall_are_silent(given: dict[str, object]) -> None:
    """Not to nothing, after the work is done, or as declared."""
    assert not found_by(WeightVanishes(), run(**given))  # type: ignore[arg-type]  # passed on
