"""Entropies that are minimised, and those that may fall."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.entropy_sign import EntropyMinimised
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
POLICY = {"policy": decay(RNG, 1, 0.5), "value": decay(RNG, 2, 1)}
DIES = 1.4 * np.exp(-np.arange(N) / 30) + 0.01


@pytest.mark.parametrize("name", ["entropy", "policy_entropy", "entropy_loss"])
def test_an_entropy_that_is_added(name: str) -> None:
    """At weight 1, to a hundredth."""
    (one,) = found_by(EntropyMinimised(), make_run({**POLICY, name: DIES}))
    assert (one.severity, one.terms) == (Severity.WARNING, (name,))


@pytest.mark.parametrize(
    ("terms", "weight"),
    [
        ({**POLICY, "entropy": DIES}, -0.01),
        ({**POLICY, "entropy": -DIES}, 0.01),
        ({**POLICY, "entropy": 1.4 * np.geomspace(1, 0.4, N)}, 0.01),
        ({**POLICY, "entropy": np.maximum(1.4 - 2 * np.arange(N) / N, 0.3)}, 0.01),
        ({"ce": POLICY["value"], "entropy": DIES}, 0.01),
        ({**POLICY, "code_entropy": DIES}, 0.01),
    ],
    ids=["a bonus", "its negative", "partly", "late", "no policy", "of codes"],
)
def test_entropies_that_may_fall_are_silent(terms: dict[str, np.ndarray], weight: float) -> None:
    """Signs that are right, and other entropies."""
    name = next(one for one in terms if "entropy" in one)
    assert not found_by(EntropyMinimised(), make_run(terms, weights={name: weight}))
