"""The outcome of comparing two sides: data only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Finding
from poise.run import Run


class Verdict(StrEnum):
    """What happened to one quantity, or to a run as a whole."""

    NO_EFFECT = "no effect"
    """Nothing beyond what two seeds of one training can differ by."""
    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """Moved, but neither direction is better: adversaries, regularisers, monitors."""
    RESCALED = "rescaled"
    """Multiplied by a constant over the whole run, and otherwise the same."""
    DIFFERENT_OBJECTIVE = "different objective"
    """Not the same quantity on both sides, so its values cannot be compared."""
    TOO_FEW = "too few values"
    MIXED = "mixed"
    """Of a run: one quantity is better and another one worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One quantity on both sides.

    Attributes:
        name: Name of the term, total or metric.
        split: `train` or the log's word for another split.
        kind: `term`, `total` or `metric`.
        verdict: What happened to it.
        counts: True if it has a say in the verdict of the whole.
        before: Mean over the window before, in the log's units; NaN if unknown.
        after: Mean over the window after.
        difference: `after - before`.
        low: Lower end of the 95% interval of the difference, joint over all quantities.
        high: Its upper end.
        factor: Constant factor of a rescaled quantity; None otherwise.
        steps: First and last position of the window, before.
        noise: Standard error of the difference from the noise within the runs.
        spread: Standard error of the difference from the spread between seeds: what single runs let
            expect, averaged with what several seeds measure.
        why: One sentence on how the verdict came about.
    """

    name: str
    split: str
    kind: str
    verdict: Verdict
    counts: bool
    before: float
    after: float
    difference: float
    low: float
    high: float
    factor: float | None
    steps: tuple[int, int]
    noise: float
    spread: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A measured median on both sides; None where it was not measured."""

    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that a change did.

    Attributes:
        before: Diagnoses of the runs before, one a seed.
        after: Diagnoses of the runs after.
        verdict: `no effect`, `better`, `worse` or `mixed`, from the quantities that count.
        aligned: `step` or `progress`: by what the training tables were aligned.
        changes: One entry a term, then totals and metrics.
        only_before: Terms that only the runs before have.
        only_after: Terms that only the runs after have.
        gradient_shares: By term, over the second half of the probes.
        shares_at: Where the gradient shares were measured; empty if nowhere.
        motion: By module: distance moved in an optimizer step over the norm.
        responses: By term: change on the same batch by one optimizer step over the term's value.
        findings_gone: Findings of most runs before and of none after.
        findings_new: Findings of most runs after and of none before.
        findings_kept: Findings of both sides.
        warnings: What limits the comparison, one sentence each.
    """

    before: tuple[Diagnosis, ...]
    after: tuple[Diagnosis, ...]
    verdict: Verdict
    aligned: str
    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    gradient_shares: Mapping[str, Pair]
    shares_at: str
    motion: Mapping[str, Pair]
    responses: Mapping[str, Pair]
    findings_gone: tuple[Finding, ...]
    findings_new: tuple[Finding, ...]
    findings_kept: tuple[Finding, ...]
    warnings: tuple[str, ...]

    @property
    def runs(self) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
        """The runs of both sides."""
        return tuple(one.run for one in self.before), tuple(one.run for one in self.after)

    def of(self, name: str, split: str = "train") -> Change:
        """The change of one quantity.

        Raises:
            KeyError: Nothing of that name was compared in that split.
        """
        for one in self.changes:
            if (one.name, one.split) == (name, split):
                return one
        known = ", ".join(f"{one.name!r} ({one.split})" for one in self.changes)
        message = f"nothing called {name!r} was compared in split {split!r}; there are {known}"
        raise KeyError(message)

    def __str__(self) -> str:
        """A line a quantity; `poise compare` prints the full report."""
        lines = [self.verdict.value]
        lines += [
            f"{one.name} ({one.split}): {one.verdict.value}, {one.before:.4g} -> {one.after:.4g}, "
            f"difference {one.difference:.4g} [{one.low:.4g}, {one.high:.4g}]"
            for one in self.changes
        ]
        return "\n".join(lines)
