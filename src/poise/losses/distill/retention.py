"""How much of the teacher is in the student: measures, not losses."""

from torch import Tensor

from poise.losses.distill.divergence import FORM, temperature_kl
from poise.losses.distill.fit import at_least, same_shape
from poise.reduce import Reduced, per_token


def retained_kl(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Reduced:
    """KL(teacher || student) per token, at temperature 1, without graph.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Logits of the same tokens in the same vocabulary.
        mask: True where a token counts, bool, shape (batch, tokens).

    Returns:
        In nats, from 0 on; the same for any length.

    Raises:
        LossError: The shapes differ.
        ReductionError: The mask does not fit.

    Example:
        >>> import torch
        >>> logits = torch.randn(2, 9, 32)
        >>> retained_kl(logits, logits).value
        tensor(0.)
    """
    return temperature_kl(student.detach(), teacher.detach(), mask)


def top_k_overlap(
    student: Tensor, teacher: Tensor, mask: Tensor | None = None, *, top_k: int = 5
) -> Reduced:
    """Part of the teacher's most likely tokens that are among the student's.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Logits of the same tokens in the same vocabulary.
        mask: True where a token counts, bool, shape (batch, tokens).
        top_k: How many of each; at most the vocabulary.

    Returns:
        From 0 to 1; chance is `top_k` over the vocabulary. Mean over tokens.

    Raises:
        LossError: The shapes differ or `top_k` is less than 1.
        ReductionError: The mask does not fit.

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[[3.0, 2.0, 1.0]]]), torch.tensor([[[3.0, 1.0, 2.0]]])
        >>> top_k_overlap(student, teacher, top_k=2).value
        tensor(0.5000)
    """
    same_shape("top_k_overlap", student, teacher, FORM)
    at_least("top_k_overlap", "top_k", top_k, 1)
    most = min(top_k, student.shape[-1])
    first, second = (one.topk(most, dim=-1).indices for one in (student, teacher))
    hits = (first[..., :, None] == second[..., None, :]).any(dim=-1)
    return per_token(hits.to(student.dtype).mean(dim=-1), mask)
