"""Attention maps of a student made like those of its teacher."""

import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.distill.alignment import Alignment
from poise.losses.distill.fit import same_shape
from poise.reduce import Reduced, per_token

FORM = "batch, heads, queries, keys"


def attention_kl(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Reduced:
    """KL(teacher || student) of what each token attends to; the maps are probabilities already.

    Args:
        student: Attention probabilities, shape (batch, heads, tokens, tokens), rows sum up to 1.
            Mean over the heads first (keepdim) where the models have different numbers of them.
        teacher: The same of the teacher, at the student's tokens (see `carry_attention`).
        mask: True where a query counts, bool, shape (batch, tokens).

    Returns:
        In nats, from 0 on: summed over keys, mean over heads and queries; count and gradient are
        per query. What the student has below the smallest normal number is taken as that.

    Raises:
        LossError: The shapes differ.
        ReductionError: The mask does not fit.

    Source:
        Wang et al. 2020, "MiniLM", arXiv:2002.10957, equation 6.

    Example:
        >>> student = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]])
        >>> teacher = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
        >>> attention_kl(student, teacher).value  # 0 and ln 2
        tensor(0.3466)
    """
    same_shape("attention_kl", student, teacher, FORM)
    log_q = student.clamp(min=torch.finfo(student.dtype).tiny).log()
    values = torch.xlogy(teacher, teacher) - teacher * log_q
    return per_token(values.mean(dim=1), mask)


def carry_attention(alignment: Alignment, back: Alignment, teacher: Tensor) -> Tensor:
    """The teacher's attention between the student's tokens.

    Queries are averaged as hidden states are; what falls on a key of the teacher is handed out to
    the student's tokens that stand for it. What would fall on later tokens is left out and the rest
    brought to 1 again, as both models look back only.

    Args:
        alignment: From the student's tokens to the teacher's, for the queries.
        back: From the teacher's tokens to the student's, made in the same way, for the keys.
        teacher: Shape (batch, heads, teacher tokens, teacher tokens).

    Returns:
        Shape (batch, heads, student tokens, student tokens); rows sum up to 1, or are 0 where
        nothing of the text is left.

    Raises:
        LossError: The alignments are of other tokens.

    Example:
        >>> from poise.losses.distill import align_spans
        >>> student = torch.tensor([[[0, 2], [2, 4]]])
        >>> teacher = torch.tensor([[[0, 1], [1, 2], [2, 4]]])
        >>> there, back = align_spans(student, teacher), align_spans(teacher, student)
        >>> carry_attention(there, back, torch.full((1, 1, 3, 3), 1 / 3).tril())[0, 0]
        tensor([[1.0000, 0.0000],
                [0.6667, 0.3333]])
    """
    size, other = alignment.weights.shape[1:]
    if teacher.ndim != 4 or teacher.shape[2:] != (other, other) or back.mask.shape[1] != other:
        raise LossError(
            f"carry_attention: expected {FORM} of {other} tokens and an alignment back from them, "
            f"got {list(teacher.shape)} and {list(back.weights.shape)}"
        )
    here, there = alignment.weights.to(teacher.dtype), back.weights.to(teacher.dtype)
    carried = torch.einsum("bst,bhtu,bur->bhsr", here, teacher, there)
    causal = carried * torch.ones(size, size, device=carried.device).tril()
    whole = causal.sum(dim=-1, keepdim=True)
    return torch.where(whole > 0, causal / whole.clamp(min=1e-12), causal)
