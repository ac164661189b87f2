"""What holds for every rule, whatever it looks at."""

import inspect
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from poise.doctor import Fault, Finding, Need, Rule, diagnose
from poise.doctor.case import Case
from poise.doctor.needs import HAS, missing
from poise.doctor.rules import RULES
from poise.run import Kind, Run, Series, Table

rules = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


def run_of(values: dict[str, list[float]], kind: Kind = Kind.TERM) -> Run:
    """A run with one table and no total."""
    size = max(map(len, values.values()), default=0)
    rows = np.arange(size)
    series = {
        name: Series(name=name, kind=kind, rows=rows[: len(column)], values=np.array(column))
        for name, column in values.items()
    }
    table = Table(
        split="train",
        grain="step",
        steps=np.arange(size),
        step_name="step",
        segments=np.zeros(size, dtype=np.int64),
        series=series,
    )
    return Run(path=Path("made"), format="made", tables=(table,))


def test_names_are_unique() -> None:
    """A name means one rule."""
    assert [name for name, count in Counter(r.name for r in RULES).items() if count > 1] == []


@rules
def test_declaration(rule: Rule) -> None:
    """Names are kebab-case, faults come from the list, needs from the vocabulary."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert isinstance(rule.fault, Fault)
    assert rule.needs
    assert rule.needs <= frozenset(Need)


@rules
def test_docstring_explains(rule: Rule) -> None:
    """`poise explain` has something to say: a symptom, a threshold and healthy look-alikes."""
    text = inspect.getdoc(type(rule)) or ""
    first = text.splitlines()[0]
    assert first.endswith(".")
    assert len(text.splitlines()) >= 4
    assert "healthy" in text.lower() or "look-alike" in text.lower() or "expected" in text.lower()


DEGENERATE: dict[str, dict[str, list[float]]] = {
    "one record": {"a": [1.0], "b": [2.0]},
    "non-finite": {"a": [np.nan] * 30, "b": [np.inf] * 30},
    "zero": {"a": [0.0] * 30, "b": [-0.0] * 30},
    "huge": {"a": [1e300, -1e300] * 15, "b": [1e-300] * 30},
    "empty series": {"a": [1.0] * 30, "b": []},
    "one term": {"a": list(np.random.default_rng(0).normal(size=500))},
    "100 terms": {f"t{k}": list(np.random.default_rng(k).normal(size=25)) for k in range(100)},
}


@rules
@pytest.mark.parametrize("kind", [Kind.TERM, Kind.TOTAL, Kind.LEARNING_RATE, Kind.STATISTIC])
def test_survives(rule: Rule, kind: Kind) -> None:
    """No rule fails on degenerate numbers; what it yields is a complete finding."""
    for values in DEGENERATE.values():
        case = Case(run_of(values, kind))
        if not missing(case, rule.needs):
            for finding in rule.check(case):
                assert_complete(finding, rule)


def assert_complete(finding: Finding, rule: Rule) -> None:
    """A finding names its rule, quotes evidence and says what to do and how to verify it."""
    assert (finding.rule, finding.fault) == (rule.name, rule.fault)
    assert finding.evidence
    assert all((finding.summary, finding.cause, finding.action, finding.verify))
    assert finding.steps[0] <= finding.steps[1]
    assert "\n" not in finding.summary
    assert all(re.search(r"\d", one.text) for one in finding.evidence if one.series)


def test_every_need_can_be_checked() -> None:
    """The table of needs covers the vocabulary, so no rule runs without its data."""
    assert set(HAS) == set(Need)


def test_missing_data_is_not_checked_never_passed() -> None:
    """A run that logs next to nothing passes nearly nothing, and says what each rule needs."""
    outcome = diagnose(run_of({"acc": [0.5]}, Kind.STATISTIC))
    names = {one.rule for one in outcome.not_checked}
    assert names.isdisjoint(outcome.passed)
    assert names | set(outcome.passed) | {one.rule for one in outcome.findings} == {
        rule.name for rule in RULES
    }
    assert all(one.needs for one in outcome.not_checked)
    for rule in RULES:
        if Need.TERM in rule.needs or Need.TERMS in rule.needs:
            assert rule.name in names
