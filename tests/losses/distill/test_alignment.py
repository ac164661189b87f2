"""Tokens of two tokenizers brought together."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.distill import (
    ALIGN,
    Alignment,
    align_ends,
    align_interpolated,
    align_spans,
    align_truncated,
    end_gap,
)
from tests.losses.distill.examples import normal, spans

STUDENT = spans(3, 5, 2, 1, 4, 6)
TEACHER = spans(3, 2, 1, 2, 3, 4, 1, 5, size=9)
"""Two tokenizations of one text of 21 characters; the teacher's is padded by one."""


@pytest.mark.parametrize("name", ALIGN)
def test_rows_are_means(name: str) -> None:
    """Each row sums up to 1 under the mask and is 0 elsewhere; padding has no row."""
    student = torch.cat([STUDENT, torch.full((1, 2, 2), 21)], dim=1)
    found = ALIGN[name](student, TEACHER)
    torch.testing.assert_close(found.weights.sum(dim=-1), found.mask.float())
    assert not found.mask[0, -2:].any()
    assert found.mask.any()


def test_spans_weigh_by_shared_characters() -> None:
    """Against a count over every single character."""
    found = align_spans(STUDENT, TEACHER)
    for i, (first, last) in enumerate(STUDENT[0].tolist()):
        for j, (start, stop) in enumerate(TEACHER[0].tolist()):
            shared = len(set(range(first, last)) & set(range(start, stop)))
            assert float(found.weights[0, i, j]) == pytest.approx(shared / (last - first))


def test_equal_tokenizers_are_the_identity() -> None:
    """Same tokens: every way but none has anything to do."""
    for align in ALIGN.values():
        found = align(STUDENT, STUDENT)
        torch.testing.assert_close(found.weights, torch.eye(6)[None])
        assert float(end_gap(found, STUDENT, STUDENT).value) == 0.0


def test_ends_pair_only_what_has_read_the_same_text() -> None:
    """Student ends 3, 8, 10, 11, 15, 21; the teacher's 3, 5, 6, 8, 11, 15, 16, 21."""
    found = align_ends(STUDENT, TEACHER)
    assert found.mask[0].tolist() == [True, True, False, True, True, True]
    assert found.weights[0].argmax(dim=-1)[found.mask[0]].tolist() == [0, 3, 4, 5, 7]


def test_of_several_tokens_of_one_character_the_last_is_taken() -> None:
    """A character of two bytes is two tokens with one span; the first knows half of it."""
    whole = torch.tensor([[[0, 1], [1, 2]]])
    bytes_ = torch.tensor([[[0, 1], [0, 1], [1, 2]]])
    assert align_ends(whole, bytes_).weights[0].tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert align_ends(bytes_, whole).weights[0].tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert torch.equal(align_ends(bytes_, bytes_).weights[0, 1:], torch.eye(3)[1:])
    assert align_ends(bytes_, bytes_).mask.tolist() == [[False, True, True]]


def test_only_text_brings_what_belongs_together() -> None:
    """On one text, spans and ends pair what lies closest; truncation and interpolation drift."""
    gaps = {
        name: float(end_gap(f(STUDENT, TEACHER), STUDENT, TEACHER).value)
        for name, f in ALIGN.items()
    }
    assert gaps["ends"] == 0.0
    assert gaps["spans"] < 1.5
    assert gaps["truncation"] > 2 * gaps["spans"]
    assert gaps["interpolation"] > gaps["spans"]


def test_interpolation_is_that_of_torch() -> None:
    """The weights do to any features what F.interpolate does over time."""
    teacher = normal(1, 9, 4)
    found = align_interpolated(STUDENT, TEACHER).carry(teacher)
    expected = F.interpolate(teacher.transpose(1, 2), size=6, mode="linear").transpose(1, 2)
    torch.testing.assert_close(found, expected)


def test_truncation_is_by_index() -> None:
    """Token i gets token i, and what lies beyond the shorter text nothing."""
    teacher = normal(1, 9, 4)
    torch.testing.assert_close(align_truncated(STUDENT, TEACHER).carry(teacher), teacher[:, :6])
    assert int(align_truncated(TEACHER, STUDENT).mask.sum()) == 6


def test_carry_passes_the_gradient_and_any_features() -> None:
    """Features of any number of axes; a teacher that is trained gets its gradient."""
    teacher = normal(1, 9, 2, 3).requires_grad_()
    found = align_spans(STUDENT, TEACHER).carry(teacher)
    assert found.shape == (1, 6, 2, 3)
    found.sum().backward()
    assert teacher.grad is not None
    torch.testing.assert_close(teacher.grad.sum(), torch.tensor(36.0))


def test_other_batches_and_shapes_are_refused() -> None:
    """The message says what was expected and where offsets come from."""
    with pytest.raises(LossError, match=r"align_spans: expected the teacher's offsets of shape"):
        align_spans(STUDENT, TEACHER[..., 0])
    with pytest.raises(LossError, match="expected offsets of the same texts, got 2 of the student"):
        align_ends(STUDENT.expand(2, 6, 2), TEACHER)
    pair = Alignment(weights=torch.ones(1, 2, 3), mask=torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(LossError, match=r"\[1, 3, \.\.\.\], got \[1, 4, 2\]"):
        pair.carry(torch.zeros(1, 4, 2))


@pytest.mark.parametrize("align", [align_spans, align_ends])
def test_padding_of_the_teacher_changes_nothing(
    align: Callable[[Tensor, Tensor], Alignment],
) -> None:
    """Where offsets decide, more padding only adds empty columns; interpolation does change."""
    longer = torch.cat([TEACHER, torch.zeros(1, 5, 2, dtype=torch.long)], dim=1)
    torch.testing.assert_close(
        align(STUDENT, longer).weights[..., :9], align(STUDENT, TEACHER).weights
    )
    stretched = align_interpolated(STUDENT, longer).weights[..., :9]
    assert not torch.allclose(stretched, align_interpolated(STUDENT, TEACHER).weights)
