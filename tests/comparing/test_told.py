"""Findings that are gone, new and kept."""

from dataclasses import replace

import numpy as np

from poise.comparing.told import kept, missing_from
from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from tests.comparing.build import plain, table


def finding(rule: str, *terms: str) -> Finding:
    """A finding of a rule about terms."""
    evidence = Evidence(text="seen", series="a", steps=(0, 1), value=1.0)
    return Finding(
        rule=rule, fault=Fault.STUCK, severity=Severity.WARNING, terms=terms, steps=(0, 1),
        summary="", evidence=(evidence,), cause="", action="", verify="",
    )  # fmt: skip


def told(*findings: Finding) -> Diagnosis:
    """A diagnosis with these findings."""
    return replace(plain(table({"a": np.ones(3)})), findings=findings)


def test_the_same_rule_about_other_terms_is_another_finding() -> None:
    """The order of the terms does not matter."""
    before, after = (
        [told(finding("r", "a", "b"))],
        [told(finding("r", "b", "a"), finding("r", "c"))],
    )
    assert missing_from(before, after) == ()
    assert [one.terms for one in missing_from(after, before)] == [("c",)]
    assert [one.terms for one in kept(before, after)] == [("b", "a")]


def test_of_several_seeds_most_must_have_it() -> None:
    """One of three is chance; two of three are not, and one on the other side is enough to keep."""
    one, none = told(finding("r", "a")), told()
    assert missing_from([one, none, none], [none]) == ()
    assert len(missing_from([one, one, none], [none])) == 1
    assert missing_from([one, one, none], [none, one]) == ()
