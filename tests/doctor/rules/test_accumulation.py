"""Micro-batches that are added up, and those that are divided."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.accumulation import AccumulationSummed
from poise.run import Run
from tests.doctor.build_probes import ADAM, SGD, fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def run(factor: float, *, count: int = 8, motion: float = 0.2, optimizers: object = SGD) -> Run:
    """A training that accumulates."""
    return watched(
        {"a": fall(2, 1, RNG), "b": fall(3, 1, RNG)},
        motion={"trunk": [motion, motion]},
        micro=np.arange(200),
        optimizers=optimizers,  # type: ignore[arg-type]  # passed on
        declared={"accumulated": count, "factor": factor},
    )


def test_undivided_sums_that_move_far_are_a_warning() -> None:
    """Eight micro-batches, a factor of 1, and a fifth of the norm a step."""
    (one,) = found_by(AccumulationSummed(), run(1.0))
    assert one.severity is Severity.WARNING
    assert "8 micro-batches" in one.summary
    assert "total / 8" in one.action


@pytest.mark.parametrize("given", [{"motion": 0.01}, {"optimizers": ADAM}])
def test_sums_that_suit_the_optimizer_are_a_note(given: dict[str, object]) -> None:
    """Small steps, or an optimizer that undoes the factor."""
    (one,) = found_by(AccumulationSummed(), run(1.0, **given))  # type: ignore[arg-type]  # passed on
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize("factor", [1 / 8, 65536.0, 0.5])
def test_divided_or_scaled_totals_are_silent(factor: float) -> None:
    """Divided by their number, by another one, or under a loss scale, which is not judged."""
    assert not found_by(AccumulationSummed(), run(factor))


def test_steps_that_were_long_at_the_start_count() -> None:
    """It blew up and creeps since."""
    run_ = run(1.0, motion=0.02)
    early = watched(
        {"a": fall(2, 1, RNG), "b": fall(3, 1, RNG)},
        motion={"trunk": [0.4, 0.3, 0.2, 0.02, 0.02, 0.02, 0.02, 0.02]},
        micro=np.arange(200),
        optimizers=SGD,
        declared={"accumulated": 8, "factor": 1.0},
    )
    assert [one.severity for one in found_by(AccumulationSummed(), run_)] == [Severity.NOTE]
    assert [one.severity for one in found_by(AccumulationSummed(), early)] == [Severity.WARNING]


def test_one_micro_batch_a_step_is_silent() -> None:
    """Nothing is added up."""
    assert not found_by(AccumulationSummed(), run(1.0, count=1))
