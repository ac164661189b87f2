"""Schedules that run with the micro-batches, and weights other than declared."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.scheduler_rate import SchedulerPerMicroBatch, WeightNotAsDeclared
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

MICRO = np.arange(200)


def rates(seed: int, per: int) -> Run:
    """Accumulation over 4, with a learning rate that changes every `per` micro-batches."""
    values = fall(2, 1, np.random.default_rng(seed))
    lr = 1e-3 * np.cos(MICRO // per * per / 400 * np.pi)
    return watched({"ce": values}, steps=MICRO // 4, micro=MICRO, lr=lr)


@pytest.mark.parametrize("seed", range(3))
def test_a_scheduler_that_runs_too_fast(seed: int) -> None:
    """Stepped every micro-batch it runs 4 times too fast; every 4 it is right."""
    (one,) = found_by(SchedulerPerMicroBatch(), rates(seed, 1))
    assert one.severity is Severity.ERROR
    assert "4 times too fast" in one.summary
    assert not found_by(SchedulerPerMicroBatch(), rates(seed, 4))


def test_without_accumulation_nothing_is_compared() -> None:
    """The near miss: one step a micro-batch, and a few skipped updates."""
    steps = MICRO - (MICRO > 50) - (MICRO > 120)
    lr = np.linspace(1e-3, 0, 200)
    values = fall(2, 1, np.random.default_rng(0))
    run = watched({"ce": values}, steps=steps, micro=MICRO, lr=lr)
    assert not found_by(SchedulerPerMicroBatch(), run)


@pytest.mark.parametrize("factor", [1.0, 1.004, 0.5, 0.0])
def test_weights_follow_their_declared_schedule(factor: float) -> None:
    """Half of the declared weight is found, rounding is not."""
    rng = np.random.default_rng(0)
    meant = np.clip(MICRO / 100, 0, 1)
    history = {"aux": factor * meant, "ce": np.ones(200)}
    run = watched(
        {"ce": fall(2, 1, rng), "aux": fall(2, 1, rng)},
        weight_history=history,
        declared={"schedules": {"aux": [[0, 0.0], [100, 1.0], [200, 1.0]]}},
    )
    found = found_by(WeightNotAsDeclared(), run)
    assert [one.terms for one in found] == ([("aux",)] if factor <= 0.5 else [])
