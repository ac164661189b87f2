"""Direct supervision: the modulated MLP must give what attention and MLP gave together."""

import torch
from torch import Tensor
from torch.nn import functional

from poise.losses.tensors import expect_same
from poise.reduce import Reduced, masked_mean


def direct_mlp(
    modulated: Tensor, attention: Tensor, mlp_with_attention: Tensor, mask: Tensor | None = None
) -> Reduced:
    """Squared error of the modulated MLP to attention + MLP, relative to the target's energy.

    sum (m - t)^2 / sum t^2 with t = attention + MLP(norm(h + attention)): 0 is perfect, 1 is what
    an output of 0 costs, and no unit of the hidden states is left in it. The reported form divides
    by the root mean square of t and not by its square, so that it doubles with the activations:
    `reported.direct_mlp`.

    Args:
        modulated: Output of the modulated MLP, [batch, tokens, hidden].
        attention: Output of the attention, same shape. It must be that of the real forward pass:
            causal and with position embedding.
        mlp_with_attention: MLP(norm(h + attention)), same shape.
        mask: True where a token counts, bool, [batch, tokens]; None: everywhere.

    Returns:
        In [0, inf); its count is that of the numbers compared. The gradient has 1/count inside,
        and goes to `modulated` alone: the energy is taken without one.

    Raises:
        LossError: Shapes differ.
        ReductionError: The mask does not fit.

    Example:
        >>> import torch
        >>> attention, mlp = torch.ones(1, 2, 4), torch.ones(1, 2, 4)
        >>> direct_mlp(torch.zeros(1, 2, 4), attention, mlp).value
        tensor(1.)
        >>> direct_mlp(attention + mlp, attention, mlp).value
        tensor(0.)
    """
    expect_same(
        "direct_mlp",
        modulated=modulated,
        attention=attention,
        mlp_with_attention=mlp_with_attention,
    )
    target = (attention + mlp_with_attention).detach()
    counted = None if mask is None else mask.unsqueeze(-1).expand_as(target)
    energy = masked_mean(target.square(), counted).value
    tiny = max(1e-12, torch.finfo(target.dtype).tiny)  # 1e-12 is 0 in half precision
    return masked_mean((modulated - target).square() / energy.clamp_min(tiny), counted)


def logit_fidelity(logits: Tensor, original: Tensor) -> Tensor:
    """Mean squared difference of the converted model's logits to the original's.

    Args:
        logits: Of the model with its modulated layer, [batch, tokens, vocabulary].
        original: Of the model as it was, same shape.

    Returns:
        Scalar in [0, inf), squared logits; a mean over all elements. A constant that is added to
        all logits of a token changes it, although it changes no probability.

    Raises:
        LossError: Shapes differ.

    Example:
        >>> import torch
        >>> logit_fidelity(torch.ones(1, 2, 4), torch.zeros(1, 2, 4))
        tensor(1.)
    """
    expect_same("logit_fidelity", logits=logits, original=original)
    return functional.mse_loss(logits, original)


def regularisation(v_a: Tensor, v_b: Tensor) -> Tensor:
    """Mean squares of both factors: mean v_a^2 + mean v_b^2.

    Args:
        v_a: Directions that are read, any shape.
        v_b: Directions that are written, any shape.

    Returns:
        Scalar in [0, inf).

    Example:
        >>> import torch
        >>> regularisation(torch.full((2, 3), 2.0), torch.ones(2, 5))
        tensor(5.)
    """
    return v_a.square().mean() + v_b.square().mean()
