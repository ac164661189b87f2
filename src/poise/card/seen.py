"""What one probe of a loss function saw."""

from collections.abc import Sequence
from dataclasses import dataclass

from poise.doctor.card import Curve, Fact, Slope
from poise.doctor.finding import Evidence, Fault, Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Findings, facts, curves and slopes; `needs` says why the probe could not run."""

    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    curves: tuple[Curve, ...] = ()
    slopes: tuple[Slope, ...] = ()
    needs: tuple[str, ...] = ()


def seen(
    findings: Sequence[Finding | None] = (),
    facts: Sequence[Fact | None] = (),
    curves: Sequence[Curve] = (),
    slopes: Sequence[Slope] = (),
) -> Seen:
    """As `Seen`, leaving out what is None."""
    return Seen(
        findings=tuple(one for one in findings if one is not None),
        facts=tuple(one for one in facts if one is not None),
        curves=tuple(curves),
        slopes=tuple(slopes),
    )


def number(what: str, series: str, value: float, threshold: float | None = None) -> Evidence:
    """One measured fact; a card has no steps, so they are (0, 0).

    Example:
        >>> number("the gradient is 0", "gradient", 0.0).steps
        (0, 0)
    """
    return Evidence(text=what, series=series, steps=(0, 0), value=value, threshold=threshold)


def finding(
    rule: str,
    fault: Fault,
    severity: Severity,
    term: str,
    summary: str,
    evidence: Sequence[Evidence],
    *,
    cause: str,
    action: str,
    verify: str,
) -> Finding:
    """A finding about a loss function, which has one term and no steps."""
    return Finding(
        rule=rule,
        fault=fault,
        severity=severity,
        terms=(term,),
        steps=(0, 0),
        summary=summary,
        evidence=tuple(evidence),
        cause=cause,
        action=action,
        verify=verify,
    )


def brief(value: float) -> str:
    """A number in four digits.

    Example:
        >>> brief(0.123456), brief(120000.0)
        ('0.1235', '1.2e+05')
    """
    return f"{value:.4g}"
