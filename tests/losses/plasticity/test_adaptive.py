"""Weights from gradient norms."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from poise import same
from poise.errors import LossError
from poise.losses.plasticity import inverse_norm_weights, reported
from poise.probe import gradients_at
from tests.losses.plasticity.made import states


def terms(prediction: Tensor, target: Tensor) -> list[Tensor]:
    """Six losses whose gradients span twelve decades."""
    return [
        10.0**power * functional.mse_loss(prediction, target) for power in (-6, -3, -1, 1, 3, 6)
    ]


def test_the_reported_weights_are_equal_for_ever() -> None:
    """grad(loss, loss) is 1, whatever the loss: after 50 updates each weight is still 1/6."""
    prediction, target = states(2)
    norms = torch.zeros(6)
    for _ in range(50):
        weights, norms = reported.adaptive_weights(
            terms(prediction.requires_grad_(), target), norms
        )
        torch.testing.assert_close(weights, torch.full((6,), 1 / 6))


def test_reported_weighting_is_a_constant_factor() -> None:
    """`poise.same` says so: the weighted sum is a sixth of the plain one."""

    def weighted(prediction: Tensor, target: Tensor) -> Tensor:
        losses = terms(prediction, target)
        weights, _ = reported.adaptive_weights(losses, torch.zeros(6, dtype=prediction.dtype))
        return (weights * torch.stack(losses)).sum()

    def plain(prediction: Tensor, target: Tensor) -> Tensor:
        return torch.stack(terms(prediction, target)).sum()

    found = same(weighted, plain, states(2))
    assert found.verdict == "scaled"
    assert found.factor == pytest.approx(6.0, rel=1e-3)


def test_a_constant_term_breaks_the_reported_weighting() -> None:
    """A term without a graph raises."""
    with pytest.raises(RuntimeError, match="does not require grad"):
        reported.adaptive_weights([torch.ones(())], torch.zeros(1))


def test_true_norms_give_equal_gradients() -> None:
    """Weighted, all six terms have the same norm at the parameters."""
    prediction, target = states(2)
    named = dict(zip("abcdef", terms(prediction.requires_grad_(), target), strict=True))
    weights = inverse_norm_weights(gradients_at(named, [prediction]).norms)
    assert sum(weights.values()) == pytest.approx(1.0)
    weighted = gradients_at(named, [prediction], weights=weights).norms
    assert max(weighted.values()) == pytest.approx(min(weighted.values()), rel=1e-5)


def test_a_term_without_a_gradient_gets_no_weight() -> None:
    """Not an infinite one."""
    assert inverse_norm_weights({"a": 0.0, "b": 2.0}) == {"a": 0.0, "b": 1.0}


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ({"a": 0.0}, "expected a term with a gradient, got a with norm 0"),
        ({"a": float("nan"), "b": 1.0}, "expected the norm of 'a' to be a finite number"),
        ({"a": -1.0}, "expected the norm of 'a' to be a finite number from 0 on, got -1.0"),
    ],
)
def test_impossible_norms_are_refused(norms: dict[str, float], message: str) -> None:
    """No gradient anywhere, NaN and negative norms are told apart."""
    with pytest.raises(LossError, match=message):
        inverse_norm_weights(norms)
