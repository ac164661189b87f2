"""Each text's student state nearest to the same text's teacher state."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import ReductionError
from poise.losses.distill.fit import at_least, same_shape
from poise.reduce import Reduced, Reduction


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the hidden states over the tokens of each text.

    Args:
        hidden: Shape (batch, tokens, features).
        mask: True where a token counts, bool, shape (batch, tokens).

    Returns:
        Shape (batch, features); 0 for a text without tokens.

    Raises:
        ReductionError: The mask does not fit.

    Example:
        >>> hidden = torch.tensor([[[1.0], [3.0], [50.0]]])
        >>> mean_pooled(hidden, torch.tensor([[True, True, False]]))
        tensor([[2.]])
    """
    if mask.dtype != torch.bool or mask.shape != hidden.shape[:2]:
        raise ReductionError(
            f"mean_pooled: expected a bool mask of shape {list(hidden.shape[:2])}, got "
            f"{mask.dtype} of shape {list(mask.shape)}"
        )
    kept = torch.where(mask[..., None], hidden, torch.zeros_like(hidden))
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def info_nce(student: Tensor, teacher: Tensor, *, temperature: float = 0.07) -> Reduced:
    """Cross-entropy of finding the own teacher state among those of the batch, by cosine.

    A batch of one text has nothing to tell apart and costs 0. At a small temperature the gradient
    is large where the states are small: near initialisation this term can own the gradient while
    its value looks negligible.

    Args:
        student: One state per text in the teacher's width, shape (batch, features).
        teacher: The same of the teacher; take it without a graph.
        temperature: What cosines are divided by, above 0.

    Returns:
        In nats, from 0 on; ln(batch) if all look alike. Mean over texts; count and gradient are per
        text.

    Raises:
        LossError: The shapes differ or the temperature is not positive.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, equation 4.

    Example:
        >>> info_nce(torch.eye(4), torch.eye(4)).value < 1e-5, info_nce(torch.ones(4, 2),
        ... torch.ones(4, 2)).value
        (tensor(True), tensor(1.3863))
    """
    same_shape("info_nce", student, teacher, "batch, features")
    at_least("info_nce", "a temperature", temperature, 0.0, strict=True)
    tiny = max(1e-12, torch.finfo(student.dtype).tiny)  # 1e-12 is 0 in half precision
    near = F.normalize(student, dim=-1, eps=tiny) @ F.normalize(teacher, dim=-1, eps=tiny).T
    own = torch.arange(len(student), device=student.device)
    values = F.cross_entropy(near / temperature, own, reduction="none")
    return Reduced(sum=values.sum(), count=len(student), reduction=Reduction.SAMPLE)
