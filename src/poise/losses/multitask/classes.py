"""The class of a window."""

from torch import Tensor
from torch.nn import functional as F

from poise.reduce import Reduced, Reduction, masked_mean

UNKNOWN = -100
"""Class of a window that does not count, as everywhere in PyTorch."""


def class_loss(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Reduced:
    """Cross-entropy of the class of each window, mean over the windows.

    Args:
        logits: Shape (windows, classes), any real numbers.
        target: Class of each window, shape (windows,), integers from 0; -100 where it is not known:
            such a window does not count.
        weight: Weight of each class, shape (classes,), above 0: each window's loss is multiplied by
            that of its class. The mean is still over the windows, not over the weights, so that
            a batch of rare classes counts more.

    Returns:
        In nats, from 0; ln(classes) for a uniform prediction. Reduction `sample`.

    Example:
        >>> import torch
        >>> class_loss(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])).value
        tensor(1.0986)
    """
    each = F.cross_entropy(logits, target, weight=weight, reduction="none")
    found = masked_mean(each, target != UNKNOWN)
    return Reduced(sum=found.sum, count=found.count, reduction=Reduction.SAMPLE)
