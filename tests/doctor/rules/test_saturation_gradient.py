"""Large errors without gradient."""

import numpy as np
import pytest

from poise.doctor.rules.saturation_gradient import GradientVanishes
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by


def made(seed: int, *, norm: float, end: float = 16.0, role: str = "task") -> Run:
    """A term at 16 with the given gradient norm beside one at 1 with norm 0.1."""
    rng = np.random.default_rng(seed)
    terms = {"fine": fall(2, 1, rng), "far": fall(16, end, rng)}
    norms = {"fine": np.full(4, 0.1), "far": np.full(4, norm)}
    return watched(terms, norms=norms, declared={"roles": {"far": role}})


@pytest.mark.parametrize("seed", range(4))
def test_a_saturated_term_is_found(seed: int) -> None:
    """A millionth of the gradient per unit of loss; a fiftieth is a Huber loss."""
    (one,) = found_by(GradientVanishes(), made(seed, norm=1e-6))
    assert one.terms == ("far",)
    assert not found_by(GradientVanishes(), made(seed, norm=0.02))


@pytest.mark.parametrize("seed", range(4))
def test_a_large_constant_in_the_value_is_silent(seed: int) -> None:
    """3000 and a gradient like the other's; the near miss has a fiftieth of it."""
    rng = np.random.default_rng(seed)
    terms = {"kind": fall(2, 1, rng), "density": 3000 + fall(2, 1, rng)}
    for norm, count in ((0.1, 0), (0.002, 1)):
        norms = {"kind": np.full(4, 0.1), "density": np.full(4, norm)}
        assert len(found_by(GradientVanishes(), watched(terms, norms=norms))) == count


def test_learning_terms_and_other_roles_are_silent() -> None:
    """The near miss: it falls all the same, or is a regulariser."""
    assert not found_by(GradientVanishes(), made(0, norm=1e-6, end=8.0))
    assert not found_by(GradientVanishes(), made(0, norm=1e-6, role="regulariser"))
