"""Shares that follow need, which `benchmarks/outcome.py` compares with shares that stay.

The need of a term is its running mean over its first level: 1 at the start, 0 when nothing is left.
Its share is the declared one times (need / geometric mean of the needs), at most 4 times more or
less. Not part of the package: it was no better than the constant shares that it starts from.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from poise.balance import Balancer, GradientRule, Seen
from poise.balance.share import ShareRule

LIMIT, OPENING, DECAY = 4.0, 10, 0.99
"""The most by which need changes a share, steps whose mean is the first level, and the memory."""


class ByProgress(GradientRule):
    """The declared shares times what is left of each term.

    Args:
        shares: Share by term at equal needs.
    """

    alone = True

    def __init__(self, shares: Mapping[str, float]) -> None:
        super().__init__()
        self.share, self.names = ShareRule(shares), tuple(shares)
        self.declared = self.share.shares.clone()
        self.first: list[Tensor] = []
        self.level = torch.zeros(len(shares), dtype=torch.float64)
        self.heard = 0

    def hear(self, terms: Mapping[str, Tensor]) -> None:
        """Takes note of the values of a batch."""
        values = torch.stack([terms[name].detach().double() for name in self.names])
        if not bool(values.isfinite().all()):
            return
        if len(self.first) < OPENING:
            self.first.append(values)
        self.level += (1 - DECAY) * (values - self.level)
        self.heard += 1

    def forward(self, seen: Seen) -> Tensor:
        """The weights that give the shares of this step."""
        if len(self.first) == OPENING:
            left = self.level / (1 - DECAY**self.heard) / torch.stack(self.first).mean(dim=0)
            need = left.clamp(min=1e-12).log()
            boost = need - (self.declared * need).sum()
            wanted = self.declared * boost.clamp(-math.log(LIMIT), math.log(LIMIT)).exp()
            self.share.shares.copy_(wanted / wanted.sum())
        return self.share(seen)


def by_progress(shares: Mapping[str, float]) -> Balancer:
    """A balancer whose shares follow need."""
    return Balancer(shares, ByProgress(shares))
