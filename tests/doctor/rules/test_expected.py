"""Ranges that an author declares, kept and broken."""

import math

import numpy as np
import pytest

import poise
from poise.doctor.diagnose import diagnose
from poise.doctor.finding import Fault, Finding, Severity
from poise.doctor.rules.expected import CAUSES, EXPECTATIONS
from poise.record import Expect
from poise.report.json import diagnosis_to_json
from tests.doctor.build import make_run
from tests.doctor.rules_of import all_rules

N = 200
TIME = np.arange(N)
NOISE = np.random.default_rng(0).normal(size=N)
TERM = 2.0 + 2.0 * np.exp(-TIME / 60) + 0.02 * NOISE


def broken(values: np.ndarray, expect: Expect, **declared: object) -> list[Finding]:
    """Findings about a declared range of a statistic beside one healthy term."""
    run = make_run(
        {"ce": TERM},
        statistics={"layerwise": values},
        declared={"expect": [expect.as_record()], **declared},
    )
    return [one for one in diagnose(run).findings if one.rule in EXPECTATIONS]


LOW = Expect("layerwise", below=1.0, after=0.2)
HIGH = Expect("layerwise", above=0.5, after=0.2)
STAYS = 3.0 + 0.1 * NOISE
RISES = np.where(TIME < 140, 0.5, 30.0) + 0.1 * NOISE
FALLS = np.where(TIME < 30, 0.9, 0.05) + 0.02 * NOISE


@pytest.mark.parametrize(
    ("values", "expect", "rule", "fault"),
    [
        (STAYS, LOW, "expectation-broken", Fault.STUCK),
        (-STAYS, HIGH, "expectation-broken", Fault.STUCK),
        (np.where(TIME < 150, 3.0, 0.5), LOW, "expectation-broken", Fault.STUCK),
        (RISES, LOW, "expectation-broken-upward", Fault.EXPLOSION),
        (FALLS, HIGH, "expectation-broken-downward", Fault.COLLAPSE),
        (np.full(N, 1.0), LOW, "expectation-broken", Fault.STUCK),
        (np.where(TIME < 100, 0.5, np.inf), LOW, "expectation-broken-upward", Fault.EXPLOSION),
    ],
    ids=["above", "below", "late", "left upward", "left downward", "at the bound", "infinite"],
)
def test_broken(values: np.ndarray, expect: Expect, rule: str, fault: Fault) -> None:
    """One warning that quotes the range, the median and where, with the fault that fits."""
    (found,) = broken(values, expect)
    assert (found.rule, found.fault, found.severity) == (rule, fault, Severity.WARNING)
    assert str(expect) in found.summary
    assert (
        found.evidence[0].threshold == expect.below or found.evidence[0].threshold == expect.above
    )
    assert found.steps[0] >= 40


@pytest.mark.parametrize(
    ("values", "expect"),
    [
        (np.where(TIME < 40, 9.0, 0.5), LOW),
        (np.where((TIME > 60) & (TIME % 3 == 0), 50.0, 0.5), LOW),
        (np.where(TIME == N - 1, 1e6, 0.5), LOW),
        (np.where(TIME >= N - 5, 9.0, 0.5), LOW),
        (0.97 + 0.2 * NOISE, LOW),
        (STAYS, Expect("layerwise", above=1.0, below=5.0)),
        (RISES, Expect("layerwise", below=1.0, until=0.6)),
        (FALLS, Expect("layerwise", above=0.5, until=0.15)),
        (np.nextafter(np.ones(N), 0), LOW),
    ],
    ids=["transient", "spikes", "last", "end", "noise", "between", "until", "start", "just below"],
)
def test_kept(values: np.ndarray, expect: Expect) -> None:
    """Single steps, noise about the bound and what lies outside of the part break nothing."""
    assert broken(values, expect) == []


def test_leaving_late_is_told_although_the_median_keeps() -> None:
    """The last fifth counts for itself, with where it was before and how far it went."""
    (found,) = broken(RISES, LOW)
    assert found.summary.startswith("'layerwise' ends at 29.99")
    assert found.steps == (168, 199)
    assert "60 of 160 values lie outside; the farthest is" in found.evidence[1].text
    assert "it is in the range before: median 0.5" in found.evidence[2].text


def test_late_arrival_is_told() -> None:
    """The expectation was for an earlier time, and the finding says that it came in after all."""
    (found,) = broken(np.where(TIME < 150, 3.0, 0.5), LOW)
    assert "it is in the range at the end: median 0.5" in found.evidence[-1].text


def test_shares_of_declared_steps() -> None:
    """After 20% of 2000 declared steps nothing is recorded yet: it is not checked, not broken."""
    assert broken(STAYS, LOW, total_steps=2000) == []
    assert "of the declared steps" in broken(STAYS, LOW, total_steps=400)[0].evidence[0].text


def test_few_evaluations() -> None:
    """Three evaluations are judged by their median; one that is late is judged by itself."""
    for accuracy, count in (([0.1, 0.2, 0.3], 1), ([0.1, 0.7, 0.6], 0)):
        run = make_run({"ce": TERM}, eval_statistics={"accuracy": np.array(accuracy)})
        found = diagnose(run, expect=["val:accuracy>0.5"]).findings
        assert sum(one.rule in EXPECTATIONS for one in found) == count
    last = diagnose(run, expect=["val:accuracy>0.65@0.9"]).findings
    assert [one.evidence[0].value for one in last if one.rule in EXPECTATIONS] == [0.6]


def test_causes_stand_first() -> None:
    """A jump explains the number that left its range: it is linked and stands before it."""
    jumps = np.where(TIME < 100, 0.0, 30.0) + TERM
    run = make_run({"ce": jumps}, declared={"expect": [Expect("ce", below=5.0).as_record()]})
    found = diagnose(run).findings
    (one,) = [one for one in found if one.rule in EXPECTATIONS]
    assert found.index(one) > 0
    assert "total-jump" in one.caused_by


def test_causes_exist() -> None:
    """A misspelt cause would silently never be linked."""
    assert {*CAUSES} <= {one.name for one in all_rules()}


def test_infinite_evidence_is_reported() -> None:
    """The machine-readable report can spell it."""
    run = make_run({"ce": TERM}, statistics={"x": np.full(N, math.inf)})
    found = diagnosis_to_json(poise.diagnose(run, expect=["x<1"]))
    assert any(one["rule"] in EXPECTATIONS for one in found["findings"])  # type: ignore[index]
