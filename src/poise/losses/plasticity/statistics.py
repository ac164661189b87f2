"""What the note asks to monitor, from one batch."""

import torch
from torch import Tensor
from torch.nn import functional

from poise.losses.plasticity.modulation import Factors, gate_update, scalars
from poise.losses.tensors import lengths


def modulation_statistics(x: Tensor, attention: Tensor, factors: Factors) -> dict[str, Tensor]:
    """The numbers that tell what a modulated layer does, for `watch.log(**statistics)`.

    Args:
        x: The MLP's input, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        factors: As `Modulation` makes them.

    Returns:
        By name, each a scalar without a graph: `v_a_norm` and `v_b_norm`, mean over tokens and
        pairs; `v_a_attention_similarity`, mean cosine; `modulation_magnitude`, mean norm of what is
        added to the gate; `modulation_scalar_variance`, of v_a . x over tokens, mean of the pairs
        (0 for one token).

    Raises:
        LossError: The input does not fit the factors.

    Example:
        >>> factors = Factors(torch.ones(1, 2, 1, 3), torch.ones(1, 2, 1, 4), torch.zeros(1))
        >>> x = torch.ones(1, 2, 3)
        >>> modulation_statistics(x, x, factors)["modulation_magnitude"]
        tensor(6.)
    """
    with torch.no_grad():
        spread = scalars(x, factors).flatten(0, -2).var(0, correction=0).mean()
        along = functional.cosine_similarity(factors.v_a, attention.unsqueeze(-2), dim=-1)
        return {
            "v_a_norm": lengths(factors.v_a).mean(),
            "v_b_norm": lengths(factors.v_b).mean(),
            "v_a_attention_similarity": along.mean(),
            "modulation_magnitude": lengths(gate_update(x, factors)).mean(),
            "modulation_scalar_variance": spread,
        }
