"""A curriculum over tokens by the norm of their attention output."""

from math import ceil

import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.tensors import lengths


def attention_curriculum(attention: Tensor, kept: float, *, strongest: bool = True) -> Tensor:
    """Marks the share of the tokens that a difficulty curriculum trains on.

    How many are kept is yours to schedule: `poise.schedule.Linear(0.3, 1.0, stop=500)(step)`. The
    reported curriculum has its steps built in, starts where the attention is small, that is where
    the modulation has least to do, and keeps no token at all where all norms are equal
    (`reported.curriculum_mask`). Here the strongest come first unless told otherwise.

    Args:
        attention: Output of the attention, [batch, tokens, hidden].
        kept: Share of all tokens of the batch that counts, above 0, at most 1.
        strongest: Keep those with the largest norm; else those with the smallest.

    Returns:
        True where a token counts, bool, [batch, tokens]; exactly `kept` of them, rounded up, at
        least 1. For the `mask` of `direct_mlp`.

    Raises:
        LossError: `kept` is out of its range.

    Example:
        >>> attention = torch.tensor([[[1.0], [3.0], [-2.0], [0.5]]])
        >>> attention_curriculum(attention, 0.5)
        tensor([[False,  True,  True, False]])
    """
    if not 0 < kept <= 1:
        raise LossError(
            f"attention_curriculum: expected kept above 0 and at most 1, got {kept}; it is a share"
        )
    norms = lengths(attention.detach())
    order = norms.flatten().argsort(descending=strongest, stable=True)
    mask = torch.zeros(norms.numel(), dtype=torch.bool, device=norms.device)
    mask[order[: ceil(kept * norms.numel())]] = True
    return mask.view(norms.shape)
