"""Divergences between the next-token distributions of a student and its teacher."""

import torch
from torch import Tensor

from poise.losses.distill.fit import at_least, same_shape
from poise.reduce import Reduced, per_token

FORM = "batch, tokens, vocabulary"


def temperature_kl(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    *,
    temperature: float = 1.0,
    squared: bool = True,
) -> Reduced:
    """KL(teacher || student) of softened distributions, for each token.

    The gradient with respect to a logit is (q - p) / T without the factor T squared and (q - p) * T
    with it, where p and q differ by about 1/T times the difference of the logits: so with the
    factor the gradient hardly depends on T, and the *value* grows by up to T squared. A change of T
    alone changes the value: two runs with different T cannot be compared by it.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Logits of the same tokens in the same vocabulary; take them without a graph.
        mask: True where a token counts, bool, shape (batch, tokens).
        temperature: T, above 0; both logits are divided by it.
        squared: Multiply with T squared (Hinton et al. 2015, arXiv:1503.02531, section 2).

    Returns:
        In nats (times T squared), from 0 on: summed over the vocabulary, mean over tokens; count
        and gradient are per token.

    Raises:
        LossError: The shapes differ or the temperature is not positive.
        ReductionError: The mask does not fit.

    Example:
        >>> student = torch.tensor([[[0.0, 0.0]]])
        >>> teacher = torch.tensor([[[2.0, 0.0]]])
        >>> temperature_kl(student, teacher).value
        tensor(0.3278)
        >>> temperature_kl(student, teacher, temperature=2.0).value  # 4 times 0.111
        tensor(0.4438)
    """
    same_shape("temperature_kl", student, teacher, FORM)
    at_least("temperature_kl", "a temperature", temperature, 0.0, strict=True)
    log_q = (student / temperature).log_softmax(dim=-1)
    log_p = (teacher / temperature).log_softmax(dim=-1)
    factor = temperature**2 if squared else 1.0
    return per_token(factor * _kl(log_p, log_q), mask)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Terms p log(p / q) of the sum: 0 where p is, whatever q is (a logit of -inf stands for 0)."""
    apart = torch.where(log_p > -torch.inf, log_p - log_q, torch.zeros_like(log_p))
    return log_p.exp() * apart


def union_members(student: Tensor, teacher: Tensor, top_k: int) -> Tensor:
    """Which tokens are among the `top_k` of the student or of the teacher, each once.

    Args:
        student: Logits, shape (*, vocabulary).
        teacher: Logits, same shape.
        top_k: How many of each; at most the vocabulary.

    Returns:
        Bool, shape (*, vocabulary): between `top_k` and `2 * top_k` true per position.

    Raises:
        LossError: `top_k` is less than 1.

    Example:
        >>> union_members(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([3.0, 0.0, 2.0]), 2)
        tensor([True, True, True])
    """
    at_least("union_members", "top_k", top_k, 1)
    most = min(top_k, student.shape[-1])
    members = torch.zeros_like(student, dtype=torch.bool)
    for logits in (student, teacher):
        members.scatter_(-1, logits.detach().topk(most, dim=-1).indices, value=True)
    return members


def top_k_union_kl(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    *,
    top_k: int,
    temperature: float = 1.0,
    squared: bool = True,
) -> Reduced:
    """KL(teacher || student) over the union of both top-k, each token of it counted once.

    Both distributions are renormalised within the union, so nothing is learned about what lies
    outside: a lower bound of nothing, but cheap for vocabularies of 100,000. With `top_k` of half
    the vocabulary or more it approaches `temperature_kl`.

    Args:
        student: Logits, shape (batch, tokens, vocabulary).
        teacher: Logits, same shape.
        mask: True where a token counts, bool, shape (batch, tokens).
        top_k: How many tokens of each are looked at.
        temperature: T, above 0.
        squared: Multiply with T squared.

    Returns:
        In nats (times T squared), from 0 on; mean over tokens.

    Raises:
        LossError: The shapes differ, or `top_k` or the temperature is too small.
        ReductionError: The mask does not fit.

    Example:
        >>> student = torch.tensor([[[0.0, 0.0, 9.0]]])
        >>> top_k_union_kl(student, student, top_k=1).value
        tensor(0.)
    """
    same_shape("top_k_union_kl", student, teacher, FORM)
    at_least("top_k_union_kl", "a temperature", temperature, 0.0, strict=True)
    members = union_members(student, teacher, top_k)
    outside = ~members
    log_q = (student / temperature).masked_fill(outside, -torch.inf).log_softmax(dim=-1)
    log_p = (teacher / temperature).masked_fill(outside, -torch.inf).log_softmax(dim=-1)
    factor = temperature**2 if squared else 1.0
    return per_token(factor * _kl(log_p, log_q), mask)


def universal_logit(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Reduced:
    """Distance of the sorted probabilities: works for any two vocabularies, however disjoint.

    The Wasserstein-1 distance of two distributions in which every token is as far from every other:
    the sum of |sorted q - sorted p|, the smaller vocabulary filled up with zeros. It compares how
    certain the models are, not of what: any permutation of the vocabulary costs nothing. Use it
    beside a term that knows the tokens.

    Args:
        student: Logits, shape (batch, tokens, vocabulary of the student).
        teacher: Logits, shape (batch, tokens, vocabulary of the teacher), of the same tokens.
        mask: True where a token counts, bool, shape (batch, tokens).

    Returns:
        From 0 to 2, no unit: mean over tokens.

    Raises:
        LossError: Batch or tokens differ.
        ReductionError: The mask does not fit.

    Source:
        Boizard et al. 2024, "Towards Cross-Tokenizer Distillation", arXiv:2402.12030, equation 5.

    Example:
        >>> student = torch.tensor([[[0.0, 5.0, 0.0]]])
        >>> teacher = torch.tensor([[[5.0, 0.0, 0.0, -90.0]]])  # as certain, of another token
        >>> universal_logit(student, teacher).value < 1e-6
        tensor(True)
    """
    same_shape("universal_logit", student[..., :1], teacher[..., :1], FORM)
    size = max(student.shape[-1], teacher.shape[-1])
    first, second = (_sorted(one, size) for one in (student, teacher))
    return per_token((first - second).abs(), mask)


def _sorted(logits: Tensor, size: int) -> Tensor:
    """Probabilities in descending order, filled up with zeros to `size`."""
    probabilities = logits.softmax(dim=-1).sort(dim=-1, descending=True).values
    return torch.nn.functional.pad(probabilities, (0, size - logits.shape[-1]))
