"""Attention maps made alike."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.distill import align_spans, align_truncated, attention_kl, carry_attention
from tests.losses.distill.examples import maps, normal, padded, spans

STUDENT, TEACHER = spans(3, 5, 2, 1, 4, 6), spans(3, 2, 1, 2, 3, 4, 1, 5)


def causal(tokens: int) -> torch.Tensor:
    """Attention of two heads that look back only."""
    scores = normal(1, 2, tokens, tokens)
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1)


def test_per_query_as_written_out() -> None:
    """Sum over keys, mean over heads and over queries that count."""
    student, teacher = maps()
    mask = padded()
    each = (teacher * (teacher / student).log()).sum(dim=-1).mean(dim=1)
    found = attention_kl(student, teacher, mask)
    torch.testing.assert_close(found.value, each[mask].mean())
    assert int(found.count) == int(mask.sum())


def test_zeros_of_causal_maps_are_harmless() -> None:
    """0 log 0 is 0, in value and in gradient; equal maps cost nothing."""
    one = causal(6).requires_grad_()
    loss = attention_kl(one, causal(6)).value
    loss.backward()
    assert abs(float(loss.detach())) < 1e-6
    assert one.grad is not None
    assert one.grad.isfinite().all()


def test_carried_attention_is_attention() -> None:
    """Rows sum up to 1, look back only, and equal tokenizers change nothing."""
    there, back = align_spans(STUDENT, TEACHER), align_spans(TEACHER, STUDENT)
    found = carry_attention(there, back, causal(8))
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(1, 2, 6))
    assert not found.triu(1).any()
    same = align_spans(TEACHER, TEACHER)
    torch.testing.assert_close(carry_attention(same, same, causal(8)), causal(8))


def test_what_falls_on_a_key_is_handed_to_the_tokens_of_its_text() -> None:
    """All attention on the teacher's first token lands on the student's first token."""
    first = torch.zeros(1, 1, 8, 8)
    first[..., 0] = 1.0
    found = carry_attention(align_spans(STUDENT, TEACHER), align_spans(TEACHER, STUDENT), first)
    torch.testing.assert_close(found[..., 0], torch.ones(1, 1, 6))


def test_rows_without_text_are_zero() -> None:
    """A cut alignment leaves nothing of some queries, and nothing is not NaN."""
    there, back = align_truncated(TEACHER, STUDENT), align_truncated(STUDENT, TEACHER)
    found = carry_attention(there, back, causal(6))
    assert not found[..., 6:, :].any()
    assert found.isfinite().all()


def test_other_tokens_are_refused() -> None:
    """The map must be of the alignment's tokens."""
    there, back = align_spans(STUDENT, TEACHER), align_spans(TEACHER, STUDENT)
    with pytest.raises(LossError, match="of 8 tokens and an alignment back"):
        carry_attention(there, back, causal(6))
    with pytest.raises(LossError, match="of 8 tokens and an alignment back"):
        carry_attention(there, there, causal(8))
    with pytest.raises(LossError, match="attention_kl: expected student and teacher"):
        attention_kl(causal(6), causal(8))
