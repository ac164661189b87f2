"""The value rules on real logs, against what careful reading of their numbers shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.doctor.case import Case
from poise.doctor.finding import Finding, Severity
from poise.doctor.needs import missing
from poise.doctor.rule import Rule
from poise.doctor.rules.collapse import StatisticCollapse, UncertaintyCollapse
from poise.doctor.rules.conflict import RisesWhileOthersFall
from poise.doctor.rules.dominance import ValueDominance
from poise.doctor.rules.explosion import GradientGrowth, LateDegradation, Spike
from poise.doctor.rules.jump import TermJump, TermSwitches, TotalJump
from poise.doctor.rules.out_of_scale import OutOfScale
from poise.doctor.rules.scale_with_length import ScalesWithLength
from poise.doctor.rules.starvation import ValueStarvation
from poise.doctor.rules.stuck import LongPlateau, Plateau, StuckAtLogK
from poise.doctor.rules.unbounded import DrivenDown, RunawayValues
from poise.read import read_run

RULES: tuple[Rule, ...] = (
    StatisticCollapse(),
    UncertaintyCollapse(),
    RisesWhileOthersFall(),
    ValueDominance(),
    GradientGrowth(),
    LateDegradation(),
    OutOfScale(),
    Spike(),
    TermJump(),
    TermSwitches(),
    TotalJump(),
    ScalesWithLength(),
    ValueStarvation(),
    LongPlateau(),
    Plateau(),
    StuckAtLogK(),
    DrivenDown(),
    RunawayValues(),
)

SICK = (
    ("08", "value-starvation", "loss_mgm_entropy"),
    ("12", "late-degradation", "mean_loss"),
    ("13", "value-dominance", "initial_phi_port_port1_loss"),
    ("14", "statistic-collapse", "code_perplexity"),
    ("14", "rises-while-others-fall", "loss_1"),
    ("17", "rises-while-others-fall", "box_loss"),
    ("18", "stuck-at-log-k", "global_loss"),
    ("23", "late-degradation", "loss_recon"),
    ("25", "value-out-of-scale", "sac/critic_loss"),
    ("29", "value-estimates-run-away", "loss_critic"),
    ("30", "plateau-while-others-move", "loss_simple"),
    ("31", "value-dominance", "ctc loss"),
    ("36", "term-switches-on-and-off", "dro_sat_loss_log"),
    ("46", "value-starvation", "grasp loss"),
)
"""Log, rule and term that must be named at warning or above."""

HEALTHY = ("01", "03", "04", "05", "06", "11", "15", "20", "22", "26", "32", "33", "38", "49", "60")
"""Logs in which no rule about values may warn."""


def findings(path: Path) -> list[Finding]:
    """What the value rules find in one log."""
    case = Case(read_run(path))
    able = [rule for rule in RULES if not missing(case, rule.needs)]
    return [one for rule in able for one in rule.check(case)]


@pytest.mark.parametrize(("log", "rule", "term"), SICK)
def test_visible_faults_are_named(
    corpus: Callable[[str], Path], log: str, rule: str, term: str
) -> None:
    """The fault comes at warning or above, with its term."""
    found = [one for one in findings(corpus(f"{log}_")) if one.severity is not Severity.NOTE]
    assert any(one.rule == rule and term in one.terms for one in found)


@pytest.mark.parametrize("log", HEALTHY)
def test_healthy_logs_raise_no_alarm(corpus: Callable[[str], Path], log: str) -> None:
    """Notes are allowed."""
    found = [one for one in findings(corpus(f"{log}_")) if one.severity is not Severity.NOTE]
    assert not [one.summary for one in found]
