"""Cross-entropy after every step of a recursive decoder."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import poise
from poise.errors import LossError
from poise.losses.peptide import deep_supervision
from poise.reduce import Reduction

TOKENS = torch.randint(0, 24, (3, 6), generator=torch.Generator().manual_seed(0))
MASK = torch.arange(6) < torch.tensor([[6], [4], [1]])
LOGITS = torch.randn(2, 3, 6, 24, generator=torch.Generator().manual_seed(1))


def test_it_is_the_weighted_mean_of_the_steps_cross_entropies() -> None:
    """With two steps: a third of the first and two thirds of the second, by torch."""
    target = torch.where(MASK, TOKENS, -100).flatten()
    each = [
        F.cross_entropy(one.flatten(0, 1), target, ignore_index=-100, label_smoothing=0.1)
        for one in LOGITS
    ]
    found = deep_supervision(LOGITS, TOKENS, MASK, label_smoothing=0.1)
    assert found.value.item() == pytest.approx((each[0] / 3 + 2 * each[1] / 3).item())
    assert found.count == MASK.sum()
    assert found.reduction is Reduction.TOKEN


def test_masked_positions_do_not_count() -> None:
    """NaN behind the end stays there, in value and gradient."""
    logits = LOGITS.clone()
    logits[:, ~MASK] = float("nan")
    logits.requires_grad_()
    found = deep_supervision(logits, TOKENS, MASK).value
    assert found.item() == pytest.approx(deep_supervision(LOGITS, TOKENS, MASK).value.item())


def test_a_batch_without_tokens_is_zero() -> None:
    """And no division by its count."""
    found = deep_supervision(LOGITS, TOKENS, torch.zeros_like(MASK))
    assert found.value.item() == 0.0


def test_label_smoothing_sets_a_floor() -> None:
    """0.1 over 24 tokens: no model goes below 0.616 nats, the entropy of the smoothed target."""
    high, low = 0.9 + 0.1 / 24, 0.1 / 24
    floor = -high * math.log(high) - 23 * low * math.log(low)
    best = torch.full((24,), math.log(low)).index_fill(0, torch.tensor(3), math.log(high))
    tokens = torch.full((1, 1), 3)
    mask = torch.ones(1, 1, dtype=torch.bool)
    found = deep_supervision(best.expand(1, 1, 1, 24), tokens, mask, label_smoothing=0.1)
    assert found.value.item() == pytest.approx(floor, abs=1e-5)
    assert floor == pytest.approx(0.616, abs=1e-3)


def test_the_card_is_clean() -> None:
    """Nothing to warn of."""

    def loss(logits: Tensor, tokens: Tensor) -> Tensor:
        return deep_supervision(logits[None], tokens.clamp(min=0), tokens >= 0).value

    card = poise.inspect(loss, (LOGITS[0, :2, :3, :5], TOKENS[:2, :3] % 5))
    assert card.clean, card.findings


def test_shapes_that_do_not_fit_are_refused() -> None:
    """Logits without steps, tokens of another length, a mask of numbers."""
    with pytest.raises(LossError, match=r"expected logits \[steps, batch.*got \[3, 6, 24\]"):
        deep_supervision(LOGITS[0], TOKENS, MASK)
    with pytest.raises(LossError, match=r"\[3, 5\]"):
        deep_supervision(LOGITS, TOKENS[:, :5], MASK)
    with pytest.raises(LossError, match=r"expected a bool mask, got torch.float32"):
        deep_supervision(LOGITS, TOKENS, MASK.float())
