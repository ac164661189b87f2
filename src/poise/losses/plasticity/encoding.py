"""What v_a should be: the attention output itself, or informative about it."""

import torch
from torch import Tensor
from torch.nn import functional

from poise.errors import LossError
from poise.losses.tensors import expect_same


def attention_encoding(v_a: Tensor, attention: Tensor) -> Tensor:
    """Pulls v_a to the attention output: a scaled squared error and half the cosine distance.

    mse(v_a, a) / rms(a) + (1 - cos(v_a, a)) / 2, as reported. The function is sound; as a term it
    competes with `direct_mlp`: what the layer needs is that v_a . x and v_b together bend the gate,
    not that v_a is a copy. docs/incidents/plasticity.md has what it costs.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden]; of a rank above 1, one of them.
        attention: Output of the attention, same shape.

    Returns:
        Scalar in [0, inf). The first part grows with the size of the activations: it is divided by
        a root mean square, not by a mean square.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> attention = torch.ones(1, 2, 4)
        >>> round(attention_encoding(attention, attention).item(), 4)
        0.0
        >>> round(attention_encoding(-attention, attention).item(), 4)
        5.0
    """
    expect_same("attention_encoding", v_a=v_a, attention=attention)
    rms = attention.square().mean().sqrt()
    cosine = functional.cosine_similarity(v_a, attention, dim=-1)
    return functional.mse_loss(v_a, attention) / (rms + 1e-6) + 0.5 * (1 - cosine).mean()


def information_bottleneck(
    v_a: Tensor, attention: Tensor, hidden: Tensor, *, beta: float = 0.01
) -> Tensor:
    """v_a points along the attention output, and as little as possible along the MLP's input.

    (1 - cos(v_a, a)) + beta cos(v_a, x)^2. The reported form rewards |cos(v_a, a)|: v_a = a and
    v_a = -a score the same there, so half of all starts are driven to the wrong sign, and its
    gradient jumps where the sign changes (`reported.information_bottleneck`). Here the sign counts.
    Towards x only the size matters, and its square is smooth at 0.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        hidden: The MLP's input x, same shape.
        beta: Weight of the second part.

    Returns:
        Scalar in [0, 2 + beta]; it does not depend on the sizes of the three.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> a, x = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> information_bottleneck(a, a, x), information_bottleneck(-a, a, x)
        (tensor(0.), tensor(2.))
    """
    expect_same("information_bottleneck", v_a=v_a, attention=attention, hidden=hidden)
    to_attention = functional.cosine_similarity(v_a, attention, dim=-1)
    to_hidden = functional.cosine_similarity(v_a, hidden, dim=-1)
    return (1 - to_attention).mean() + beta * to_hidden.square().mean()


def orthogonality(v_a: Tensor, hidden: Tensor, *, directions: int = 10) -> Tensor:
    """Share of v_a's energy that lies in the leading principal directions of the hidden states.

    The reported form transposes the directions once too often and raises at its first call; with
    that repaired it is smallest for v_a = 0, so it shrinks v_a . x, the only scalar the layer uses
    (`reported.orthogonality`). A share of energy cannot be lowered by shrinking.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden].
        hidden: The MLP's input x, same shape; its directions are taken without a gradient, about
            the mean.
        directions: How many of them, at most the hidden width.

    Returns:
        Scalar in [0, 1]; 0 where v_a is 0.

    Raises:
        LossError: Shapes differ, or more directions than the hidden states have.

    Example:
        >>> x = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]])
        >>> orthogonality(7 * x, x, directions=1), orthogonality(x.flip(-1), x, directions=1)
        (tensor(1.), tensor(0.))
    """
    expect_same("orthogonality", v_a=v_a, hidden=hidden)
    flat = hidden.detach().reshape(-1, hidden.shape[-1])
    if not 1 <= directions <= min(flat.shape):
        raise LossError(
            f"orthogonality: expected 1 to {min(flat.shape)} directions of {flat.shape[0]} hidden "
            f"states of width {flat.shape[1]}, got {directions}"
        )
    _, _, axes = torch.svd(flat - flat.mean(0))
    inside = (v_a @ axes[:, :directions]).square().sum(-1)
    whole = v_a.square().sum(-1)
    return (inside / whole.clamp_min(torch.finfo(v_a.dtype).tiny)).mean()
