"""The target in two parts that add up to it."""

from typing import NamedTuple

import torch
from torch import Tensor

from poise.losses.tensors import expect_same, lengths


class Parts(NamedTuple):
    """The two parts of the relative squared error; their sum is `direct_mlp`.

    Example:
        >>> Parts(torch.tensor(0.25), torch.tensor(0.5)).along
        tensor(0.2500)
    """

    along: Tensor
    """Along the attention output of each token: is the attention reconstructed?"""
    across: Tensor
    """At right angles to it: is the rest of the MLP's answer right?"""


def decomposed_target(modulated: Tensor, attention: Tensor, mlp_with_attention: Tensor) -> Parts:
    """The error of the modulated MLP, split along and across each token's attention output.

    e = m - (a + MLP(norm(h + a))); along = sum (e . a/|a|)^2 / sum t^2, across = the rest of the
    squared error over the same energy. Whatever the two are weighted with, their minimum is the
    target. The reported form slices the first `hidden` features off an output that has no more: its
    MLP half compares 0 with the target and has no gradient, and its other half pulls the output to
    the attention alone (`reported.decomposed_target`).

    Args:
        modulated: Output of the modulated MLP, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        mlp_with_attention: MLP(norm(h + attention)), same shape.

    Returns:
        Two scalars in [0, inf); equally weighted they are `direct_mlp`.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> attention = torch.tensor([[[2.0, 0.0]]])
        >>> mlp = torch.tensor([[[0.0, 1.0]]])
        >>> decomposed_target(torch.tensor([[[2.0, 0.0]]]), attention, mlp)
        Parts(along=tensor(0.), across=tensor(0.2000))
    """
    expect_same(
        "decomposed_target",
        modulated=modulated,
        attention=attention,
        mlp_with_attention=mlp_with_attention,
    )
    tiny = torch.finfo(attention.dtype).tiny
    target = (attention + mlp_with_attention).detach()
    energy = target.square().sum().clamp_min(tiny)
    away = attention.detach()
    unit = away / lengths(away).unsqueeze(-1).clamp_min(tiny)
    error = modulated - target
    size = (error * unit).sum(-1, keepdim=True)
    rest = error - size * unit
    return Parts(size.square().sum() / energy, rest.square().sum() / energy)
