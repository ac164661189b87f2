"""An exponential average of what is trained, with and without a warm-up."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from poise.recipes.distill.model import System

REPORTED: Final = 0.9999
"""After 1557 updates 86% of the initial weights are left."""
LONGEST: Final = 0.95
"""Largest decay where it is warmed up: 20 updates."""


def warmed(updates: int) -> float:
    """Decay after some updates: follows at once in the beginning, then slowly.

    Example:
        >>> [round(warmed(one), 2) for one in (0, 10, 1000)]
        [0.1, 0.55, 0.95]
    """
    return min(LONGEST, (1 + updates) / (10 + updates))


def averaged(system: System, *, warm: bool) -> AveragedModel:
    """An average that begins with the present weights.

    Args:
        system: What is averaged; call `update_parameters(system)` after each optimizer step.
        warm: With a warm-up of the decay; else with the reported one.
    """

    @torch.no_grad()
    def follow(average: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor) -> None:
        decay = warmed(int(updates) - 1) if warm else REPORTED
        for mean, weight in zip(average, weights, strict=True):
            mean.lerp_(weight, 1 - decay)

    found = AveragedModel(system, multi_avg_fn=follow)  # pyright: ignore[reportArgumentType] -- torch says Tensor | int
    found.n_averaged.fill_(1)  # at 0 the first update would be a copy
    return found
