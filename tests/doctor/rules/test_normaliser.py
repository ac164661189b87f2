"""Terms that are divided by their own running mean, recovered from what a log prints."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.normaliser import ValueNormaliser
from tests.doctor.build import make_run
from tests.doctor.healthy import decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
WEIGHTS = {"kind_loss": 0.1, "ptr_loss": 0.7, "count_loss": 0.2}


def values(last: float = 15.2) -> dict[str, np.ndarray]:
    """Two terms that fall and one that starts at 16 and ends at `last`, 150 records."""
    levels = {"kind_loss": (1.0, 0.3), "ptr_loss": (0.02, 0.004), "count_loss": (16.0, last)}
    return {name: decay(RNG, *ends)[:150] for name, ends in levels.items()}


def normalised(terms: dict[str, np.ndarray], *, decay: float, warm_up: int) -> np.ndarray:
    """The total of the incident, written with scalars and independently of the rule."""
    total = np.zeros(150)
    for name, column in terms.items():
        mean = 0.0
        for step, value in enumerate(column):
            if step < warm_up:
                mean = (mean * step + value) / (step + 1)
            else:
                mean = decay * mean + (1 - decay) * value
            total[step] += WEIGHTS[name] * value / mean
    return total


@pytest.mark.parametrize(("decay", "warm_up"), [(0.9, 1), (0.95, 5), (0.99, 10), (0.999, 50)])
def test_the_starved_term_is_named(decay: float, warm_up: int) -> None:
    """From printed values alone: the normaliser, its weights, and who pays for it."""
    terms = {name: np.round(column, 6) for name, column in values().items()}
    total = np.round(normalised(terms, decay=decay, warm_up=warm_up), 6)
    (one,) = found_by(ValueNormaliser(), make_run(terms, total=total))
    assert (one.severity, one.terms) == (Severity.WARNING, ("count_loss",))
    assert f"decay {decay}" in one.evidence[0].text
    assert "kind_loss 0.1, ptr_loss 0.7, count_loss 0.2" in one.evidence[0].text
    assert "gradient unknown" in one.summary


def test_terms_that_learn_alike_are_a_note() -> None:
    """The near miss: the same normaliser, and every term falls."""
    terms = values(last=4.0)
    total = normalised(terms, decay=0.95, warm_up=5)
    (one,) = found_by(ValueNormaliser(), make_run(terms, total=total))
    assert one.severity is Severity.NOTE


def test_plain_weights_are_silent() -> None:
    """The near miss: the same values in a plain weighted sum, with and without noise on it."""
    terms = values()
    plain = sum(WEIGHTS[name] * column for name, column in terms.items())
    for noise in (0.0, 0.01):
        total = plain * (1 + noise * RNG.standard_normal(150))
        assert not found_by(ValueNormaliser(), make_run(terms, total=total))


def test_thinned_logs_are_silent() -> None:
    """Of every tenth step no running mean can be recomputed, so nothing is claimed."""
    terms = values()
    total = normalised(terms, decay=0.95, warm_up=5)[::3]
    thin = {name: column[::3] for name, column in terms.items()}
    run = make_run(thin, total=total, steps=np.arange(0, 150, 3))
    assert not found_by(ValueNormaliser(), run)
