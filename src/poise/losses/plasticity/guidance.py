"""Guides for the scalar v_a . x and for what the modulation adds to the gate."""

import torch
from torch import Tensor

from poise.losses.tensors import expect_same, lengths


def modulation_guidance(scalar: Tensor, attention: Tensor, hidden: Tensor) -> Tensor:
    """The scalar of a token follows how strong its attention is, in units of its own spread.

    mean (s - z)^2, with z = log(|a| / |x|) less its mean, over its standard deviation. The reported
    form squashes a ratio of norms, which is never negative, so its target never leaves [0.5, 1);
    and to keep the scalar alive it subtracts a tenth of its variance, which has no bound: an
    optimizer lowers that for ever (`reported.modulation_guidance`). A target of mean 0 and variance
    1 keeps the scalar's variance at 1 by itself.

    Args:
        scalar: v_a . x of each token, [batch, tokens]; more than 1 token.
        attention: Output of the attention, [batch, tokens, hidden].
        hidden: The MLP's input x, same shape.

    Returns:
        Scalar in [0, inf); 1 is what a scalar that is always 0 costs.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> attention = torch.tensor([[[1.0], [4.0]]])
        >>> modulation_guidance(torch.tensor([[-1.0, 1.0]]), attention, torch.ones(1, 2, 1))
        tensor(0.)
    """
    expect_same("modulation_guidance", attention=attention, hidden=hidden)
    expect_same("modulation_guidance", scalar=scalar, attention=attention[..., 0])
    tiny = torch.finfo(attention.dtype).tiny
    size = lengths(attention).clamp_min(tiny).log() - lengths(hidden).clamp_min(tiny).log()
    centred = (size - size.mean()).detach()
    target = centred / centred.square().mean().sqrt().clamp_min(tiny)
    return (scalar - target).square().mean()


def projection_consistency(update: Tensor, correction: Tensor) -> Tensor:
    """What the modulation adds to the gate follows what the gate lacks, relative to its energy.

    sum (u - c)^2 / sum c^2, with u = v_b (v_a . x) and c = W_gate (norm(h + a) - x), the change of
    the gate that the attention makes in the original layer. The reported form holds v_b alone
    against W_gate a, but v_b is multiplied with the scalar before it reaches the gate, with either
    sign; and it punishes v_b for differing between tokens, while W_gate a differs between all of
    them: the two halves cannot both be met (`reported.projection_consistency`).

    Args:
        update: What the modulation adds to the gate, [batch, tokens, gate]: `gate_update`.
        correction: What it should add, same shape; taken without a gradient.

    Returns:
        Scalar in [0, inf); 1 is what no modulation costs.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> correction = torch.ones(1, 2, 4)
        >>> projection_consistency(torch.zeros(1, 2, 4), correction)
        tensor(1.)
    """
    expect_same("projection_consistency", update=update, correction=correction)
    wanted = correction.detach()
    energy = wanted.square().mean().clamp_min(torch.finfo(wanted.dtype).tiny)
    return (update - wanted).square().mean() / energy
