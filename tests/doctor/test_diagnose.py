"""Ranking, cause links and what could not be checked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from poise.doctor import Evidence, Fault, Finding, Need, Severity, diagnose
from poise.doctor.case import Case
from poise.doctor.diagnose import _linked
from tests.contracts.test_rules import run_of

BASE = Finding(
    rule="made",
    fault=Fault.STUCK,
    severity=Severity.WARNING,
    terms=("a",),
    steps=(0, 9),
    summary="a does not move",
    evidence=(Evidence(text="0 of 9", series="a", steps=(0, 9), value=0.0, threshold=1.0),),
    cause="made up",
    action="nothing",
    verify="nothing",
)


@dataclass(frozen=True)
class Made:
    """A rule that yields what it is told."""

    findings: tuple[Finding, ...]
    name: str = "made"
    fault: Fault = Fault.STUCK
    needs: frozenset[Need] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """The findings it was made with."""
        return self.findings


RUN = run_of({"a": [1.0] * 30})


def test_worst_first_then_cause_first() -> None:
    """An error outranks a warning; within one severity, what causes comes before what it causes."""
    stuck = BASE
    jump = replace(BASE, fault=Fault.JUMP, steps=(5, 5))
    late = replace(BASE, fault=Fault.JUMP, steps=(8, 8))
    nan = replace(BASE, fault=Fault.NONFINITE)
    error = replace(BASE, fault=Fault.RECORD, severity=Severity.ERROR)
    outcome = diagnose(RUN, rules=[Made((stuck, late, jump, error, nan))])
    assert list(outcome.findings) == [error, nan, jump, late, stuck]
    assert outcome.worst is Severity.ERROR


def test_what_is_explained_stands_behind_its_cause() -> None:
    """An explosion that a jump explains comes after it, and one that nothing explains before."""
    jump = replace(BASE, rule="gradient-jump", fault=Fault.JUMP)
    growth = replace(BASE, rule="growth", fault=Fault.EXPLOSION, terms=("grad_norm",))
    explained = replace(growth, caused_by=("gradient-jump",))
    for one, expected in ((growth, [growth, jump]), (explained, [jump, explained])):
        outcome = diagnose(RUN, rules=[Made((one,)), Made((jump,))])
        assert list(outcome.findings) == expected


def test_links_to_absent_causes_are_dropped() -> None:
    """A finding keeps as its causes only findings that are there, and never itself."""
    effect = replace(BASE, caused_by=("other", "absent", "made"))
    other = replace(BASE, rule="other", fault=Fault.DOMINANCE)
    outcome = diagnose(RUN, rules=[Made((effect,)), Made((other,), name="other")])
    assert [one.caused_by for one in outcome.findings] == [(), ("other",)]


@pytest.mark.parametrize("need", list(Need))
def test_a_rule_without_its_data_is_not_checked(need: Need) -> None:
    """A rule runs exactly if the run has what it needs."""
    rule = Made((), needs=frozenset({need}))
    outcome = diagnose(RUN, rules=[rule])
    met = need in {Need.LOSS, Need.TERM, Need.HISTORY, Need.RECORDS}
    assert (outcome.passed == ("made",)) is met
    assert [one.needs for one in outcome.not_checked] == ([] if met else [(str(need),)])


def test_plain_text_names_the_finding_and_the_action() -> None:
    """Printing a diagnosis shows severity, fault, rule, summary and action."""
    text = str(diagnose(RUN, rules=[Made((BASE,))]))
    assert "WARNING stuck [made]: a does not move\n  do: nothing" in text


def test_a_fault_of_one_term_does_not_explain_another_term() -> None:
    """A starved term explains its own plateau only, and a note never explains a warning."""

    def made(rule: str, fault: Fault, term: str) -> Finding:
        return replace(BASE, rule=rule, fault=fault, terms=(term,), caused_by=("cause",))

    cause = made("cause", Fault.STARVATION, "a")
    own = made("own", Fault.STUCK, "a")
    other = made("other", Fault.STUCK, "b")
    linked = _linked([cause, own, other], run_of({"a": [1.0], "b": [1.0]}))
    assert [one.caused_by for one in linked] == [(), ("cause",), ()]
    mild = replace(cause, severity=Severity.NOTE)
    assert _linked([mild, own], run_of({"a": [1.0]}))[1].caused_by == ()


def test_a_term_without_gradient_explains_itself_and_parameters_only() -> None:
    """Another term's plateau has another cause; parameters of its head have this one."""
    cause = replace(BASE, rule="term-reaches-nothing", terms=("a",), severity=Severity.ERROR)
    same = replace(BASE, caused_by=(cause.rule,))
    other = replace(same, rule="other", terms=("b",))
    head = replace(same, rule="head", terms=("b_head",))
    run = run_of({"a": [1.0] * 30, "b": [1.0] * 30})
    given = [Made((one,), name=one.rule) for one in (cause, same, other, head)]
    found = {one.rule: one.caused_by for one in diagnose(run, rules=given).findings}
    linked = (cause.rule,)
    assert (found[same.rule], found["other"], found["head"]) == (linked, (), linked)
