"""The seam between the doctor and its rules."""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, Protocol

from poise.doctor.case import Case
from poise.doctor.finding import Fault, Finding


class Need(StrEnum):
    """Data that a rule cannot do without. `Case.missing` tells which of them a run lacks."""

    LOSS = "a logged loss"
    TERM = "a logged term"
    TERMS = "two or more logged terms"
    TOTAL = "a logged total"
    COMPOSITION = "a total and its terms in the same records"
    LEARNING_RATE = "logged learning rates"
    GRAD_NORM = "a logged gradient norm"
    LOSS_SCALE = "a logged loss scale, or overflows in the log's words"
    SCHEDULE = "a declared learning-rate schedule"
    STATISTIC = "a logged statistic besides the losses"
    EVAL = "an evaluation split"
    EVALS = "three or more evaluations"
    EVAL_LOSS = "losses of an evaluation split"
    EVAL_TOTAL = "the same total in training and evaluation"
    REWARDS = "logged rewards"
    TOKENS = "token counts or lengths beside the losses"
    WEIGHTS = "logged term weights"
    HISTORY = "20 or more training records"
    RECORDS = "at least one record"
    EXPECTED = "declared expectations: Watch(expect=[...]) or --expect"
    GRADIENT_SHARES = "gradient shares of the terms: attach poise.Watch"
    COSINES = "cosines between the terms' gradients: attach poise.Watch"
    MOTION = "motion of the parameters: attach poise.Watch"
    REACH = "which parameters each term reaches: attach poise.Watch"
    MICRO = "micro-batches counted beside optimizer steps: attach poise.Watch"
    CLIPPED = "gradient norms before and after clipping: attach poise.Watch"


class Rule(Protocol):
    """One rule: a final class whose docstring is what `poise explain` prints.

    The first line of the docstring is the symptom. A rule is stateless and is never subclassed.
    It runs only if the run has all of `needs`, and must not yield a finding it cannot evidence.

    Attributes:
        name: Lower-case words joined by dashes; unique; part of the public contract.
        fault: The class of all its findings.
        needs: What it cannot do without.
    """

    name: ClassVar[str]
    fault: ClassVar[Fault]
    needs: ClassVar[frozenset[Need]]

    def check(self, case: Case) -> Iterable[Finding]:
        """Findings of this rule in one run."""
        ...
