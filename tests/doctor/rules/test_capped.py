"""Exponentials at their cap."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.capped import ExponentialAtCap
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.rules_of import found_by


def run(values: list[float], total: float = 51.7) -> Run:
    """A training that logs these perplexities beside a total."""
    kl = np.full(len(values), 2.0)
    statistics = {"perplexity": np.array(values)}
    return make_run({"lm": np.full(len(values), total - 2.0), "kl": kl}, statistics=statistics)


def test_the_cap_is_named_with_what_was_put_in() -> None:
    """485165195.41 is exp(20), and the total of 51.7 is beyond 20."""
    (one,) = found_by(ExponentialAtCap(), run([485165195.4097903] * 5))
    assert one.severity is Severity.WARNING
    assert "exactly exp(20) in 5 records" in one.summary
    assert "most likely of the total of all terms" in one.cause
    assert "'lm', 'kl'" in one.action


def test_a_cap_under_a_small_total_is_found_without_the_guess() -> None:
    """Then something else was put in."""
    (one,) = found_by(ExponentialAtCap(), run([22026.465794806718] * 3, total=6.0))
    assert "exp(10)" in one.summary
    assert "total" not in one.cause


def test_as_a_log_prints_it() -> None:
    """Two decimals are enough digits."""
    assert found_by(ExponentialAtCap(), run([485165195.41] * 4))


@pytest.mark.parametrize(
    "values",
    [
        [485165195.4097903, 485165195.4097903, 312.5, 300.1],  # twice may be chance
        [485166000.0] * 5,  # near it
        [148.4] * 5,  # too few digits to tell from exp(5)
        [54.598150033144236] * 5,  # exp(4) may be a perplexity
        [485165195.4 + at for at in range(5)],  # it moves
        [float("inf")] * 5,
    ],
)
def test_near_misses(values: list[float]) -> None:
    """Numbers that only look like it."""
    assert not found_by(ExponentialAtCap(), run(values))
