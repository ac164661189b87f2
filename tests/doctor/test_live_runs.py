"""Real trainings under a watch: faults are found within 20 batches, healthy runs stay quiet."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.doctor.diagnose import diagnose
from poise.doctor.finding import Fault, Finding, Severity
from tests.doctor.live_runs import FAULTY, HEALTHY, never_steps, zero_rate
from tests.doctor.rules_of import all_rules

SEEDS = pytest.mark.parametrize("seed", range(3))


def findings(run: Path) -> tuple[Finding, ...]:
    """What all rules find, those included that the catalogue does not list yet."""
    return diagnose(run, rules=all_rules()).findings


@SEEDS
def test_an_accumulation_that_counts_twice(tmp_path: Path, seed: int) -> None:
    """The optimizer never steps: the first finding within 20 batches."""
    never_steps(tmp_path / "run", seed)
    first = findings(tmp_path / "run")[0]
    assert first.rule == "optimizer-never-steps"
    assert first.fault is Fault.FROZEN
    assert first.severity in (Severity.ERROR, Severity.WARNING)


@SEEDS
def test_a_learning_rate_of_exactly_zero(tmp_path: Path, seed: int) -> None:
    """A warm-up that is never stepped: an error within 20 batches, motion confirming it."""
    zero_rate(tmp_path / "run", seed)
    found = findings(tmp_path / "run")
    assert (found[0].severity, found[0].fault) == (Severity.ERROR, Fault.FROZEN)
    rules = {one.rule: one for one in found}
    assert "lr-zero" in rules
    assert rules["parameters-still"].caused_by == ("lr-zero",)


@SEEDS
@pytest.mark.parametrize("train", HEALTHY, ids=lambda one: one.__name__)
def test_healthy_designs_are_quiet(
    tmp_path: Path, seed: int, train: Callable[[Path, int], None]
) -> None:
    """No error and no warning."""
    train(tmp_path / "run", seed)
    loud = [one for one in findings(tmp_path / "run") if one.severity is not Severity.NOTE]
    assert not [f"{one.rule}: {one.summary}" for one in loud]


@pytest.mark.parametrize("rule", list(FAULTY))
def test_live_faults_are_found(tmp_path: Path, rule: str) -> None:
    """What a real watch records is what the rule asks for; nothing else is worse."""
    FAULTY[rule](tmp_path / "run", 0)
    found = {one.rule: one for one in findings(tmp_path / "run")}
    assert rule in found
    assert found[rule].severity is not Severity.NOTE
