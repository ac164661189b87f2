"""Divergences of next-token distributions."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from poise.errors import LossError, ReductionError
from poise.losses.distill import temperature_kl, top_k_union_kl, universal_logit
from poise.losses.distill.divergence import union_members
from poise.reduce import Reduction
from tests.losses.distill.examples import padded, pair


def by_torch(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL per token from torch's own function, shape (batch, tokens)."""
    p, q = (one / temperature for one in (teacher, student))
    return F.kl_div(q.log_softmax(-1), p.softmax(-1), reduction="none").sum(dim=-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_per_token_under_the_mask_as_torch_has_it(temperature: float) -> None:
    """Mean over the tokens that count, summed over the vocabulary, times T squared."""
    student, teacher = pair()
    mask = padded()
    found = temperature_kl(student, teacher, mask, temperature=temperature)
    expected = by_torch(student, teacher, temperature)[mask].mean() * temperature**2
    torch.testing.assert_close(found.value, expected)
    assert (int(found.count), found.reduction) == (int(mask.sum()), Reduction.TOKEN)
    plain = temperature_kl(student, teacher, mask, temperature=temperature, squared=False)
    torch.testing.assert_close(plain.value * temperature**2, found.value)


def test_the_square_keeps_the_gradient_and_not_the_value() -> None:
    """From T = 10 to 20 the gradient with T squared hardly changes; without, it falls to 1/4."""
    student, teacher = pair()

    def gradient(temperature: float, *, squared: bool) -> float:
        leaf = student.clone().requires_grad_()
        temperature_kl(leaf, teacher, temperature=temperature, squared=squared).value.backward()
        assert leaf.grad is not None
        return float(leaf.grad.norm())

    with_it = gradient(20.0, squared=True) / gradient(10.0, squared=True)
    without = gradient(20.0, squared=False) / gradient(10.0, squared=False)
    assert with_it == pytest.approx(1.0, abs=0.1)
    assert without == pytest.approx(0.25, abs=0.03)


def test_twice_the_length_is_the_same_loss() -> None:
    """Per token: repeating the tokens changes nothing, as it would with `batchmean`."""
    student, teacher = pair()
    longer = temperature_kl(student.repeat(1, 2, 1), teacher.repeat(1, 2, 1)).value
    torch.testing.assert_close(longer, temperature_kl(student, teacher).value)


def test_the_union_counts_each_token_once() -> None:
    """Agreement of both lists is one entry, so k equal lists leave k members."""
    student, teacher = pair()
    members = union_members(student, teacher, 3).sum(dim=-1)
    assert 3 <= int(members.min()) <= int(members.max()) <= 6
    assert (union_members(student, student, 3).sum(dim=-1) == 3).all()


def test_the_union_of_everything_is_the_plain_divergence() -> None:
    """With all tokens in it nothing is left out; a top_k beyond the vocabulary is that as well."""
    student, teacher = pair()
    mask = padded()
    plain = temperature_kl(student, teacher, mask, temperature=2.0).value
    for top_k in (student.shape[-1], 999):
        found = top_k_union_kl(student, teacher, mask, top_k=top_k, temperature=2.0)
        torch.testing.assert_close(found.value, plain)


def test_within_the_union_both_are_renormalised() -> None:
    """By hand: the union of the best of each holds two tokens."""
    student = torch.tensor([[[2.0, 0.0, -1.0]]], requires_grad=True)
    teacher = torch.tensor([[[0.0, 1.0, -3.0]]])
    found = top_k_union_kl(student, teacher, top_k=1).value
    p, q = torch.tensor([0.0, 1.0]).softmax(0), torch.tensor([2.0, 0.0]).softmax(0)
    torch.testing.assert_close(found.detach(), (p * (p / q).log()).sum())
    found.backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert float(student.grad[0, 0, 2]) == 0.0


def test_sorted_probabilities_do_not_know_the_tokens() -> None:
    """Any permutation is free; the smaller vocabulary is filled up with zeros."""
    student, teacher = pair(8, 6)
    shuffled = student[..., torch.randperm(8)]
    found = universal_logit(student, teacher).value
    torch.testing.assert_close(universal_logit(shuffled, teacher).value, found)
    torch.testing.assert_close(universal_logit(teacher, student).value, found)
    one, even = torch.tensor([[[99.0, 0.0]]]), torch.zeros(1, 1, 4)
    torch.testing.assert_close(universal_logit(one, even).value, torch.tensor(1.5))


@pytest.mark.parametrize("loss", [temperature_kl, universal_logit])
def test_nothing_to_count_is_no_loss(loss: type) -> None:
    """All padding: value 0, count 0, gradient 0."""
    student, teacher = pair()
    student.requires_grad_()
    found = loss(student, teacher, torch.zeros(padded().shape, dtype=torch.bool))
    found.value.backward()
    assert (float(found.value.detach()), int(found.count)) == (0.0, 0)
    assert student.grad is not None
    assert not student.grad.any()


def test_what_does_not_fit_is_refused() -> None:
    """Other lengths, other vocabularies, a temperature of 0, no top, a mask of numbers."""
    student, teacher = pair()
    with pytest.raises(LossError, match=r"got \[4, 5, 8\] and \[4, 4, 8\]; bring the teacher"):
        temperature_kl(student, teacher[:, :4])
    with pytest.raises(LossError, match=r"one shape \(batch, tokens, vocabulary\)"):
        top_k_union_kl(student, teacher[..., :4], top_k=2)
    with pytest.raises(LossError, match=r"temperature_kl: expected a temperature above 0, got 0\."):
        temperature_kl(student, teacher, temperature=0.0)
    with pytest.raises(LossError, match="expected top_k of at least 1, got 0"):
        top_k_union_kl(student, teacher, top_k=0)
    with pytest.raises(LossError, match="universal_logit: expected student and teacher"):
        universal_logit(student, teacher[:2])
    with pytest.raises(ReductionError, match="expected a bool mask"):
        temperature_kl(student, teacher, padded().float())


def test_a_wrong_certain_student_costs_what_its_logits_say() -> None:
    """No overflow and no clamp: the loss grows with the margin, in nats."""
    teacher = torch.tensor([[[0.0, 60.0]]])
    student = torch.tensor([[[60.0, 0.0]]])
    assert temperature_kl(student, teacher).value.item() == pytest.approx(60.0, rel=1e-5)
    assert math.isfinite(temperature_kl(100 * student, 100 * teacher).value.item())


def test_a_token_that_is_out_of_the_game_costs_nothing() -> None:
    """A teacher's logit of -inf is a probability of 0: as if the vocabulary ended before it."""
    student, teacher = pair()
    shut = torch.cat([teacher, torch.full_like(teacher[..., :1], -torch.inf)], dim=-1)
    for last in (-3.0, -torch.inf):
        wide = torch.cat([student, torch.full_like(student[..., :1], last)], dim=-1)
        wide.requires_grad_()
        loss = temperature_kl(wide, shut).value
        loss.backward()
        assert wide.grad is not None
        assert wide.grad.isfinite().all()
    torch.testing.assert_close(loss, temperature_kl(student, teacher).value)
