"""Warm-ups that start over, and schedules that only look like it."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.warm_up import WarmUpRepeated
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
STEP = np.arange(N)
TERMS = {"a": decay(RNG, 7, 2)}


def test_a_schedule_that_is_made_in_every_epoch() -> None:
    """Up to a quarter of the peak, and from 0 again."""
    run = make_run(TERMS, lr=1e-3 * (STEP % 40) / 160)
    (one,) = found_by(WarmUpRepeated(), run)
    assert one.severity is Severity.WARNING
    assert one.steps[0] == 40
    assert f"{(N - 1) // 40} times" in one.summary


@pytest.mark.parametrize(
    "lr",
    [
        1e-3 * 0.5 * (1 + np.cos(np.pi * (STEP % 100) / 100)),
        1e-3 * np.abs((STEP % 80) / 40 - 1),
        1e-3 * np.minimum(1, (STEP % 200) / 50),
        1e-3 * np.minimum(1, STEP / 100),
        np.where(STEP < 200, 1e-3 * STEP / 200, 1e-4 * (1 + STEP / 1000)),
    ],
    ids=["warm restarts", "cyclic", "one more stage", "one warm-up", "another stage"],
)
def test_schedules_that_are_meant_are_silent(lr: np.ndarray) -> None:
    """Gradual falls, or a single one."""
    assert not found_by(WarmUpRepeated(), make_run(TERMS, lr=lr))
