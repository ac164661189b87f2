"""Reductions of unreduced losses under a mask.

What is masked out enters neither the sum nor the count nor the gradient, not even where it is NaN.
The mask must fit exactly: nothing is broadcast, because a (batch,) against a (batch, 1) would
quietly become batch x batch. Half precision is summed in single precision.
"""

import torch
from torch import Tensor

from poise.errors import ReductionError
from poise.reduce.reduced import Reduced, Reduction, floating


def masked_sum(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Sum of the values where the mask is true, with the number of them.

    Args:
        values: Unreduced losses, any shape.
        mask: True where a value counts, bool, shape of `values`; None: everywhere.

    Returns:
        Reduction `sum`: its value is the sum, which grows with the count.

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> part = masked_sum(torch.tensor([2.0, 4.0, 9.0]), torch.tensor([True, True, False]))
        >>> part.value, part.count
        (tensor(6.), tensor(2))
    """
    return _reduce("masked_sum", values, mask, None, Reduction.SUM)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Mean of the values where the mask is true.

    Args:
        values: Unreduced losses, any shape.
        mask: True where a value counts, bool, shape of `values`; None: everywhere. All false gives
            value 0 with count 0 and gradient 0.

    Returns:
        Reduction `element`: count is the number of true positions; its gradient has 1/count inside.

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> masked_mean(torch.tensor([2.0, 4.0]), torch.tensor([True, False])).value
        tensor(2.)
        >>> masked_mean(torch.tensor([2.0, 4.0]), torch.tensor([False, False])).value
        tensor(0.)
    """
    return _reduce("masked_mean", values, mask, None, Reduction.ELEMENT)


def per_token(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Features summed, then the mean over all tokens of all sequences.

    The usual reduction of a language model. A divergence over classes is *summed* over the classes
    here: their mean would be smaller by the number of classes.

    Args:
        values: Unreduced losses, shape (batch, tokens, *features); packed (tokens, *features) with
            a mask.
        mask: True where a token counts, bool, shape (batch, tokens); packed (tokens,).

    Returns:
        Reduction `token`: count is the number of tokens; its gradient has 1/count inside.

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> divergence = torch.ones(2, 3, 10)
        >>> per_token(divergence, torch.tensor([[True, True, True], [True, False, False]])).value
        tensor(10.)
    """
    return _reduce("per_token", values, mask, _token_dims(mask), Reduction.TOKEN)


def per_sample(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Everything of one sample summed, then the mean over the samples.

    The reduction of a likelihood: pixels, tokens or latent dimensions of one sample add up.

    Args:
        values: Unreduced losses, shape (batch, *features).
        mask: True where a sample counts, bool, shape (batch,).

    Returns:
        Reduction `sample`: count is the number of samples; its gradient has 1/count inside.

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> per_sample(torch.ones(4, 28, 28)).value
        tensor(784.)
    """
    return _reduce("per_sample", values, mask, 1, Reduction.SAMPLE)


def per_sequence(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Mean over the tokens of each sequence, then over the sequences.

    Every sequence weighs the same, so a token of a long one weighs less: a policy that is punished
    this way learns to be long. Where that is not wanted take `per_token`.

    Args:
        values: Unreduced losses, shape (batch, tokens, *features); features are summed.
        mask: True where a token counts, bool, shape (batch, tokens). A sequence without a true
            position does not count.

    Returns:
        Reduction `sequence`: count is the number of sequences with at least one token; its gradient
        has 1/count and 1/tokens of the sequence inside.

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> values = torch.tensor([[1.0, 3.0], [6.0, 100.0]])
        >>> per_sequence(values, torch.tensor([[True, True], [True, False]])).value
        tensor(4.)
    """
    kept, mask = _kept("per_sequence", values, mask, 2)
    sums = kept.sum(dim=tuple(range(1, kept.ndim)), dtype=_wide(values))
    tokens = mask.sum(dim=1)
    means = sums / tokens.clamp(min=1)
    return Reduced(sum=means.sum(), count=(tokens > 0).sum(), reduction=Reduction.SEQUENCE)


def per_feature(values: Tensor, mask: Tensor | None = None) -> Reduced:
    """Mean of each feature over the positions where the mask is true.

    For losses that are made of such means: the load of every expert, the use of every code.
    Products of them are *not* additive over micro-batches; combine the `Reduced` first.

    Args:
        values: Shape (*positions, features).
        mask: True where a position counts, bool, shape (*positions,).

    Returns:
        Reduction `token`, with `sum` and `value` of shape (features,).

    Raises:
        ReductionError: The values are no floating numbers or the mask does not fit.

    Example:
        >>> routed = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> per_feature(routed, torch.tensor([True, True, False])).value
        tensor([0.5000, 0.5000])
    """
    floating("per_feature: values", values)
    if values.ndim < 2:
        raise ReductionError(
            "per_feature: expected values of shape (*positions, features), got shape "
            f"{list(values.shape)}; for one feature pass values[..., None]"
        )
    kept, mask = _kept("per_feature", values, mask, values.ndim - 1)
    sums = kept.flatten(end_dim=-2).sum(dim=0, dtype=_wide(values))
    return Reduced(sum=sums, count=mask.sum(), reduction=Reduction.TOKEN)


def _token_dims(mask: Tensor | None) -> int:
    """1 for packed tokens, else 2; a mask of any other rank is not one over tokens."""
    return 1 if isinstance(mask, Tensor) and mask.ndim == 1 else 2


def _reduce(
    who: str, values: Tensor, mask: Tensor | None, dims: int | None, reduction: Reduction
) -> Reduced:
    kept, mask = _kept(who, values, mask, dims)
    return Reduced(sum=kept.sum(dtype=_wide(values)), count=mask.sum(), reduction=reduction)


def _kept(who: str, values: Tensor, mask: Tensor | None, dims: int | None) -> tuple[Tensor, Tensor]:
    """The values with 0 for what is masked out, and the mask over the first `dims` (None: all)."""
    floating(f"{who}: values", values)
    dims = values.ndim if dims is None else dims
    if values.ndim < dims:
        raise ReductionError(
            f"{who}: expected values of at least {dims} dimensions, got shape {list(values.shape)}"
        )
    shape = values.shape[:dims]
    if mask is None:
        return values, torch.ones(shape, dtype=torch.bool, device=values.device)
    _check_kind(who, mask)
    if mask.shape != shape:
        raise ReductionError(
            f"{who}: expected a mask of shape {list(shape)}, got {list(mask.shape)} for values of "
            f"shape {list(values.shape)}; nothing is broadcast, so reshape it"
        )
    over = mask.reshape(*shape, *[1] * (values.ndim - dims))
    # A product with the mask would keep NaN and infinity: 0 * NaN is NaN.
    zero = torch.zeros((), dtype=values.dtype, device=values.device)
    return torch.where(over, values, zero), mask


def _check_kind(who: str, mask: Tensor) -> None:
    if not isinstance(mask, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance] -- users' input
        raise ReductionError(
            f"{who}: expected a bool mask as a tensor, got {type(mask).__name__}; pass "
            "torch.as_tensor(mask)"
        )
    if mask.dtype != torch.bool:
        raise ReductionError(
            f"{who}: expected a bool mask, got {mask.dtype}; pass mask.bool() (for weights, "
            "multiply the values and build Reduced(sum=..., count=weights.sum()))"
        )


def _wide(values: Tensor) -> torch.dtype:
    """At least single precision: a sum of 300 values of 256 is infinite in float16."""
    return torch.promote_types(values.dtype, torch.float32)
