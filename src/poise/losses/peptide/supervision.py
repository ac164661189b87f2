"""Cross-entropy of a recursive decoder, supervised after every one of its steps."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.reduce import Reduced, Reduction


def deep_supervision(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, label_smoothing: float = 0.0
) -> Reduced:
    """Mean over the tokens of the cross-entropy of every decoder step, later steps counting more.

    Step t of T has the weight t / (1 + ... + T): the weights add up to 1.

    With label smoothing the value has a floor that no model goes below, and at that floor expected
    masses are still off by thousands of ppm although every best token is right.

    `poise.inspect` has nothing to warn of.

    Args:
        logits: Shape (steps, batch, length, vocabulary), one set for every step of the decoder.
        tokens: The right tokens, int64, shape (batch, length).
        mask: True where a token counts, bool, shape (batch, length).
        label_smoothing: Part of the target that is spread over the vocabulary, from 0 to 1.

    Returns:
        In nats per token; reduction `token`, count the number of true positions.

    Raises:
        LossError: The shapes do not fit or the mask is not bool.

    Example:
        >>> logits = torch.zeros(2, 1, 3, 24)
        >>> tokens, mask = torch.zeros(1, 3, dtype=torch.long), torch.tensor([[True, True, False]])
        >>> part = deep_supervision(logits, tokens, mask)
        >>> part.value, part.count                     # ln 24
        (tensor(3.1781), tensor(2))
    """
    if logits.ndim != 4 or tokens.shape != logits.shape[1:3] or mask.shape != tokens.shape:
        raise LossError(
            "deep_supervision: expected logits [steps, batch, length, vocabulary] with tokens and "
            f"mask [batch, length], got {list(logits.shape)}, {list(tokens.shape)} and "
            f"{list(mask.shape)}; stack the decoder's steps along the first axis"
        )
    if mask.dtype != torch.bool:
        raise LossError(f"deep_supervision: expected a bool mask, got {mask.dtype}; pass .bool()")
    steps = len(logits)
    target = tokens.expand(steps, *tokens.shape)
    found = F.cross_entropy(
        logits.flatten(0, 2),
        target.flatten(),
        reduction="none",
        label_smoothing=label_smoothing,
    ).view(target.shape)
    ranks = torch.arange(1, steps + 1, device=logits.device, dtype=found.dtype)
    each = (found * (ranks / ranks.sum())[:, None, None]).sum(0)
    kept = torch.where(mask, each, torch.zeros((), dtype=each.dtype, device=each.device))
    return Reduced(sum=kept.sum(), count=mask.sum(), reduction=Reduction.TOKEN)
