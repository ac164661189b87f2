"""A finding that somebody has read and accepts, and when its evidence has grown past that."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from poise.doctor.finding import Evidence, Finding, Severity

FACTOR = 2.0
"""Evidence has grown when it is this many times as bad as it was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What was accepted: one finding with its numbers, and why.

    Attributes:
        rule: Name of the rule.
        terms: The terms, or other quantities, the finding was about.
        severity: How severe it was.
        why: The reason, one line.
        when: The day.
        series: Name of the quantity that was measured; empty if nothing was held to a threshold.
        value: What was measured; None without such a fact.
        threshold: What it was compared with.
        file: The file it is kept in.
    """

    rule: str
    terms: tuple[str, ...]
    severity: Severity
    why: str
    when: date
    series: str = ""
    value: float | None = None
    threshold: float | None = None
    file: Path | None = None

    @property
    def limit(self) -> float | None:
        """The value beyond which the finding is reported again; None if no number decides."""
        if self.value is None or self.threshold is None:
            return None
        return limit(self.value, self.threshold)

    def grown(self, finding: Finding) -> str:
        """In which way a finding is more than what was accepted; empty if it is not."""
        if new := [one for one in finding.terms if one not in self.terms]:
            return f"it is about {', '.join(map(repr, new))} too"
        if finding.severity.rank < self.severity.rank:
            return f"it is of severity {finding.severity.value}, no longer {self.severity.value}"
        if self.value is None or self.threshold is None:
            return ""
        facts = [one for one in finding.evidence if one.threshold is not None]
        fact = next((one for one in facts if one.series == self.series), None)
        if fact is None:
            shown = ", ".join(dict.fromkeys(one.series for one in facts)) or "no number"
            return f"it was accepted by {self.series}, and is shown by {shown} now"
        if not beyond(fact.value, self.value, self.threshold):
            return ""
        told = f"{self.series}: {_number(fact.value)}, accepted at {_number(self.value)}"
        return f"{told}, up to {_number(limit(self.value, self.threshold))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A finding that an acknowledgement covers."""

    finding: Finding
    acknowledgement: Acknowledgement


def main_fact(finding: Finding) -> Evidence | None:
    """The strongest fact that was held to a threshold: what growth is measured on."""
    return next((one for one in finding.evidence if one.threshold is not None), None)


def limit(value: float, threshold: float) -> float:
    """How far a value may go in the direction in which it had passed its threshold.

    Twice its size where larger is worse, half where smaller is. Between -1 and 1, where shares and
    cosines live, also no further than half the way that is left to 1 (or -1). From 0: as far again
    as it is from the threshold.

    Example:
        >>> limit(30.0, 10.0), limit(0.004, 0.02), limit(0.9, 0.8), limit(-0.6, -0.5)
        (60.0, 0.002, 0.95, -0.8)
    """
    sign = 1.0 if value >= threshold else -1.0
    if value == 0:
        return value - threshold
    if value * sign < 0:
        return value / FACTOR
    if max(abs(value), abs(threshold)) < 1:
        rest = 1 - (1 - abs(value)) / FACTOR
        return sign * min(FACTOR * abs(value), rest)
    return FACTOR * value


def beyond(value: float, accepted: float, threshold: float) -> bool:
    """Whether a value is worse than what was accepted allows.

    Example:
        >>> beyond(0.94, 0.9, 0.8), beyond(0.96, 0.9, 0.8), beyond(float("nan"), 0.9, 0.8)
        (False, True, True)
    """
    if not math.isfinite(accepted):
        return False
    if math.isnan(value):
        return True
    end = limit(accepted, threshold)
    return value > end if accepted >= threshold else value < end


def sort_out(
    findings: Iterable[Finding], accepted: Iterable[Acknowledgement]
) -> tuple[list[Finding], list[Accepted]]:
    """Findings still to be reported, and those that an acknowledgement covers.

    One that has grown past every acknowledgement of its rule and terms is reported with a first
    fact that says so.
    """
    known = tuple(accepted)
    left: list[Finding] = []
    covered: list[Accepted] = []
    for finding in findings:
        candidates = [one for one in known if _concerns(one, finding)]
        reasons = [(one, one.grown(finding)) for one in candidates]
        cover = next((one for one, reason in reasons if not reason), None)
        if cover is not None:
            covered.append(Accepted(finding=finding, acknowledgement=cover))
        else:
            left.append(_again(finding, *reasons[0]) if reasons else finding)
    return left, covered


def _concerns(one: Acknowledgement, finding: Finding) -> bool:
    if one.rule != finding.rule:
        return False
    return bool({*one.terms} & {*finding.terms}) or not one.terms


def _again(finding: Finding, one: Acknowledgement, reason: str) -> Finding:
    fact = main_fact(finding) or finding.evidence[0]
    told = Evidence(
        text=f"accepted on {one.when} ({one.why}), and grown since: {reason}",
        series=fact.series,
        steps=fact.steps,
        value=fact.value,
        threshold=one.limit,
    )
    return replace(finding, evidence=(told, *finding.evidence))


def _number(value: float) -> str:
    return f"{value:.4g}"
