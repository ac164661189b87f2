"""Evaluations that are far off from the start."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.eval_apart import EvalApart
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
AT = np.linspace(0, N - 1, 13)[1:].astype(int)
CE, DEPTH = decay(RNG, 2, 0.5, tau=0.3), decay(RNG, 1, 0.2, tau=0.3)


def run(depth: np.ndarray) -> Run:
    """Two terms, of which the evaluation of one is given."""
    return make_run({"ce": CE, "depth": DEPTH}, evals={"ce": CE[AT], "depth": depth})


def test_targets_in_another_unit() -> None:
    """12 beside 0.75 at the first evaluation, and there it stays."""
    (one,) = found_by(EvalApart(), run(12 + 0.1 * RNG.standard_normal(len(AT))))
    assert (one.severity, one.terms) == (Severity.WARNING, ("depth",))


@pytest.mark.parametrize(
    "depth",
    [2.5 * DEPTH[AT], np.linspace(1, 4, len(AT)), DEPTH[AT]],
    ids=["harder", "a gap that opens", "alike"],
)
def test_gaps_of_generalisation_are_silent(depth: np.ndarray) -> None:
    """Below a factor of 3, or not from the start."""
    assert not found_by(EvalApart(), run(depth))


def test_a_late_first_evaluation_says_nothing() -> None:
    """Training had fallen to a fifth before anyone looked."""
    late = decay(RNG, 1, 0.01, tau=0.02)
    evals = {"depth": 12 + 0.1 * RNG.standard_normal(len(AT)), "ce": CE[AT]}
    assert not found_by(EvalApart(), make_run({"ce": CE, "depth": late}, evals=evals))


def test_a_constant_factor_is_left_to_the_other_rule() -> None:
    """`eval-factor` knows that one is a sum."""
    total = CE + DEPTH
    made = make_run({"ce": CE, "depth": DEPTH}, evals={"loss": 8 * total[AT]})
    assert not found_by(EvalApart(), made)
