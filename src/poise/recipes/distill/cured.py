"""The same terms in a form that means something, as one objective."""

from functools import partial
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.distill import (
    attention_kl,
    carry_attention,
    hidden_loss,
    info_nce,
    load_balance,
    matched_layers,
    mean_pooled,
    next_token_loss,
    shared_vocabulary_kl,
)
from poise.objective import Objective, Term
from poise.recipes.distill.model import STUDENT_LAYERS, TEACHER_LAYERS
from poise.recipes.distill.reported import ALPHAS, SMOOTHING
from poise.recipes.distill.seen import Seen
from poise.reduce import Reduced
from poise.schedule import Linear

TEMPERATURE: Final = 2.0
BALANCE: Final = 0.01
"""The factor that the reported form hides inside the loss of the balance."""


def objective(total_steps: int) -> Objective:
    """All terms with the reported weights, ramped up by optimizer steps.

    What the reported balance multiplies itself with stands in its weight.

    Args:
        total_steps: Optimizer steps of the training.
    """

    def ramp(name: str, start: float, stop: float) -> Linear:
        first, last = (round(part * total_steps) for part in (start, stop))
        full = ALPHAS[name] * (BALANCE if name == "load_balance" else 1.0)
        return Linear(0.0, full, start=first, stop=max(first + 1, last))

    routing = partial(ramp, start=0.3, stop=0.6)
    late = partial(ramp, start=0.6, stop=1.0)
    return Objective(
        Term("lm", language, weight=ALPHAS["lm"], reduction="token"),
        Term("kd", distilled, weight=ALPHAS["kd"], reduction="token"),
        Term("feature", feature, weight=routing("feature"), reduction="token"),
        Term("alignment", alignment, weight=routing("alignment"), reduction="token"),
        Term("load_balance", balance, weight=routing("load_balance"), role="regulariser"),
        Term("attention", attention, weight=routing("attention"), reduction="token"),
        Term("layerwise", layerwise, weight=late("layerwise"), reduction="token"),
        Term("contrastive", contrastive, weight=late("contrastive"), reduction="sample"),
    )


def language(seen: Seen) -> Reduced:
    """The language model loss, logits as they are."""
    ids = seen.batch.student.ids
    return next_token_loss(seen.student.logits, ids, seen.mask, smoothing=SMOOTHING)


def distilled(seen: Seen) -> Reduced:
    """The teacher's own predictions, where both have read the same text, over shared tokens."""
    way = seen.ways.predictions
    return shared_vocabulary_kl(
        seen.student.logits,
        way.carry(seen.teacher.logits),
        seen.shared,
        way.mask,
        temperature=TEMPERATURE,
    )


def feature(seen: Seen) -> Reduced:
    """The student's states like those of the layers that the router chose."""
    routing = seen.system.router(seen.student.hidden[-1], seen.experts())
    return hidden_loss(routing.projected, routing.routed, seen.ways.states.mask)


def alignment(seen: Seen) -> Reduced:
    """What the student looks up like what it looks at, in a small width; the goal is fixed."""
    last = seen.student.hidden[-1]
    routing = seen.system.router(last, normalised(seen.experts()))
    attended, goal = seen.system.attended(last, routing.routed)
    return hidden_loss(attended, goal.detach(), seen.ways.states.mask)


def balance(seen: Seen) -> Tensor:
    """No expert for everything."""
    routing = seen.system.router(seen.student.hidden[-1], seen.experts())
    return load_balance(routing.gates, seen.ways.states.mask)


def attention(seen: Seen) -> Reduced:
    """Last layers, mean over the heads, between the student's tokens."""
    student = seen.student.attention[-1].mean(dim=1, keepdim=True)
    taught = seen.teacher.attention[-1].mean(dim=1, keepdim=True)
    carried = carry_attention(seen.ways.states, seen.ways.back, taught)
    return attention_kl(student, carried, seen.ways.states.mask)


def layerwise(seen: Seen) -> Reduced:
    """Layers at the same depth, first and last included; all count alike."""
    pairs = zip(seen.system.projectors, matched_layers(STUDENT_LAYERS, TEACHER_LAYERS), strict=True)
    each = [
        hidden_loss(
            projector(seen.student.hidden[at]),
            seen.ways.states.carry(seen.teacher.hidden[to]),
            seen.ways.states.mask,
        )
        for at, (projector, to) in enumerate(pairs)
    ]
    total = torch.stack([one.sum for one in each]).mean()
    return Reduced(sum=total, count=each[0].count, reduction=each[0].reduction)


def contrastive(seen: Seen) -> Reduced:
    """Each text's mean state nearest to the teacher's of the same text."""
    mask = seen.ways.states.mask
    student = seen.system.pooled(mean_pooled(seen.student.hidden[-1], seen.mask))
    taught = normalised(seen.ways.states.carry(seen.teacher.hidden[-1]))
    return info_nce(student, mean_pooled(taught, mask))


def normalised(states: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the features of each token."""
    return F.layer_norm(states, states.shape[-1:])
