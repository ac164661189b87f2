"""F1 of predicted spans, and that of predicting one everywhere."""

from torch import Tensor

from poise.losses.tensors import expect_same


def span_f1(
    probability: Tensor, target: Tensor, mask: Tensor | None = None, *, threshold: float = 0.5
) -> float:
    """F1 of the steps that are predicted to lie in a span, over all windows together.

    Args:
        probability: Of lying in a span, from 0 to 1; any shape.
        target: 1 where a step does, else 0; the same shape.
        mask: True where a step counts, bool; None: everywhere.
        threshold: Probability above which a step is predicted to.

    Returns:
        From 0 to 1; 0 where no step is predicted rightly.

    Raises:
        LossError: Probability, target or mask differ in shape.

    Example:
        >>> import torch
        >>> span_f1(torch.tensor([0.9, 0.8, 0.1, 0.1]), torch.tensor([1.0, 0.0, 0.0, 1.0]))
        0.5
    """
    expect_same("span_f1", probability=probability, target=target)
    said, true = probability > threshold, target > 0
    if mask is not None:
        expect_same("span_f1", target=target, mask=mask)
        said, true = said & mask, true & mask
    right, both = int((said & true).sum()), int(said.sum()) + int(true.sum())
    return 2 * right / both if both else 0.0


def f1_of_everything(rate: float) -> float:
    """F1 of predicting every step to lie in a span: what an F1 must beat to mean anything.

    Args:
        rate: Share of the steps that do, from 0 to 1.

    Example:
        >>> round(f1_of_everything(0.071), 3)
        0.133
    """
    return 2 * rate / (1 + rate)
