"""Centre and length of a span, as fractions of its window."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.tensors import expect_same
from poise.reduce import Reduced, masked_mean


def pointer_target(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Centre and length of the span of each window.

    Args:
        start: First step of the span, shape (windows,).
        end: Last step of the span, shape (windows,).
        steps: Steps of a window.

    Returns:
        Shape (windows, 2), as fractions of the window, from 0 to 1.

    Example:
        >>> pointer_target(torch.tensor([20.0]), torch.tensor([40.0]), 100)
        tensor([[0.3000, 0.2000]])
    """
    return torch.stack([(start + end) / 2, end - start], dim=1) / steps


def pointer_loss(prediction: Tensor, target: Tensor, *, delta: float = 0.08) -> Reduced:
    """Huber loss of two fractions of a window, mean over both pointers of all windows.

    Its value is small because its unit is: an error of 8 steps of 105 is 0.08 windows, and costs
    0.003. That says nothing about its gradient.

    Args:
        prediction: Shape (windows, 2), fractions of the window, from 0 to 1.
        target: Likewise, as `pointer_target` gives it.
        delta: Error up to which the loss is quadratic, in windows, above 0.

    Returns:
        In squared windows up to `delta`, beyond it in windows times `delta`; from 0. Reduction
        `element`.

    Raises:
        LossError: Prediction and target differ in shape.

    Example:
        >>> pointer_loss(torch.tensor([[0.5, 0.1]]), torch.tensor([[0.42, 0.1]])).value
        tensor(0.0016)
    """
    expect_same("pointer_loss", prediction=prediction, target=target)
    return masked_mean(F.huber_loss(prediction, target, delta=delta, reduction="none"))
