"""What a rule saw: data only, no renderer."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """The fixed list of fault classes; docs/faults.md explains each."""

    FROZEN = "frozen"
    SCHEDULE = "schedule"
    NO_GRADIENT = "no-gradient"
    NO_EFFECT = "no-effect"
    DOMINANCE = "dominance"
    STARVATION = "starvation"
    REDUCTION = "reduction"
    SCALE_WITH_LENGTH = "scale-with-length"
    SATURATION = "saturation"
    UNBOUNDED = "unbounded"
    JUMP = "jump"
    EXPLOSION = "explosion"
    NONFINITE = "nonfinite"
    CONFLICT = "conflict"
    COLLAPSE = "collapse"
    STUCK = "stuck"
    UNACCOUNTED = "unaccounted"
    EVAL_MISMATCH = "eval-mismatch"
    CLIPPING = "clipping"
    GENERALISATION = "generalisation"
    DATA = "data"
    RECORD = "record"


class Severity(StrEnum):
    """How much a finding matters.

    `error`: structural or provable, the training is not doing what it says. `warning`: the numbers
    support a fault and no healthy explanation fits as well. `note`: worth knowing; expected in
    many healthy trainings, and the finding says in which.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for error, 1 for warning, 2 for note."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One measured fact behind a finding.

    Attributes:
        text: The fact in words, with its numbers.
        series: Name of the quantity it was measured on.
        steps: First and last step it was measured over.
        value: The number that was compared.
        threshold: The number that it was compared with; None for a fact without a threshold.
    """

    text: str
    series: str
    steps: tuple[int, int]
    value: float
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule saw in one run.

    Attributes:
        rule: Name of the rule.
        fault: Fault class.
        severity: How much it matters.
        terms: The terms (or other quantities) it is about, the worst first.
        steps: First and last step of the trouble.
        summary: One sentence with the deciding numbers.
        evidence: The measured facts, the strongest first; never empty.
        cause: The most likely cause in one or two sentences, and the healthy explanation that
            would look the same.
        action: The one thing to do next.
        verify: A command or a few lines whose outcome proves or refutes the finding.
        caused_by: Names of rules whose findings in the same run explain this one.
    """

    rule: str
    fault: Fault
    severity: Severity
    terms: tuple[str, ...]
    steps: tuple[int, int]
    summary: str
    evidence: tuple[Evidence, ...]
    cause: str
    action: str
    verify: str
    caused_by: tuple[str, ...] = ()
