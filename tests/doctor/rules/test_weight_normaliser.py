"""A value normaliser, recovered from the weights that were recorded, and whom it starves."""

import numpy as np
import pytest

from poise.doctor.case import Case
from poise.doctor.finding import Severity
from poise.doctor.rules.weight_normaliser import (
    NormaliserStarvesGradient,
    hidden_fall,
    recover_weights,
)
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(4))
NOMINAL = {"kind": 0.1, "ptr": 0.7, "countdown": 0.2}
SHARES = {"kind": 0.2, "ptr": 0.797, "countdown": 0.003}


def divided(values: np.ndarray, decay: float, warm_up: int) -> np.ndarray:
    """1 / running mean, written with scalars and independently of the rule."""
    mean, out = 0.0, []
    for step, value in enumerate(values):
        keep = step / (step + 1) if step < warm_up else decay
        mean = keep * mean + (1 - keep) * value
        out.append(1 / mean)
    return np.array(out)


def made(
    seed: int,
    *,
    end: float = 15.6,
    shares: dict[str, float] | None = None,
    decay: float = 0.95,
    after: bool = False,
    log: bool = True,
    noise: float = 0.0,
) -> Run:
    """The incident: recorded with its weights, or with terms after the division."""
    rng = np.random.default_rng(seed)
    levels = {"kind": (1.0, 0.4), "ptr": (0.02, 0.005), "countdown": (16.0, end)}
    values = {name: fall(*ends, rng) for name, ends in levels.items()}
    factors = {name: divided(one, decay, 5) for name, one in values.items()}
    jitter = 1 + noise * rng.standard_normal(200)
    given = {"shares": {k: np.full(5, v) for k, v in (shares or SHARES).items()}}
    if after:
        raw = {f"raw_{name}": one for name, one in values.items()}
        terms = {name: one * factors[name] for name, one in values.items()}
        history = {name: np.full(200, one) for name, one in NOMINAL.items()}
        raw = raw if log else {}
        return watched(terms, statistics=raw, weight_history=history, weights=NOMINAL, **given)
    history = {name: NOMINAL[name] * one * jitter for name, one in factors.items()}
    return watched(values, weight_history=history, **given)


@SEEDS
@pytest.mark.parametrize("decay", [0.9, 0.95, 0.99])
def test_the_normaliser_is_named_and_its_victim(seed: int, decay: float) -> None:
    """Decay, nominal weights, measured share, and where the loss is stuck."""
    (one,) = found_by(NormaliserStarvesGradient(), made(seed, decay=decay))
    assert (one.severity, one.terms) == (Severity.ERROR, ("countdown",))
    assert f"decay {decay}" in one.evidence[0].text
    assert "kind 0.1, ptr 0.7, countdown 0.2" in one.evidence[0].text
    assert "0.30% of the gradient" in one.summary
    assert "element" not in one.summary + one.cause + one.action


def test_terms_recorded_after_the_division() -> None:
    """Then the values that were logged beside them tell."""
    run = made(0, after=True)
    found = recover_weights(Case(run))
    assert found is not None
    assert found.raw == ("raw_kind", "raw_ptr", "raw_countdown")
    assert found.nominal == pytest.approx(list(NOMINAL.values()), rel=1e-6)


@SEEDS
def test_terms_whose_values_nobody_recorded(seed: int) -> None:
    """All are exactly 1 at first; the near miss is a term that fell before the division."""
    (one,) = found_by(NormaliserStarvesGradient(), made(seed, after=True, log=False))
    assert (one.severity, one.terms) == (Severity.ERROR, ("countdown",))
    learning = made(seed, after=True, log=False, end=4.0)
    (one,) = found_by(NormaliserStarvesGradient(), learning)
    assert one.severity is Severity.NOTE


def test_hidden_fall_is_that_of_the_raw_values() -> None:
    """Recomputed from the quotients alone, for the right decay."""
    raw = fall(16.0, 8.0, np.random.default_rng(1))
    mean, quotients = raw[0], []
    for value in raw:
        mean = 0.9 * mean + 0.1 * value
        quotients.append(value / mean)
    expected = 1 - np.median(raw[-20:]) / raw[0]
    assert hidden_fall(np.array(quotients)) == pytest.approx(expected, abs=1e-9)


@SEEDS
def test_terms_that_learn_alike_are_a_note(seed: int) -> None:
    """The near miss: the same normaliser, but the term has its share, or learns."""
    fair = {"kind": 0.2, "ptr": 0.6, "countdown": 0.2}
    for run in (made(seed, shares=fair), made(seed, end=4.0)):
        (one,) = found_by(NormaliserStarvesGradient(), run)
        assert one.severity is Severity.NOTE


@SEEDS
def test_other_changing_weights_are_silent(seed: int) -> None:
    """The near miss: weights that are 5% off the running mean follow something else."""
    assert not found_by(NormaliserStarvesGradient(), made(seed, noise=0.05))


def test_constant_weights_are_silent() -> None:
    """Values that hardly change under constant weights are no normaliser."""
    rng = np.random.default_rng(0)
    values = {name: fall(1.0, 0.99, rng) for name in NOMINAL}
    history = {name: np.full(200, one) for name, one in NOMINAL.items()}
    run = watched(values, weight_history=history, shares=SHARES)
    assert not found_by(NormaliserStarvesGradient(), run)
