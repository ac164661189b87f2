"""Steps to the start of a span, predicted at every step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.losses.tensors import expect_same
from poise.reduce import Reduced, masked_mean


def countdown_target(start: Tensor, steps: int, *, reach: float = 20.0) -> Tensor:
    """Steps from each step to the start of the window's span, cut off at both ends.

    Args:
        start: First step of the span of each window, shape (windows,).
        steps: Steps of a window.
        reach: Where it is cut off, in steps, above 0.

    Returns:
        Shape (windows, steps), in steps, from -reach to reach; positive before the start.

    Example:
        >>> countdown_target(torch.tensor([2.0]), 5, reach=2)
        tensor([[ 2.,  1.,  0., -1., -2.]])
    """
    time = torch.arange(steps, dtype=start.dtype, device=start.device)
    return (start[:, None] - time).clamp(-reach, reach)


def countdown_loss(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, *, delta: float = 1.0
) -> Reduced:
    """Huber loss of a countdown, mean over all steps of all windows.

    Beyond `delta` it is linear: its gradient is then delta / count a step, however large the error
    and the value are. Dividing it by its value, as a normaliser does, therefore divides the
    gradient by the size of the targets. Let the model predict in units of the target's reach, so
    that its output need not be larger than 1, and leave the loss in steps.

    Args:
        prediction: In steps, shape (windows, steps).
        target: In steps, as `countdown_target` gives it.
        mask: True where a step counts, bool; None: everywhere.
        delta: Error up to which the loss is quadratic, in steps, above 0.

    Returns:
        In steps (for errors beyond `delta`, the error less half of `delta`), from 0. Reduction
        `element`.

    Raises:
        LossError: Prediction and target differ in shape.
        ReductionError: The mask does not fit.

    Example:
        >>> target = countdown_target(torch.tensor([50.0]), 105)
        >>> countdown_loss(torch.zeros_like(target), target).value
        tensor(15.6952)
    """
    expect_same("countdown_loss", prediction=prediction, target=target)
    each = F.huber_loss(prediction, target, delta=delta, reduction="none")
    return masked_mean(each, mask)
