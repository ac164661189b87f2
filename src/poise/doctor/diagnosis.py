"""The outcome of examining one run: data only."""

from dataclasses import dataclass

from poise.doctor.acknowledgement import Accepted
from poise.doctor.finding import Finding, Severity
from poise.doctor.suggest import Suggestion
from poise.run import Run

REPR_FINDINGS = 20
"""Findings in the representation of a diagnosis; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """A rule that could not run.

    Attributes:
        rule: Its name.
        needs: What the run lacks, in words.
    """

    rule: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that the rules saw in one run.

    Attributes:
        run: The run.
        findings: Worst first; within one severity, causes before their symptoms.
        not_checked: Rules that could not run, and why.
        passed: Names of the rules that ran and found nothing.
        accepted: Findings that were read and accepted, with the reason; not among `findings`.
        suggestion: Static weights for the shares that were meant, as `poise.suggest` finds them;
            None for a run whose gradients were not measured.
    """

    run: Run
    findings: tuple[Finding, ...]
    not_checked: tuple[NotChecked, ...]
    passed: tuple[str, ...]
    accepted: tuple[Accepted, ...] = ()
    suggestion: Suggestion | None = None

    @property
    def found(self) -> tuple[Finding, ...]:
        """All findings, those that are accepted last."""
        return (*self.findings, *(one.finding for one in self.accepted))

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst finding that is not accepted."""
        return self.findings[0].severity if self.findings else None

    def __repr__(self) -> str:
        """The run, a line a finding, and how many rules passed or could not run."""
        lines = [
            f"Diagnosis(path={str(self.run.path)!r}, passed={len(self.passed)}, "
            f"not_checked={len(self.not_checked)}, findings=["
        ]
        for one in self.findings[:REPR_FINDINGS]:
            terms = ", ".join(one.terms[:3]) + ", ..." * (len(one.terms) > 3)
            lines.append(f"  {one.severity.value} {one.fault.value} ({terms}) [{one.rule}],")
        if (more := len(self.findings) - REPR_FINDINGS) > 0:
            lines.append(f"  and {more} more,")
        accepted = f", accepted={len(self.accepted)}" * bool(self.accepted)
        return "\n".join((*lines, f"]{accepted})"))

    def __str__(self) -> str:
        """Plain text, one finding a paragraph; `poise diagnose` prints the full report."""
        head = f"{self.run.path}: {len(self.findings)} findings, {len(self.passed)} rules passed, "
        head += f"{len(self.not_checked)} not checked"
        body = (
            f"{one.severity.upper()} {one.fault} [{one.rule}]: {one.summary}\n  do: {one.action}"
            for one in self.findings
        )
        accepted = (
            f"accepted {one.finding.severity} {one.finding.fault} [{one.finding.rule}]: "
            f"{one.finding.summary}\n  why: {one.acknowledgement.why}"
            for one in self.accepted
        )
        return "\n".join((head, *body, *accepted))
