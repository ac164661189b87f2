"""Contrast between the texts of a batch."""

import math

import pytest
import torch

from poise.errors import LossError, ReductionError
from poise.losses.distill import info_nce, mean_pooled
from poise.reduce import Reduction
from tests.losses.distill.examples import normal, padded


def test_as_written_out() -> None:
    """-log of the own share of exp(cosine / T)."""
    student, teacher = normal(6, 8), normal(6, 8, seed=1)
    found = info_nce(student, teacher, temperature=0.5)
    cosine = torch.cosine_similarity(student[:, None], teacher[None], dim=-1) / 0.5
    expected = -(cosine.diagonal() - cosine.logsumexp(dim=1)).mean()
    torch.testing.assert_close(found.value, expected)
    assert (int(found.count), found.reduction) == (6, Reduction.SAMPLE)


def test_bounds() -> None:
    """The logarithm of the batch if all look alike, 0 for a batch of one: nothing to tell apart."""
    assert float(info_nce(torch.ones(8, 3), torch.ones(8, 3)).value) == pytest.approx(math.log(8))
    assert float(info_nce(normal(1, 3), normal(1, 3, seed=1)).value) == 0.0


def test_the_gradient_grows_as_states_shrink() -> None:
    """A cosine does not see the size of a state, so 1/100 of it gets 100 times the gradient."""

    def gradient(scale: float) -> float:
        student = (scale * normal(6, 8)).requires_grad_()
        info_nce(student, normal(6, 8, seed=1)).value.backward()
        assert student.grad is not None
        return float(student.grad.norm())

    assert gradient(0.01) == pytest.approx(100 * gradient(1.0), rel=1e-3)


def test_pooling_leaves_padding_out() -> None:
    """Even where padding is NaN; a text without tokens is 0."""
    hidden = normal(4, 5, 8)
    hidden[0, 3:] = torch.nan
    found = mean_pooled(hidden, padded())
    torch.testing.assert_close(found[0], hidden[0, :3].mean(dim=0))
    torch.testing.assert_close(found[1:], hidden[1:].mean(dim=1))
    assert not mean_pooled(hidden, torch.zeros(4, 5, dtype=torch.bool)).any()


def test_what_does_not_fit_is_refused() -> None:
    """Other shapes, a mask of another shape or kind, a temperature of 0."""
    with pytest.raises(LossError, match=r"one shape \(batch, features\)"):
        info_nce(normal(4, 8), normal(4, 6))
    with pytest.raises(LossError, match="expected a temperature above 0, got 0"):
        info_nce(normal(4, 8), normal(4, 8), temperature=0)
    with pytest.raises(ReductionError, match="expected a bool mask of shape"):
        mean_pooled(normal(4, 5, 8), padded().float())


def test_a_state_of_zeros_in_half_precision() -> None:
    """As far from everything as from its own: ln of the batch, not NaN."""
    nothing = torch.zeros(4, 3, dtype=torch.float16)
    assert info_nce(nothing, nothing).value.item() == pytest.approx(math.log(4), abs=1e-2)
