"""Buffers of a loss module go back to what they were."""

import torch
from torch import nn

from poise.card.buffers import Buffers


class Counting(nn.Module):
    """Replaces one buffer, writes into another, has a third that is None."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("kept", torch.zeros(2))
        self.register_buffer("none", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Counts its calls."""
        self.seen = self.seen + 1
        self.kept.add_(1)
        return x.sum() * self.seen


def test_replaced_and_written_buffers_are_put_back_every_time() -> None:
    """Also those of parts, and also the second time."""
    loss = nn.Sequential(Counting())
    kept = Buffers.of(loss, torch.sum)
    for _ in range(2):
        loss(torch.ones(1))
        assert loss[0].seen == 1
        kept.restore()
        assert loss[0].seen == 0
        assert loss[0].kept.tolist() == [0.0, 0.0]
