"""The eight terms as they were reported, and how they were weighted, stepped and evaluated."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.distill import info_nce, next_token_loss
from poise.losses.distill.reported import (
    alignment_over_length,
    attention_kl_of_softmax,
    balance_to_uniform,
    duplicated_union_kl,
    feature_loss_divided_twice,
    raw_hidden_loss,
    reported_layers,
)
from poise.recipes.distill.model import STUDENT_LAYERS, TEACHER_LAYERS
from poise.recipes.distill.seen import Seen

ALPHAS: Final[Mapping[str, float]] = {
    "lm": 0.3,
    "kd": 0.7,
    "feature": 0.1,
    "alignment": 0.1,
    "load_balance": 0.1,
    "attention": 0.1,
    "layerwise": 0.05,
    "contrastive": 0.05,
}
"""Full weights, as evaluation uses them; `load_balance` goes with the routing's `feature`."""
LIMIT: Final = 20.0
"""Logits are cut off beyond this on both sides."""
TOP_K: Final = 64
SMOOTHING: Final = 0.1

Hidden = Callable[[Tensor, Tensor], Tensor]


def curriculum(progress: float) -> dict[str, float]:
    """Weights by the share of the batches that are done: kd, then routing, then the rest.

    Example:
        >>> round(curriculum(0.45)["feature"], 6), curriculum(0.45)["layerwise"]
        (0.05, 0.0)
    """
    second = min(1.0, max(0.0, (progress - 0.3) / 0.3))
    third = min(1.0, max(0.0, (progress - 0.6) / 0.4))
    ramp = {"lm": 1.0, "kd": 1.0, "layerwise": third, "contrastive": third}
    return {name: alpha * ramp.get(name, second) for name, alpha in ALPHAS.items()}


def temperature(progress: float) -> float:
    """From 3 to 2 along the training."""
    return 3.0 - min(1.0, progress)


def terms(seen: Seen, progress: float, hidden: Hidden = raw_hidden_loss) -> dict[str, Tensor]:
    """All eight, of one batch.

    Args:
        seen: The batch, the teacher interpolated over time.
        progress: Share of the training that is done, from 0 to 1; evaluation has 1.
        hidden: The loss of the hidden states: raw, or the note's fix.
    """
    system, carry = seen.system, seen.ways.states.carry
    last = seen.student.hidden[-1]
    logits = seen.student.logits.clamp(-LIMIT, LIMIT)
    routing = system.router(last, seen.experts())
    attended, goal = system.attended(last, routing.routed)
    return {
        "lm": next_token_loss(logits, seen.batch.student.ids, seen.mask, smoothing=SMOOTHING).value,
        "kd": duplicated_union_kl(
            logits, _taught(seen), seen.mask, top_k=TOP_K, temperature=temperature(progress)
        ),
        "feature": feature_loss_divided_twice(routing.projected, routing.routed),
        "alignment": alignment_over_length(attended, goal),
        "load_balance": balance_to_uniform(routing.gates),
        "attention": _attention(seen),
        "layerwise": _layerwise(seen, hidden),
        "contrastive": info_nce(
            system.pooled(last.mean(dim=1)), carry(seen.teacher.hidden[-1]).mean(dim=1)
        ).value,
    }


def _taught(seen: Seen) -> Tensor:
    """Logits of a trained projection of the teacher's states; its own head is never used."""
    projected = seen.system.logit_projector(seen.ways.states.carry(seen.teacher.hidden[-1]))
    return (projected @ seen.system.student.embedding.T).clamp(-LIMIT, LIMIT)


def _attention(seen: Seen) -> Tensor:
    """Last layers, mean over the heads, the teacher's map stretched to the student's."""
    student = seen.student.attention[-1].mean(dim=1, keepdim=True)
    taught = seen.teacher.attention[-1].mean(dim=1, keepdim=True)
    size = student.shape[-2:]
    stretched = F.interpolate(taught, size=size, mode="bilinear", align_corners=False)
    return attention_kl_of_softmax(student, stretched)


def _layerwise(seen: Seen, hidden: Hidden) -> Tensor:
    """The pairs of layers, each through its projector, mixed by trained weights."""
    pairs = zip(
        seen.system.projectors, reported_layers(STUDENT_LAYERS, TEACHER_LAYERS), strict=True
    )
    each = [
        hidden(projector(seen.student.hidden[at]), seen.ways.states.carry(seen.teacher.hidden[to]))
        for at, (projector, to) in enumerate(pairs)
    ]
    return (seen.system.layer_weights.softmax(dim=0) * torch.stack(each)).sum()


class Accumulator:
    """Counts micro-batches whenever it is asked whether to step, whoever asks.

    Example:
        >>> accumulator = Accumulator(2)
        >>> [accumulator.should_step() for _ in range(4)]
        [False, True, False, True]
    """

    def __init__(self, every: int) -> None:
        self.every, self.count = every, 0

    def should_step(self) -> bool:
        """Is it time? Asking counts."""
        self.count += 1
        return self.count % self.every == 0
