"""Two vocabularies as far as they are one: tokens that are spelled the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.distill.divergence import temperature_kl
from poise.reduce import Reduced


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedVocabulary:
    """Tokens of the same spelling in both vocabularies.

    Attributes:
        student: Their ids in the student's vocabulary, shape (shared,).
        teacher: Their ids in the teacher's vocabulary, shape (shared,), in the same order.
        sizes: How many logits the student and the teacher have.
    """

    student: Tensor
    teacher: Tensor
    sizes: tuple[int, int]

    @property
    def share(self) -> tuple[float, float]:
        """Part of the student's and of the teacher's vocabulary that is shared, 0 to 1 each."""
        return len(self.student) / self.sizes[0], len(self.teacher) / self.sizes[1]


def shared_vocabulary(
    student: Mapping[str, int],
    teacher: Mapping[str, int],
    *,
    sizes: tuple[int, int] | None = None,
) -> SharedVocabulary:
    """Matches two vocabularies by the spelling of their tokens.

    Args:
        student: Id by token, as `tokenizer.get_vocab()` returns it.
        teacher: The same of the teacher. Both must write a leading space in one way.
        sizes: How many logits the student and the teacher have, where that is more than tokens, as
            in models that are filled up to a round number.

    Raises:
        LossError: They share no token, or there are fewer logits than tokens.

    Example:
        >>> both = shared_vocabulary({"a": 0, "b": 1, "ab": 2}, {"b": 0, "ab": 1, "c": 2, "d": 3})
        >>> both.student, both.teacher, both.share
        (tensor([1, 2]), tensor([0, 1]), (0.6666666666666666, 0.5))
    """
    common = sorted(student.keys() & teacher.keys(), key=lambda token: student[token])
    if not common:
        raise LossError(
            f"shared_vocabulary: expected tokens of the same spelling, got none among "
            f"{len(student)} and {len(teacher)}; use universal_logit for disjoint vocabularies"
        )
    least = max(student.values()) + 1, max(teacher.values()) + 1
    logits = sizes or (len(student), len(teacher))
    if logits[0] < least[0] or logits[1] < least[1]:
        raise LossError(
            f"shared_vocabulary: expected at least {least[0]} and {least[1]} logits, got "
            f"{logits[0]} and {logits[1]}; pass sizes=, the models' vocabulary sizes"
        )
    return SharedVocabulary(
        student=torch.tensor([student[token] for token in common]),
        teacher=torch.tensor([teacher[token] for token in common]),
        sizes=logits,
    )


def to_shared(logits: Tensor, ids: Tensor) -> Tensor:
    """Logits of the shared tokens, and one more for everything else together.

    Their softmax is the probability of each shared token and, at the end, what is left of 1.

    Args:
        logits: Shape (*, vocabulary).
        ids: Shared tokens, shape (shared,); not all there are.

    Returns:
        Shape (*, shared + 1).

    Raises:
        LossError: Nothing is left beside the shared tokens.

    Example:
        >>> to_shared(torch.zeros(4), torch.tensor([3, 0])).softmax(dim=-1)
        tensor([0.2500, 0.2500, 0.5000])
    """
    ids = ids.to(logits.device)
    other = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
    other[ids] = False
    if not bool(other.any()):
        raise LossError(
            "to_shared: expected tokens beside the shared ones, got none; take logits[..., ids]"
        )
    rest = logits[..., other].logsumexp(dim=-1, keepdim=True)
    return torch.cat([logits[..., ids], rest], dim=-1)


def shared_vocabulary_kl(
    student: Tensor,
    teacher: Tensor,
    shared: SharedVocabulary,
    mask: Tensor | None = None,
    *,
    temperature: float = 1.0,
    squared: bool = True,
) -> Reduced:
    """KL(teacher || student) over the shared tokens and the rest as one class.

    Merging classes can only lower a divergence, so at temperature 1 this is a lower bound of the KL
    over a vocabulary that holds both. Where one of the two has no other tokens, both are
    renormalised over the shared ones. A shared spelling is not quite a shared event: where the
    teacher would go on with "the" and the student must begin with "th", the rest takes the blame.

    Args:
        student: Logits, shape (batch, tokens, vocabulary of the student).
        teacher: Logits at the same tokens (see `align_ends`), shape (batch, tokens, vocabulary of
            the teacher).
        shared: Of these vocabularies.
        mask: True where a token counts, bool, shape (batch, tokens).
        temperature: T, above 0.
        squared: Multiply with T squared.

    Returns:
        In nats (times T squared), from 0 on; mean over tokens.

    Raises:
        LossError: Batch or tokens differ, the logits are of other vocabularies, or the temperature
            is not positive.
        ReductionError: The mask does not fit.

    Example:
        >>> both = shared_vocabulary({"a": 0, "b": 1}, {"b": 0, "a": 1, "c": 2})
        >>> student, teacher = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[2.0, 1.0, -90.0]]])
        >>> round(shared_vocabulary_kl(student, teacher, both).value.item(), 6)
        0.0
    """
    sizes = (student.shape[-1], teacher.shape[-1])
    if sizes != shared.sizes:
        raise LossError(
            f"shared_vocabulary_kl: expected logits over {shared.sizes[0]} and {shared.sizes[1]} "
            f"tokens, got {sizes[0]} and {sizes[1]}; the vocabularies are others than those matched"
        )
    beside = len(shared.student) < min(sizes)
    pairs = ((student, shared.student), (teacher, shared.teacher))
    first, second = (to_shared(one, ids) if beside else one[..., ids] for one, ids in pairs)
    return temperature_kl(
        first,
        second,
        mask,
        temperature=temperature,
        squared=squared,
    )
