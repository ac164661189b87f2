"""When an accepted finding is covered, and when it has grown."""

import math
from dataclasses import replace
from datetime import date

import pytest

from poise.doctor.acknowledgement import Acknowledgement, beyond, limit, sort_out
from poise.doctor.finding import Evidence, Fault, Finding, Severity


def fact(value: float, threshold: float | None = 0.8, series: str = "share") -> Evidence:
    """A measured fact."""
    return Evidence(text="it is so", series=series, steps=(0, 9), value=value, threshold=threshold)


def finding(*facts: Evidence, terms: tuple[str, ...] = ("a", "b")) -> Finding:
    """A warning about two terms."""
    return Finding(
        rule="value-dominance",
        fault=Fault.DOMINANCE,
        severity=Severity.WARNING,
        terms=terms,
        steps=(0, 9),
        summary="'a' is large",
        evidence=facts or (fact(0.9),),
        cause="it is so.",
        action="change it.",
        verify="poise read RUN",
    )


ACCEPTED = Acknowledgement(
    rule="value-dominance",
    terms=("a", "b"),
    severity=Severity.WARNING,
    why="planned",
    when=date(2026, 11, 29),
    series="share",
    value=0.9,
    threshold=0.8,
)


@pytest.mark.parametrize(
    ("value", "threshold", "expected"),
    [
        (30.0, 10.0, 60.0),  # larger is worse: twice
        (0.004, 0.02, 0.002),  # smaller is worse: half
        (0.9, 0.8, 0.95),  # a share: half of what is left to 1
        (0.1, 0.05, 0.2),  # a small share: twice, which is nearer
        (-0.6, -0.5, -0.8),  # a cosine: half of what is left to -1
        (-3.0, -1.0, -6.0),
        (0.0, 0.02, -0.02),  # a share of 0 cannot be less
        (0.0, 0.0, 0.0),
        (-4.0, -8.0, -2.0),  # towards 0 and beyond
    ],
)
def test_limit(value: float, threshold: float, expected: float) -> None:
    """Twice as bad, whichever way the value had passed its threshold."""
    assert limit(value, threshold) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "accepted", "threshold", "grown"),
    [
        (0.94, 0.9, 0.8, False),
        (0.951, 0.9, 0.8, True),
        (0.5, 0.9, 0.8, False),  # better is never growth
        (0.003, 0.004, 0.02, False),
        (0.001, 0.004, 0.02, True),
        (0.5, 0.004, 0.02, False),
        (0.0, 0.0, 0.02, False),
        (math.nan, 0.9, 0.8, True),
        (math.inf, 30.0, 10.0, True),
        (5.0, math.nan, 10.0, False),  # nothing can be worse than what was no number
        (math.inf, math.inf, 10.0, False),
    ],
)
def test_beyond(value: float, accepted: float, threshold: float, grown: bool) -> None:
    """Only the direction of the fault counts, and only past the limit."""
    assert beyond(value, accepted, threshold) is grown


def test_the_same_finding_is_covered() -> None:
    """What was accepted is moved out of the findings, unchanged and with its reason."""
    one = finding(fact(0.93))
    left, covered = sort_out([one], [ACCEPTED])
    assert left == []
    assert [(each.finding, each.acknowledgement) for each in covered] == [(one, ACCEPTED)]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (finding(fact(0.96)), "share: 0.96, accepted at 0.9, up to 0.95"),
        (finding(terms=("a", "c")), "it is about 'c' too"),
        (
            replace(finding(), severity=Severity.ERROR),
            "it is of severity error, no longer warning",
        ),
    ],
)
def test_what_has_grown_is_reported_again(one: Finding, reason: str) -> None:
    """A worse number, a new term or a higher severity brings a finding back, and says why."""
    left, covered = sort_out([one], [ACCEPTED])
    assert covered == []
    told = f"accepted on 2026-11-29 (planned), and grown since: {reason}"
    assert [each.text for each in left[0].evidence] == [told, "it is so"]


def test_fewer_terms_and_a_lower_severity_stay_covered() -> None:
    """A finding that got milder is still the accepted one."""
    mild = replace(finding(terms=("b",)), severity=Severity.NOTE)
    assert sort_out([mild], [ACCEPTED])[0] == []


def test_other_findings_are_left_alone() -> None:
    """Another rule, or other terms of the same rule, are no business of an acknowledgement."""
    others = [replace(finding(), rule="value-starvation"), finding(terms=("c",))]
    assert sort_out(others, [ACCEPTED]) == (others, [])


def test_one_of_several_covers() -> None:
    """An acknowledgement that was outgrown does not stand in the way of a later one."""
    later = replace(ACCEPTED, value=0.97)
    assert sort_out([finding(fact(0.98))], [ACCEPTED, later])[0] == []


def test_growth_is_measured_on_the_same_quantity() -> None:
    """Facts are told apart by their series; without a threshold no number decides."""
    one = finding(fact(0.99, series="other"), fact(0.91))
    assert sort_out([one], [ACCEPTED])[0] == []
    without = replace(ACCEPTED, series="", value=None, threshold=None)
    assert without.limit is None
    assert sort_out([finding(fact(0.999))], [without])[0] == []


def test_a_finding_without_terms() -> None:
    """Findings about the whole run are matched by their rule."""
    whole = replace(ACCEPTED, terms=())
    assert sort_out([finding(terms=())], [whole])[0] == []
    assert "it is about 'a', 'b' too" in sort_out([finding()], [whole])[0][0].evidence[0].text


def test_a_finding_about_no_term_is_not_covered_by_one_about_a_term() -> None:
    """Another finding of the same rule: it is reported as it is."""
    whole = finding(terms=())
    left, covered = sort_out([finding(), whole], [ACCEPTED])
    assert left == [whole]
    assert [one.finding for one in covered] == [finding()]


@pytest.mark.parametrize(
    "facts",
    [
        (fact(9.0, 1.0, "other"),),
        (fact(0.9, None), fact(9.0, 1.0, "other")),
    ],
    ids=["gone", "only mentioned"],
)
def test_a_finding_shown_by_other_numbers_is_reported_again(facts: tuple[Evidence, ...]) -> None:
    """What was accepted says nothing about them."""
    (again,), covered = sort_out([finding(*facts)], [ACCEPTED])
    assert not covered
    assert "is shown by other now" in again.evidence[0].text


def test_the_fact_with_a_threshold_decides() -> None:
    """The same series may be mentioned before, without one."""
    (again,), _ = sort_out([finding(fact(0.1, None), fact(0.99))], [ACCEPTED])
    assert "grown since" in again.evidence[0].text
