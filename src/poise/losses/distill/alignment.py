"""Which tokens of the teacher stand for a token of the student, when their tokenizers differ.

Every tokenizer tells the characters that a token covers. Two ways follow from that: by the span,
for what a token *is* (hidden states, attention), and by its end, for what is predicted *after* it.
Cutting both sequences to one length and interpolating over time are offered as well, because they
are in use: they pair tokens of different text, and `end_gap` says how far apart.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.reduce import Reduced, per_token


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """For each token of the student, the weights of the teacher's tokens.

    Attributes:
        weights: Shape (batch, student tokens, teacher tokens), from 0 to 1; a row sums up to 1
            where the mask is true and is 0 elsewhere.
        mask: True where a student token has teacher tokens, bool, shape (batch, student tokens).

    Example:
        >>> pair = Alignment(weights=torch.ones(1, 1, 1), mask=torch.ones(1, 1, dtype=torch.bool))
        >>> pair.carry(torch.tensor([[[7.0]]]))
        tensor([[[7.]]])
    """

    weights: Tensor
    mask: Tensor

    def carry(self, teacher: Tensor) -> Tensor:
        """What the teacher has at the student's tokens.

        Args:
            teacher: Shape (batch, teacher tokens, *features).

        Returns:
            Weighted means, shape (batch, student tokens, *features).

        Raises:
            LossError: It has other tokens than the alignment.
        """
        if teacher.shape[:2] != (self.weights.shape[0], self.weights.shape[2]):
            raise LossError(
                f"Alignment.carry: expected (batch, teacher tokens, ...) = "
                f"[{self.weights.shape[0]}, {self.weights.shape[2]}, ...], got "
                f"{list(teacher.shape)}; align the batch that the values were computed for"
            )
        weights = self.weights.to(teacher.dtype)
        return torch.einsum("bst,bt...->bs...", weights, teacher)


def align_spans(student: Tensor, teacher: Tensor) -> Alignment:
    """By the characters that both tokens cover: for hidden states and attention.

    A student token is the mean of the teacher tokens that share characters with it, weighted by
    how many.

    Args:
        student: First character of each token and the one after its last, counted in one and the
            same text, shape (batch, student tokens, 2). Padding and special tokens cover nothing:
            their two numbers are equal.
        teacher: The same of the teacher's tokens, shape (batch, teacher tokens, 2).

    Raises:
        LossError: The offsets have another shape or other batches.

    Example:
        >>> student = torch.tensor([[[0, 4], [4, 6]]])          # "poise" as "pois", "e."
        >>> teacher = torch.tensor([[[0, 2], [2, 5], [5, 6]]])  # "po", "ise", "."
        >>> align_spans(student, teacher).weights
        tensor([[[0.5000, 0.5000, 0.0000],
                 [0.0000, 0.5000, 0.5000]]])
    """
    _check("align_spans", student, teacher)
    first = torch.maximum(student[:, :, None, 0], teacher[:, None, :, 0])
    last = torch.minimum(student[:, :, None, 1], teacher[:, None, :, 1])
    shared = (last - first).clamp(min=0).float()
    total = shared.sum(dim=-1, keepdim=True)
    return Alignment(weights=shared / total.clamp(min=1), mask=total[..., 0] > 0)


def align_ends(student: Tensor, teacher: Tensor) -> Alignment:
    """By the character at which both tokens end: for next-token predictions.

    Only there have both models read the same text, so only there do their predictions answer the
    same question. Other student tokens are masked out.

    Args:
        student: As in `align_spans`.
        teacher: As in `align_spans`.

    Raises:
        LossError: The offsets have another shape or other batches.

    Example:
        >>> student = torch.tensor([[[0, 4], [4, 6]]])
        >>> teacher = torch.tensor([[[0, 2], [2, 5], [5, 6]]])
        >>> align_ends(student, teacher).mask
        tensor([[False,  True]])
    """
    _check("align_ends", student, teacher)
    full = (student[..., 1] > student[..., 0])[:, :, None] & (teacher[..., 1] > teacher[..., 0])[
        :, None, :
    ]
    same = full & (student[:, :, None, 1] == teacher[:, None, :, 1])
    # A character of several tokens, as in byte-level vocabularies, ends with the last of them: on
    # either side those before it have read a part of it.
    last = same & _last_of(same, -1) & _last_of(same, -2)
    weights = last.float()
    return Alignment(weights=weights, mask=last.any(dim=-1))


def align_truncated(student: Tensor, teacher: Tensor) -> Alignment:
    """By index, cut to the shorter sequence: token i with token i, whatever text they stand for.

    What is wrong with it: the i-th tokens of two tokenizers drift apart with every token that one
    of them splits. Its only merit is that shapes match.

    Args:
        student: As in `align_spans`.
        teacher: As in `align_spans`.

    Raises:
        LossError: The offsets have another shape or other batches.

    Example:
        >>> student = torch.tensor([[[0, 4], [4, 6]]])
        >>> teacher = torch.tensor([[[0, 2], [2, 5], [5, 6]]])
        >>> align_truncated(student, teacher).weights
        tensor([[[1., 0., 0.],
                 [0., 1., 0.]]])
    """
    _check("align_truncated", student, teacher)
    here, there = student[..., 1] > student[..., 0], teacher[..., 1] > teacher[..., 0]
    shorter = min(student.shape[1], teacher.shape[1])
    mask = torch.zeros_like(here)
    mask[:, :shorter] = here[:, :shorter] & there[:, :shorter]
    weights = torch.eye(student.shape[1], teacher.shape[1], device=student.device)
    return Alignment(weights=weights * mask[..., None], mask=mask)


def align_interpolated(student: Tensor, teacher: Tensor) -> Alignment:
    """By linear interpolation over time, padding included: as if all tokens were of one length.

    What is wrong with it: text has no constant rate of tokens, and the padding of a batch
    stretches every sequence by another factor. Predictions of neighbours are mixed.

    Args:
        student: As in `align_spans`.
        teacher: As in `align_spans`.

    Raises:
        LossError: The offsets have another shape or other batches.

    Example:
        >>> student = torch.tensor([[[0, 4], [4, 6]]])
        >>> teacher = torch.tensor([[[0, 2], [2, 5], [5, 6]]])
        >>> align_interpolated(student, teacher).weights
        tensor([[[0.7500, 0.2500, 0.0000],
                 [0.0000, 0.2500, 0.7500]]])
    """
    _check("align_interpolated", student, teacher)
    size, source = student.shape[1], teacher.shape[1]
    unit = torch.eye(source, device=student.device)[None]
    weights = F.interpolate(unit, size=size, mode="linear", align_corners=False)[0].T
    mask = student[..., 1] > student[..., 0]
    return Alignment(weights=weights * mask[..., None], mask=mask)


ALIGN = {
    "spans": align_spans,
    "ends": align_ends,
    "truncation": align_truncated,
    "interpolation": align_interpolated,
}
"""Every way to align, by name."""


def end_gap(alignment: Alignment, student: Tensor, teacher: Tensor) -> Reduced:
    """How far apart the ends of paired tokens are: 0 where both have read the same text.

    Args:
        alignment: Made of these offsets, in any way.
        student: As in `align_spans`.
        teacher: As in `align_spans`.

    Returns:
        In characters, from 0 on: weighted mean over the teacher's tokens, then over the student's
        tokens under the mask.

    Raises:
        LossError: The offsets have another shape or other batches.

    Example:
        >>> student = torch.tensor([[[0, 4], [4, 6]]])
        >>> teacher = torch.tensor([[[0, 2], [2, 5], [5, 6]]])
        >>> end_gap(align_truncated(student, teacher), student, teacher).value  # 4-2 and 6-5
        tensor(1.5000)
    """
    _check("end_gap", student, teacher)
    apart = (student[:, :, None, 1] - teacher[:, None, :, 1]).abs()
    return per_token((alignment.weights * apart).sum(dim=-1), alignment.mask)


def _last_of(same: Tensor, dim: int) -> Tensor:
    """True at the last true place along an axis."""
    return same.flip(dim).cumsum(dim=dim).flip(dim) == 1


def _check(who: str, student: Tensor, teacher: Tensor) -> None:
    """Refuses what are no offsets.

    Raises:
        LossError: As above.
    """
    for name, one in (("student", student), ("teacher", teacher)):
        if one.ndim != 3 or one.shape[-1] != 2:
            raise LossError(
                f"{who}: expected the {name}'s offsets of shape (batch, tokens, 2), got "
                f"{list(one.shape)}; a fast tokenizer returns them as `offsets`"
            )
    if student.shape[0] != teacher.shape[0]:
        raise LossError(
            f"{who}: expected offsets of the same texts, got {student.shape[0]} of the student and "
            f"{teacher.shape[0]} of the teacher"
        )
