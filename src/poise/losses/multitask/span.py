"""Whether a step lies in a span, predicted at every step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.tensors import expect_same
from poise.reduce import Reduced, masked_mean


def span_target(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """1 from the first to the last step of the span of each window, else 0.

    Args:
        start: First step of the span, shape (windows,).
        end: Last step of the span, shape (windows,).
        steps: Steps of a window.

    Returns:
        Shape (windows, steps), 0.0 or 1.0.

    Example:
        >>> span_target(torch.tensor([1.0]), torch.tensor([2.0]), 5)
        tensor([[0., 1., 1., 0., 0.]])
    """
    time = torch.arange(steps, dtype=start.dtype, device=start.device)
    return ((time >= start[:, None]) & (time <= end[:, None])).to(torch.get_default_dtype())


def span_loss(
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    positive_weight: Tensor | None = None,
) -> Reduced:
    """Binary cross-entropy of lying in a span, mean over all steps of all windows.

    Args:
        logits: Shape (windows, steps), any real numbers.
        target: 1 where a step lies in the span, else 0; the same shape.
        mask: True where a step counts, bool; None: everywhere.
        positive_weight: Factor of the steps in a span, as `positive_weight` gives it; without it
            a model of rare spans does best by predicting none.

    Returns:
        In nats, from 0. Reduction `element`.

    Raises:
        LossError: Logits and target differ in shape.
        ReductionError: The mask does not fit.

    Example:
        >>> span_loss(torch.zeros(2, 5), span_target(torch.ones(2), torch.ones(2), 5)).value
        tensor(0.6931)
    """
    expect_same("span_loss", logits=logits, target=target)
    each = F.binary_cross_entropy_with_logits(
        logits, target, pos_weight=positive_weight, reduction="none"
    )
    return masked_mean(each, mask)


def soft_span_loss(
    probability: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    positive_weight: Tensor | float = 1.0,
    clamp: float = 1e-6,
) -> Reduced:
    """The same from clamped probabilities, as it was trained later: kept for comparison.

    The clamp cuts the gradient off exactly where the model is surely wrong: a step in a span with a
    probability below `clamp` learns nothing any more. `span_loss` on logits has no such edge; take
    that.

    Args:
        probability: Of lying in the span, shape (windows, steps), from 0 to 1.
        target: 1 where a step does, else 0; the same shape.
        mask: True where a step counts, bool; None: everywhere.
        positive_weight: Factor of the steps in a span.
        clamp: Probabilities are kept this far from 0 and 1.

    Returns:
        In nats, from 0. Reduction `element`.

    Raises:
        LossError: Probability and target differ in shape.
        ReductionError: The mask does not fit.

    Example:
        >>> soft_span_loss(torch.full((2, 5), 0.5), torch.ones(2, 5), positive_weight=2.0).value
        tensor(1.3863)
    """
    expect_same("soft_span_loss", probability=probability, target=target)
    # In half precision 1 - clamp is 1, and its logarithm infinite.
    exact = probability.to(torch.promote_types(probability.dtype, torch.float32))
    kept = exact.clamp(clamp, 1 - clamp)
    each = -(positive_weight * target * kept.log() + (1 - target) * (1 - kept).log())
    return masked_mean(each, mask)
