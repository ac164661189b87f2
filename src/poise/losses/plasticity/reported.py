"""The loss terms as they were reported, defects included, to be shown and compared with.

None of them is meant to be trained with. The working form of each has the same name in
`poise.losses.plasticity`, and says what is wrong here.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from poise.losses.tensors import lengths


def direct_mlp(modulated: Tensor, attention: Tensor, mlp_with_attention: Tensor) -> Tensor:
    """Mean squared error to attention + MLP, over the root mean square of that target.

    It is sound as a direction, but not free of scale: activations of twice the size cost twice as
    much, so that its weight against other terms depends on the layer.

    Args:
        modulated: Output of the modulated MLP, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        mlp_with_attention: MLP(norm(h + attention)), same shape.

    Returns:
        Scalar in [0, inf), in units of the hidden states.

    Example:
        >>> one = torch.ones(1, 2, 4)
        >>> [round(direct_mlp(0 * one, k * one, k * one).item(), 4) for k in (1, 5)]
        [2.0, 10.0]
    """
    target = attention + mlp_with_attention
    rms = target.square().mean().sqrt()
    return functional.mse_loss(modulated, target) / (rms + 1e-6)


def modulation_guidance(v_a: Tensor, hidden: Tensor, attention: Tensor) -> Tensor:
    """Squared error of squashed scalars, minus a tenth of their variance: no lower bound.

    The squashed target never leaves [0.5, 1), as a ratio of norms is never negative.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden].
        hidden: The MLP's input, same shape.
        attention: Output of the attention, same shape.

    Returns:
        Scalar in (-inf, 1].

    Example:
        >>> x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
        >>> modulation_guidance(1e3 * x, x, x) < -1e5
        tensor(True)
    """
    scalar = (v_a * hidden).sum(-1)
    importance = lengths(attention) / lengths(hidden)
    match = functional.mse_loss(torch.sigmoid(scalar), torch.sigmoid(importance))
    return match - 0.1 * torch.var(scalar)


def decomposed_target(modulated: Tensor, attention: Tensor, mlp_with_attention: Tensor) -> Tensor:
    """Half an error to the attention alone, half a constant.

    The slice is the whole output, so the MLP's part is exactly 0: mean(mlp_with_attention^2) / 2
    without a gradient.

    Args:
        modulated: Output of the modulated MLP, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        mlp_with_attention: MLP(norm(h + attention)), same shape.

    Returns:
        Scalar in [0, inf); smallest where the output is the attention, which is not the target.

    Example:
        >>> attention, mlp = torch.ones(1, 2, 4), torch.full((1, 2, 4), 2.0)
        >>> [decomposed_target(one, attention, mlp).item() for one in (attention, attention + mlp)]
        [2.0, 4.0]
    """
    first = modulated[:, :, : attention.size(-1)]
    rest = modulated - first
    return 0.5 * functional.mse_loss(first, attention) + 0.5 * functional.mse_loss(
        rest, mlp_with_attention
    )


def information_bottleneck(
    v_a: Tensor, attention: Tensor, hidden: Tensor, *, beta: float = 0.01
) -> Tensor:
    """Absolute cosines: v_a and -v_a score the same.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden].
        attention: Output of the attention, same shape.
        hidden: The MLP's input, same shape.
        beta: Weight of the cosine with the input.

    Returns:
        Scalar in [-1, beta].

    Example:
        >>> a, x = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> information_bottleneck(a, a, x) == information_bottleneck(-a, a, x)
        tensor(True)
    """
    to_hidden = functional.cosine_similarity(v_a, hidden, dim=-1).abs().mean()
    to_attention = functional.cosine_similarity(v_a, attention, dim=-1).abs().mean()
    return beta * to_hidden - to_attention


def projection_consistency(v_b: Tensor, gate_weight: Tensor, attention: Tensor) -> Tensor:
    """v_b alike for all tokens, and along a correction that differs between all tokens.

    Args:
        v_b: Directions that are written, [batch, tokens, gate].
        gate_weight: Weight of the gate projection, [gate, hidden].
        attention: Output of the attention, [batch, tokens, hidden].

    Returns:
        Scalar in [0, inf); its two halves cannot both be 0 unless all corrections are parallel.

    Example:
        >>> attention = torch.tensor([[[1.0], [-1.0]]])  # two tokens that need opposite corrections
        >>> v_b = torch.ones(1, 2, 1)
        >>> projection_consistency(v_b, torch.ones(1, 1), attention)  # consistent, aligned with one
        tensor(1.)
        >>> projection_consistency(attention, torch.ones(1, 1), attention)  # right for both
        tensor(1.)
    """
    correction = functional.linear(attention, gate_weight)
    mean = v_b.mean(dim=1, keepdim=True)
    consistency = functional.mse_loss(v_b, mean.expand_as(v_b))
    alignment = functional.cosine_similarity(v_b, correction, dim=-1).mean()
    return consistency + (1 - alignment)


def orthogonality(v_a: Tensor, hidden: Tensor, *, repaired: bool = False) -> Tensor:
    """Projection on principal directions, with one transposition too many.

    Args:
        v_a: Directions that are read, [batch, tokens, hidden].
        hidden: The MLP's input, same shape.
        repaired: Without that transposition: then it runs, and is smallest for v_a = 0.

    Returns:
        Scalar in [0, inf).

    Raises:
        RuntimeError: Always, unless `repaired` (or the hidden width is 10): the shapes do not fit.

    Example:
        >>> v_a, x = torch.randn(2, 16, 64), torch.randn(2, 16, 64)
        >>> orthogonality(0 * v_a, x, repaired=True)
        tensor(0.)
    """
    flat = hidden.reshape(-1, hidden.size(-1))
    _, _, axes = torch.svd_lowrank(flat, q=10)
    rows = v_a.reshape(-1, v_a.size(-1))
    projections = rows @ (axes if repaired else axes.T)
    return projections.pow(2).mean() * 0.01


def adaptive_weights(
    losses: Sequence[Tensor], norms: Tensor, *, momentum: float = 0.9
) -> tuple[Tensor, Tensor]:
    """Weights from grad(loss, loss), which is 1 for every loss: always equal.

    Args:
        losses: Scalar losses with a graph.
        norms: What it remembers, [losses]; zeros at first.
        momentum: Of the moving average.

    Returns:
        The weights, [losses], adding up to 1; and what it remembers now.

    Raises:
        RuntimeError: A loss has no graph.

    Example:
        >>> x = torch.ones(1, requires_grad=True)
        >>> adaptive_weights([1e-6 * x.sum(), 1e6 * x.sum()], torch.zeros(2))[0]
        tensor([0.5000, 0.5000])
    """
    found = [torch.autograd.grad(one, one, retain_graph=True)[0].abs() for one in losses]
    norms = momentum * norms + (1 - momentum) * torch.stack(found)
    weights = norms.mean() / (norms + 1e-6)
    return weights / weights.sum(), norms


def curriculum_mask(attention: Tensor, step: int) -> Tensor:
    """Tokens with little attention first: 30% until step 500, 70% until step 1000, then all.

    Args:
        attention: Output of the attention, [batch, tokens, hidden].
        step: Optimizer step.

    Returns:
        True where a token counts, bool, [batch, tokens]; none where all norms are equal.

    Example:
        >>> attention = torch.tensor([[[1.0], [3.0], [2.0], [4.0]]])
        >>> curriculum_mask(attention, 0)
        tensor([[ True, False, False, False]])
        >>> curriculum_mask(torch.ones(1, 4, 1), 0).any()
        tensor(False)
    """
    norms = lengths(attention)
    if step < 1000:
        return norms < torch.quantile(norms, 0.3 if step < 500 else 0.7)
    return torch.ones_like(norms, dtype=torch.bool)


def stage_weights(step: int, stage: int) -> Mapping[str, float]:
    """The weights of the reported training: two gentle stages, then a jump.

    Args:
        step: Its counter.
        stage: S, the length of stage 1; stage 2 ends at 3 S.

    Returns:
        Weight by term. From step 3 S - 1 to 3 S `direct` goes from 0.5 to 10, `attention` from 0.3
        to 1 and `fidelity` from 0.3 to 1.

    Example:
        >>> [stage_weights(step, 100)["direct"] for step in (0, 100, 299, 300)]
        [0.1, 0.1, 0.498, 10.0]
    """
    if step < stage:
        return {"direct": 0.1, "attention": 0.8, "fidelity": 0.1, "regularisation": 0.01}
    if step >= 3 * stage:
        return {"direct": 10.0, "attention": 1.0, "fidelity": 1.0, "regularisation": 0.01}
    done = (step - stage) / (2 * stage)
    return {
        "direct": 0.1 + 0.4 * done,
        "attention": 0.8 - 0.5 * done,
        "fidelity": 0.1 + 0.2 * done,
        "regularisation": 0.01,
    }
