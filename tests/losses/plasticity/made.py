"""Made tensors, and the findings of a card."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from poise import inspect

TOKENS = (2, 6)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers from a seed of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def states(count: int, features: int = 12) -> tuple[Tensor, ...]:
    """So many tensors [2, 6, features]."""
    return tuple(normal(*TOKENS, features, seed=seed) for seed in range(count))


def findings(
    loss: Callable[..., object], example: Sequence[Tensor], role: str = "task"
) -> list[tuple[str, str]]:
    """Severity and rule of everything that the card of a loss says."""
    card = inspect(loss, example, role=role)
    return [(str(one.severity), one.rule) for one in card.findings]
