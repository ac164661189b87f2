"""The language model's own loss."""

import math

import pytest
import torch
from torch.nn import functional as F

from poise.errors import LossError
from poise.losses.distill import next_token_loss, perplexity
from tests.losses.distill.examples import BATCH, TOKENS, WIDTH, normal, padded

IDS = torch.randint(0, WIDTH, (BATCH, TOKENS), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_shifted_and_masked_as_torch_does_it_with_ignored_labels(smoothing: float) -> None:
    """Position t predicts token t + 1; padding is no target."""
    logits, mask = normal(BATCH, TOKENS, WIDTH), padded()
    labels = IDS.masked_fill(~mask, -100)
    expected = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), label_smoothing=smoothing
    )
    found = next_token_loss(logits, IDS, mask, smoothing=smoothing)
    torch.testing.assert_close(found.value, expected)
    assert int(found.count) == int(mask[:, 1:].sum())


def test_a_model_that_copies_its_input_is_not_rewarded() -> None:
    """Without the shift this would be a perfect model."""
    copying = 20.0 * F.one_hot(IDS, WIDTH).float()
    mask = torch.ones_like(IDS, dtype=torch.bool)
    assert float(next_token_loss(copying, IDS, mask).value) > 5
    ahead = copying.roll(-1, dims=1)
    assert float(next_token_loss(ahead, IDS, mask).value) < 1e-6


def test_a_batch_of_padding_is_zero_and_not_nan() -> None:
    """F.cross_entropy over ignored labels alone is NaN."""
    logits = normal(BATCH, TOKENS, WIDTH).requires_grad_()
    found = next_token_loss(logits, IDS, torch.zeros_like(padded()))
    found.value.backward()
    assert (float(found.value.detach()), int(found.count)) == (0.0, 0)
    assert logits.grad is not None
    assert not logits.grad.any()
    nothing = torch.full((3,), -100)
    assert F.cross_entropy(normal(3, WIDTH), nothing).isnan()


def test_perplexity_is_of_nats_and_has_no_cap() -> None:
    """An even guess among V tokens has perplexity V, also where that is beyond exp(20)."""
    assert perplexity(math.log(400)) == pytest.approx(400)
    assert perplexity(25.0) > math.exp(20)
    with pytest.raises(LossError, match=r"expected nats of at least 0, got -0\.5"):
        perplexity(-0.5)


def test_other_tokens_than_the_logits_are_refused() -> None:
    """One token less."""
    with pytest.raises(LossError, match=r"of the tokens, got \[4, 5, 8\] and \[4, 4\]"):
        next_token_loss(normal(BATCH, TOKENS, WIDTH), IDS[:, :4], padded())
