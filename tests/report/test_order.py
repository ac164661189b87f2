"""Causes come first, and every finding is shown once."""

from hypothesis import given
from hypothesis import strategies as st

from poise.doctor.finding import Severity
from poise.report.order import grouped
from tests.report.builders import finding, sick

RULES = ("a", "b", "c", "d")


def test_symptoms_fold_under_the_first_cause() -> None:
    """A chain of causes folds under the one that nothing explains."""
    groups = grouped(sick().findings)
    assert [one.cause.rule for one in groups] == ["first-nonfinite", "term-jump", "restart"]
    assert [one.rule for one in groups[1].symptoms] == ["explosion", "value-dominance"]


def test_an_absent_cause_folds_nothing() -> None:
    """A cause that was not found in this run hides no finding."""
    groups = grouped((finding("a", caused_by=("elsewhere",)),))
    assert [one.cause.rule for one in groups] == ["a"]


def test_of_two_causes_the_one_about_the_same_term_wins() -> None:
    """Two findings of the causing rule: the symptom goes to its own term."""
    findings = (
        finding("cause", terms=("x",)),
        finding("cause", terms=("y",)),
        finding("symptom", terms=("y",), caused_by=("cause",)),
    )
    groups = grouped(findings)
    assert [len(one.symptoms) for one in groups] == [0, 1]


def test_a_note_that_explains_an_error_comes_first() -> None:
    """A group ranks by its worst member."""
    findings = (
        finding("worse", severity=Severity.ERROR, caused_by=("note",)),
        finding("warning"),
        finding("note", severity=Severity.NOTE),
    )
    assert [one.cause.rule for one in grouped(findings)] == ["note", "warning"]


@given(
    st.lists(
        st.tuples(st.sampled_from(RULES), st.lists(st.sampled_from(RULES), max_size=3)), max_size=8
    )
)
def test_every_finding_is_shown_exactly_once(links: list[tuple[str, list[str]]]) -> None:
    """Whatever names whatever as its cause, in circles too, nothing is lost or doubled."""
    findings = tuple(
        finding(rule, caused_by=tuple(causes), summary=str(index))
        for index, (rule, causes) in enumerate(links)
    )
    shown = [one for group in grouped(findings) for one in (group.cause, *group.symptoms)]
    assert sorted(one.summary for one in shown) == sorted(one.summary for one in findings)
