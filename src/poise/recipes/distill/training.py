"""The loop: reported, repaired in part, and cured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from poise.losses.distill.reported import (
    capped_perplexity,
    raw_hidden_loss,
    raw_hidden_loss_by_sum,
)
from poise.objective import Breakdown
from poise.recipes.distill import cured, reported
from poise.recipes.distill.averaging import averaged
from poise.recipes.distill.data import Batch, Corpus, corpus
from poise.recipes.distill.measures import hidden_share, student_quality
from poise.recipes.distill.model import LanguageModel, System, teacher
from poise.recipes.distill.seen import Seen, see
from poise.recipes.recipe import Job
from poise.recipes.text import read_text
from poise.losses.distill import routing_schedule
from poise.watch import Watch

ACCUMULATION: Final = 8
SIZE: Final = 4
"""Pieces of text in a micro-batch."""
RATE: Final = 3e-3
CLIP: Final = 1.0
EVALUATIONS: Final = 5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a variant does differently.

    Attributes:
        objective: One objective in training and evaluation; else the reported terms.
        how: How tokens are aligned.
        accumulation: Micro-batches of an optimizer step.
        counted_twice: The monitor of the gradient norm asks the accumulator as well.
        curriculum: Weights ramp up.
        skip: Terms of weight 0 are left out.
        hidden: The loss of the hidden states.
    """

    objective: bool = False
    how: str = "interpolation"
    accumulation: int = ACCUMULATION
    counted_twice: bool = True
    curriculum: bool = True
    skip: bool = False
    hidden: reported.Hidden = raw_hidden_loss


PLANS: Final = {
    "reported": Plan(),
    "note-fix": Plan(skip=True, hidden=raw_hidden_loss_by_sum),
    "no-curriculum": Plan(curriculum=False),
    "accumulation-1": Plan(accumulation=1),
    "counter": Plan(counted_twice=False),
    "cured": Plan(objective=True, how="spans", counted_twice=False),
    "truncation": Plan(objective=True, how="truncation", counted_twice=False),
    "interpolation": Plan(objective=True, how="interpolation", counted_twice=False),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a training is.

    Attributes:
        micros: Micro-batches.
        taught: Updates of the teacher before.
        held_out: Batches of an evaluation.
    """

    micros: int
    taught: int
    held_out: int


FULL: Final = Size(micros=480, taught=200, held_out=6)
QUICK: Final = Size(micros=176, taught=40, held_out=2)


def train(job: Job) -> None:
    """Trains one variant into `job.out`."""
    Loop(job).run()
