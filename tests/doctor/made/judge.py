"""When a diagnosis of a made-up training is right."""

from poise.doctor import Diagnosis, Finding, Severity
from tests.doctor.made.faults import Seeded


def alarms(diagnosis: Diagnosis) -> list[Finding]:
    """Findings of severity warning or error."""
    return [one for one in diagnosis.findings if one.severity is not Severity.NOTE]


def named(seeded: Seeded, diagnosis: Diagnosis) -> bool:
    """True if the fault is named, on the right quantity, severely enough."""
    found = diagnosis.findings if seeded.noted else alarms(diagnosis)
    return any(
        one.fault in seeded.faults and any(seeded.about in term for term in one.terms)
        for one in found
    )
