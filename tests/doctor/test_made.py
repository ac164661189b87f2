"""Faults that must be named and look-alikes that must not alarm, read from made-up logs."""

from pathlib import Path

import pytest

from tests.doctor.made.faults import FAULTS
from tests.doctor.made.fields import FIELDS
from tests.doctor.made.judge import alarms, named
from tests.doctor.made.log import examine
from tests.doctor.made.lookalikes import HEALTHY

SEEDS = range(3)
"""A few; `python -m tests.doctor.made 50` is the long run."""


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_is_named(name: str, tmp_path: Path) -> None:
    """Two of three: noise may hide a fault once, as it does in a real log."""
    seeded = FAULTS[name]
    hits = [named(seeded, examine(seeded.made, seed, tmp_path)) for seed in SEEDS]
    assert sum(hits) >= 2


LOOKALIKES = {**HEALTHY, **FIELDS}


@pytest.mark.parametrize("name", sorted(LOOKALIKES))
def test_lookalike_raises_no_alarm(name: str, tmp_path: Path) -> None:
    """A healthy training gets notes at most, whatever its seed."""
    found = [
        f"seed {seed}: {one.rule}: {one.summary}"
        for seed in SEEDS
        for one in alarms(examine(LOOKALIKES[name], seed, tmp_path))
    ]
    assert not found
