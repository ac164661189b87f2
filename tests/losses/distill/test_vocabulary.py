"""Vocabularies matched by spelling."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.distill import shared_vocabulary, shared_vocabulary_kl, temperature_kl
from poise.losses.distill.vocabulary import to_shared
from tests.losses.distill.examples import padded, pair

HERE = {"a": 0, "b": 1, "c": 2, "ab": 3}
THERE = {"c": 0, "x": 1, "a": 2, "y": 3, "z": 4}


def test_the_same_spelling_is_paired() -> None:
    """Ids on both sides, in one order, and how much is shared."""
    shared = shared_vocabulary(HERE, THERE)
    assert (shared.student.tolist(), shared.teacher.tolist()) == ([0, 2], [2, 0])
    assert shared.share == (0.5, 0.4)


def test_disjoint_vocabularies_are_refused_with_the_way_out() -> None:
    """There is a loss for them."""
    with pytest.raises(LossError, match="none among 4 and 1; use universal_logit"):
        shared_vocabulary(HERE, {"?": 0})


def test_probabilities_survive_and_the_rest_is_one_class() -> None:
    """What is shared keeps its probability; the rest sums up."""
    student, _ = pair(4)
    found = to_shared(student, torch.tensor([2, 0])).softmax(dim=-1)
    full = student.softmax(dim=-1)
    torch.testing.assert_close(found[..., :2], full[..., [2, 0]])
    torch.testing.assert_close(found[..., 2], full[..., [1, 3]].sum(dim=-1))
    with pytest.raises(LossError, match="expected tokens beside the shared ones, got none"):
        to_shared(student, torch.arange(4))


def test_one_vocabulary_in_another_order_is_the_plain_divergence() -> None:
    """All tokens shared: permuted, nothing else."""
    student, teacher = pair(4)
    order = torch.tensor([3, 1, 0, 2])
    names = list(HERE)
    shared = shared_vocabulary(HERE, {names[int(i)]: at for at, i in enumerate(order)})
    mask = padded()
    found = shared_vocabulary_kl(student, teacher[..., order], shared, mask, temperature=2.0)
    plain = temperature_kl(student, teacher, mask, temperature=2.0)
    torch.testing.assert_close(found.value, plain.value)


def test_merging_lowers_the_divergence() -> None:
    """Of one vocabulary with two tokens left out of the match: less, but not nothing."""
    student, teacher = pair(4)
    part = shared_vocabulary(HERE, {"a": 0, "b": 1, "?": 2, "!": 3})
    found = float(shared_vocabulary_kl(student, teacher, part).value)
    assert 0 < found < float(temperature_kl(student, teacher).value)


def test_a_student_without_other_tokens_is_renormalised() -> None:
    """The rest of a larger teacher vocabulary is impossible for it, and no infinity."""
    shared = shared_vocabulary({"a": 0, "b": 1}, {"b": 0, "a": 1, "c": 2})
    student, teacher = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[2.0, 1.0, 5.0]]])
    assert float(shared_vocabulary_kl(student, teacher, shared).value) < 1e-6


def test_models_with_more_logits_than_tokens() -> None:
    """What is filled up belongs to the rest; fewer logits than tokens are refused."""
    shared = shared_vocabulary(HERE, THERE, sizes=(6, 8))
    student, teacher = pair(6, 8)
    assert float(shared_vocabulary_kl(student, teacher, shared).value) > 0
    with pytest.raises(LossError, match="at least 4 and 5 logits, got 4 and 4; pass sizes="):
        shared_vocabulary(HERE, THERE, sizes=(4, 4))


def test_other_logits_than_those_matched_are_refused() -> None:
    """The sizes tell."""
    student, teacher = pair(4, 4)
    with pytest.raises(LossError, match="logits over 4 and 5 tokens, got 4 and 4"):
        shared_vocabulary_kl(student, teacher, shared_vocabulary(HERE, THERE))
