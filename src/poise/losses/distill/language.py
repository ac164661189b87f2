"""The language model's own loss, and what it comes to as perplexity."""

import math

from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.distill.fit import at_least
from poise.reduce import Reduced, per_token


def next_token_loss(
    logits: Tensor, ids: Tensor, mask: Tensor, *, smoothing: float = 0.0
) -> Reduced:
    """Cross-entropy of each token given those before it; logits are shifted here.

    Args:
        logits: Shape (batch, tokens, vocabulary).
        ids: The tokens that were read, shape (batch, tokens).
        mask: True where a token is text, bool, shape (batch, tokens).
        smoothing: Share of the target that is spread over the vocabulary, from 0 to below 1.

    Returns:
        In nats, from 0 on; mean over the tokens that have one before them. A batch without any has
        value 0 and count 0, not NaN as `F.cross_entropy` over ignored labels.

    Raises:
        LossError: Logits and tokens do not fit.
        ReductionError: The mask does not fit.

    Example:
        >>> import torch
        >>> logits, ids = torch.zeros(1, 3, 8), torch.tensor([[5, 1, 2]])
        >>> loss = next_token_loss(logits, ids, torch.tensor([[True, True, False]]))
        >>> loss.value, loss.count  # ln 8, of one token
        (tensor(2.0794), tensor(1))
    """
    if logits.ndim != 3 or logits.shape[:2] != ids.shape:
        raise LossError(
            f"next_token_loss: expected logits (batch, tokens, vocabulary) of the tokens, got "
            f"{list(logits.shape)} and {list(ids.shape)}"
        )
    values = F.cross_entropy(
        logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none", label_smoothing=smoothing
    )
    return per_token(values, mask[:, 1:] & mask[:, :-1])


def perplexity(nats: float) -> float:
    """Exponential of the language model loss, and of nothing else: no total, no smoothing, no cap.

    Args:
        nats: Mean cross-entropy per token, from 0 on.

    Returns:
        From 1 on: as uncertain as among so many tokens.

    Raises:
        LossError: A negative loss.

    Example:
        >>> round(perplexity(math.log(50.0)), 6)
        50.0
    """
    at_least("perplexity", "nats", nats, 0.0)
    return math.exp(nats)
