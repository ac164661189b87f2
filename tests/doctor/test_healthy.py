"""No rule finds an error or a warning in a healthy training."""

import numpy as np
import pytest

from poise.doctor.case import Case
from poise.doctor.finding import Severity
from poise.doctor.needs import missing
from tests.doctor.healthy import HEALTHY
from tests.doctor.rules_of import all_rules

SEEDS = range(6)


@pytest.mark.parametrize("name", sorted(HEALTHY))
def test_healthy_training_raises_no_alarm(name: str) -> None:
    """Notes are allowed; an alarm on a healthy training is worse than a miss."""
    alarms: list[str] = []
    for seed in SEEDS:
        case = Case(HEALTHY[name](np.random.default_rng(seed)))
        for rule in all_rules():
            if not missing(case, rule.needs):
                found = (one for one in rule.check(case) if one.severity is not Severity.NOTE)
                alarms += [f"seed {seed}: {one.rule}: {one.summary}" for one in found]
    assert not alarms
