"""What is measured beside the terms, alike in all variants."""

from collections.abc import Sequence
from typing import Final

import torch
from torch.nn import functional as F

from poise.losses.distill import (
    SharedVocabulary,
    largest_share,
    next_token_loss,
    perplexity,
    retained_kl,
    top_k_overlap,
)
from poise.losses.distill.reported import reported_layers, retention_by_batchmean
from poise.losses.distill.vocabulary import to_shared
from poise.recipes.distill.data import Batch
from poise.recipes.distill.model import STUDENT_LAYERS, TEACHER_LAYERS, LanguageModel, System
from poise.recipes.distill.seen import Seen, see
from poise.reduce import Reduced, combine

OVERLAP: Final = 5
"""Most likely tokens that are compared."""


@torch.no_grad()
def student_quality(
    system: System, teacher: LanguageModel, batches: Sequence[Batch], shared: SharedVocabulary
) -> dict[str, float]:
    """What the student is worth on held-out text: the weights that are trained, no average.

    Returns:
        `student_perplexity`: exponential of the plain language model loss per student token.
        `retained_kl`: KL to the teacher in nats, over shared tokens, where both have read the same
        text. `retained_top5`: part of the teacher's five likeliest among the student's there, 0
        to 1. `retention_reported`: 1 - KL as the notes compute it.
    """
    was = system.training
    system.eval()
    kl: list[Reduced] = []
    top: list[Reduced] = []
    reported: list[float] = []
    for batch in batches:
        seen = see(system, teacher, batch, "spans", shared)
        way = seen.ways.predictions
        student = to_shared(seen.student.logits, shared.student)
        taught = to_shared(way.carry(seen.teacher.logits), shared.teacher)
        kl.append(retained_kl(student, taught, way.mask))
        top.append(top_k_overlap(student, taught, way.mask, top_k=OVERLAP))
        reported.append(_truncated(seen))
    worth = plain_perplexity(system, batches)
    system.train(was)
    return {
        "student_perplexity": worth,
        "retained_kl": float(combine(kl).value),
        f"retained_top{OVERLAP}": float(combine(top).value),
        "retention_reported": sum(reported) / len(reported),
    }


@torch.no_grad()
def plain_perplexity(system: System, batches: Sequence[Batch]) -> float:
    """Exponential of the plain language model loss per student token."""
    plain = [
        next_token_loss(system(one.student.ids).logits, one.student.ids, one.student.mask)
        for one in batches
    ]
    return perplexity(float(combine(plain).value))


def _truncated(seen: Seen) -> float:
    """The notes' retention: tokens and vocabularies cut to one size by index."""
    student, taught = seen.student.logits, seen.teacher.logits
    tokens, words = (min(student.shape[at], taught.shape[at]) for at in (1, 2))
    cut = (one[:, :tokens, :words] for one in (student, taught))
    return float(retention_by_batchmean(*cut))


@torch.no_grad()
def hidden_share(seen: Seen, *, normal: bool) -> float:
    """Part of the squared error of the hidden states that two channels make up, 0 to 1.

    Args:
        seen: The batch.
        normal: Of states normalised over their features, as the cured loss sees them; else raw.
    """
    at = STUDENT_LAYERS - 1
    to = reported_layers(STUDENT_LAYERS, TEACHER_LAYERS)[at]
    student = seen.system.projectors[at](seen.student.hidden[at])
    taught = seen.ways.states.carry(seen.teacher.hidden[to])
    if normal:
        student, taught = (F.layer_norm(one, one.shape[-1:]) for one in (student, taught))
    return float(largest_share(student, taught))
