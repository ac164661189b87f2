"""The target that a loss implies."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.implied import best, implied
from tests.card.subjects import facts, normal, of, rules

EXAMPLE = (normal(4, 3), normal(4, 3, 8, seed=1), normal(4, 3, 8, seed=2))


def test_a_sigmoid_of_a_ratio_of_norms() -> None:
    """sigmoid(|a| / |h|) lives in [0.5, 1)."""

    def loss(m: Tensor, a: Tensor, h: Tensor) -> Tensor:
        return F.mse_loss(m, (a.norm(dim=-1) / h.norm(dim=-1)).sigmoid())

    found = implied(of(loss, *EXAMPLE))
    assert rules(found) == ["inspect-target-range"]
    assert 0.5 <= float(facts(found)["best-from"]) < 0.51  # type: ignore[arg-type]
    assert 0.99 < float(facts(found)["best-to"]) < 1.0 + 1e-9  # type: ignore[arg-type]


def test_a_target_that_follows_is_no_finding() -> None:
    """A target in proportion to its inputs leaves every range."""
    found = implied(of(lambda m, a, h: (m - (a * h).sum(-1)).square().mean(), *EXAMPLE))
    assert not found.findings


def test_the_search_finds_the_minimum() -> None:
    """The best prediction of a quartic bowl is its target."""
    goal = normal(6, seed=3).double()
    one = of(
        lambda m, a: ((m - goal).square() + (m - goal) ** 4).mean() + 0 * a.sum(),
        normal(6),
        normal(3),
    )
    found = best(one, one.example)
    assert found is not None
    assert torch.allclose(found, goal, atol=1e-6)


def test_a_given_target_needs_no_search() -> None:
    """There the target's range is the data's own."""
    assert implied(of(F.mse_loss, normal(8), normal(8))).needs
