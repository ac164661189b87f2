"""What the terms of one batch are computed from."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from poise.losses.distill import ALIGN, Alignment, SharedVocabulary
from poise.recipes.distill.data import Batch
from poise.recipes.distill.model import LanguageModel, Outputs, System


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ways:
    """How the teacher's tokens are brought to the student's.

    Attributes:
        states: For hidden states and attention.
        back: The same from the teacher's tokens to the student's.
        predictions: For next-token distributions.
    """

    states: Alignment
    back: Alignment
    predictions: Alignment


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One batch, read by both.

    Attributes:
        system: What is trained, or its average.
        batch: The text.
        student: What the student gives, with its graph.
        teacher: What the teacher gives, without one.
        ways: Which of the teacher's tokens stand for the student's.
        shared: Tokens of both vocabularies.
    """

    system: System
    batch: Batch
    student: Outputs
    teacher: Outputs
    ways: Ways
    shared: SharedVocabulary

    @property
    def mask(self) -> Tensor:
        """True where the student's tokens are text."""
        return self.batch.student.mask

    def experts(self) -> Tensor:
        """Every layer of the teacher at the student's tokens, (batch, tokens, layers, width)."""
        layers = torch.stack(self.teacher.hidden[1:], dim=2)
        return self.ways.states.carry(layers)


def ways(batch: Batch, how: str) -> Ways:
    """The alignments of a batch.

    Args:
        batch: Tokens with offsets.
        how: `spans` (predictions then by ends), `truncation` or `interpolation`.
    """
    here, there = batch.student.offsets, batch.teacher.offsets
    predictions = ALIGN["ends" if how == "spans" else how]
    return Ways(
        states=ALIGN[how](here, there),
        back=ALIGN[how](there, here),
        predictions=predictions(here, there),
    )


def see(
    system: System, teacher: LanguageModel, batch: Batch, how: str, shared: SharedVocabulary
) -> Seen:
    """Both read a batch."""
    with torch.no_grad():
        taught = teacher(batch.teacher.ids)
    return Seen(
        system=system,
        batch=batch,
        student=system(batch.student.ids),
        teacher=taught,
        ways=ways(batch, how),
        shared=shared,
    )
