"""A router that chooses, token by token, which of the teacher's layers to learn from."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from poise.errors import LossError
from poise.losses.distill.fit import at_least
from poise.reduce import per_feature


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routing:
    """What a router chose.

    Attributes:
        routed: Weighted sum of the experts, shape (batch, tokens, teacher features).
        gates: Weight of each expert, from 0 to 1, rows sum up to 1, shape (batch, tokens, experts).
        projected: The student's state in the teacher's width, shape of `routed`.
    """

    routed: Tensor
    gates: Tensor
    projected: Tensor


class Router(nn.Module):
    """Chooses among experts by the student's state and its capacity.

    Three opinions are mixed by a learned gate: a scorer of the state, a two-layer network for what
    the student can take in, and the gap between the projected state and every expert. Of their
    mean the `top_k` largest are kept and brought to 1. Experts are hidden states of the teacher
    where it has no mixture of experts of its own.

    Args:
        student: Features of the student.
        teacher: Features of the teacher.
        experts: How many experts.

    Attributes:
        top_k: How many experts a token keeps, from 1 to `experts`.
        temperature: What the opinions are divided by, above 0: small is decided.

    Raises:
        LossError: There is no expert.

    Example:
        >>> router = Router(48, 64, experts=4)
        >>> routing = router(torch.zeros(2, 5, 48), torch.ones(2, 5, 4, 64))
        >>> routing.routed.shape, int((routing.gates > 0).sum(dim=-1).max())
        (torch.Size([2, 5, 64]), 1)
    """

    def __init__(self, student: int, teacher: int, *, experts: int) -> None:
        at_least("Router", "experts", experts, 1)
        super().__init__()
        self.top_k = 1
        self.temperature = 1.0
        self.project = nn.Linear(student, teacher)
        self.score = nn.Linear(student, experts)
        self.capacity = nn.Sequential(
            nn.Linear(student, student), nn.GELU(), nn.Linear(student, experts)
        )
        self.mix = nn.Linear(student, 3)

    def forward(self, student: Tensor, experts: Tensor) -> Routing:
        """Routes each token.

        Args:
            student: Hidden states, shape (batch, tokens, student features).
            experts: Shape (batch, tokens, experts, teacher features).

        Raises:
            LossError: Another number of experts than the router has.
        """
        if experts.ndim != 4 or experts.shape[2] != self.score.out_features:
            raise LossError(
                f"Router: expected experts of shape (batch, tokens, {self.score.out_features}, "
                f"features), got {list(experts.shape)}"
            )
        projected = self.project(student)
        unit = nn.functional.normalize(experts, dim=-1)
        gap = torch.einsum("bsd,bsed->bse", nn.functional.normalize(projected, dim=-1), unit)
        opinions = torch.stack([self.score(student), self.capacity(student), gap], dim=-1)
        softened = (opinions / self.temperature).softmax(dim=-2)
        gates = (softened * self.mix(student).softmax(dim=-1)[..., None, :]).sum(dim=-1)
        kept = gates.topk(self.top_k, dim=-1)
        gates = torch.zeros_like(gates).scatter(-1, kept.indices, kept.values)
        gates = gates / gates.sum(dim=-1, keepdim=True)
        routed = torch.einsum("bse,bsed->bsd", gates, experts)
        return Routing(routed=routed, gates=gates, projected=projected)


class Attended(nn.Module):
    """Looks up, with the student's states, the routed states of the teacher in a small width.

    Args:
        student: Features of the student, divisible by `heads`.
        teacher: Features of the teacher.
        heads: Heads of the attention.

    Example:
        >>> attended, goal = Attended(48, 64, heads=4)(torch.zeros(2, 5, 48), torch.ones(2, 5, 64))
        >>> attended.shape == goal.shape == (2, 5, 48)
        True
    """

    def __init__(self, student: int, teacher: int, *, heads: int) -> None:
        super().__init__()
        self.compress = nn.Linear(teacher, student)
        self.attend = nn.MultiheadAttention(student, heads, batch_first=True)

    def forward(self, student: Tensor, routed: Tensor) -> tuple[Tensor, Tensor]:
        """What was looked up, and the compressed states it is meant to be.

        The second has a graph: a loss that trains it as well is 0 at once if the compressor
        collapses. Detach it.
        """
        goal = self.compress(routed)
        attended, _ = self.attend(student, goal, goal, need_weights=False)
        return attended, goal


def load_balance(gates: Tensor, mask: Tensor | None = None) -> Tensor:
    """Experts x sum over experts of (share of tokens that choose it first) x (its mean gate).

    1 where all experts are used alike, up to the number of experts where one takes all. The first
    factor has no gradient; the second lowers the gates of what is chosen too often.

    Args:
        gates: From 0 to 1, rows sum up to 1, shape (batch, tokens, experts).
        mask: True where a token counts, bool, shape (batch, tokens).

    Returns:
        Shape [], no unit. A product of two means: not additive over micro-batches.

    Raises:
        ReductionError: The mask does not fit.

    Source:
        Fedus et al. 2021, "Switch Transformers", arXiv:2101.03961, equation 4.

    Example:
        >>> load_balance(torch.eye(4)[None])
        tensor(1.)
        >>> load_balance(torch.eye(4)[:1].expand(1, 5, 4))
        tensor(4.)
    """
    first = nn.functional.one_hot(gates.argmax(dim=-1), gates.shape[-1]).to(gates.dtype)
    chosen, mean = per_feature(first, mask).value, per_feature(gates, mask).value
    return gates.shape[-1] * (chosen * mean).sum()


def routing_schedule(progress: float, experts: int, *, warm_up: float = 0.1) -> tuple[int, float]:
    """How many experts a token keeps, and at which temperature.

    One during the warm-up, then along a quarter of a sine up to half of the experts (at most 4);
    the temperature falls from 1 to 0.1.

    Args:
        progress: Share of the training that is done, from 0 to 1.
        experts: How many there are.
        warm_up: Share of the training with one expert.

    Returns:
        `top_k` and temperature.

    Raises:
        LossError: A negative progress.

    Example:
        >>> routing_schedule(0.0, 8), routing_schedule(1.0, 8)
        ((1, 1.0), (4, 0.1))
    """
    at_least("routing_schedule", "progress", progress, 0.0)
    done = min(progress, 1.0)
    most = max(1, min(4, experts // 2))
    rise = max(0.0, (done - warm_up) / (1 - warm_up))
    top_k = 1 + round((most - 1) * math.sin(math.pi / 2 * rise))
    return top_k, round(1 - 0.9 * done, 12)
