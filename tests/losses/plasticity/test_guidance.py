"""Guides for the scalar and for the gate's update."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.plasticity import modulation_guidance, projection_consistency, reported
from tests.losses.plasticity.made import findings, normal, states


def test_the_reported_guidance_has_no_bottom() -> None:
    """Its card says so, and scaling v_a up lowers it for ever."""
    v_a, hidden, attention = states(3)
    found = findings(reported.modulation_guidance, (v_a, hidden, attention))
    assert ("error", "inspect-unbounded") in found
    values = [
        reported.modulation_guidance(10.0**k * v_a, hidden, attention).item() for k in range(5)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < -1e6


def test_the_reported_target_is_at_least_one_half() -> None:
    """The sigmoid of a ratio of norms cannot be smaller, so half of its range is out of reach."""
    v_a, hidden, attention = states(3)
    none = reported.modulation_guidance(0 * v_a, hidden, 1e-9 * attention)
    assert none.item() == pytest.approx(0.0, abs=1e-9)  # sigmoid(0) = 1/2 is the smallest target


def test_guidance_is_bounded_and_keeps_the_variance_at_one() -> None:
    """No warning; its minimum is 0, at a scalar of mean 0 and variance 1; 0 everywhere costs 1."""
    hidden, attention = states(2)
    scalar = normal(2, 6, seed=7)
    found = findings(modulation_guidance, (scalar, attention, hidden))
    assert [one for one in found if one[0] != "note"] == []
    assert modulation_guidance(0 * scalar, attention, hidden).item() == pytest.approx(1.0)
    size = attention.norm(dim=-1).log() - hidden.norm(dim=-1).log()
    best = (size - size.mean()) / size.std(correction=0)
    assert modulation_guidance(best, attention, hidden).item() == pytest.approx(0.0, abs=1e-10)


def test_guidance_survives_tokens_that_are_all_alike() -> None:
    """No spread to divide by: the target is 0, and nothing is NaN."""
    one = torch.ones(1, 3, 4)
    assert modulation_guidance(torch.ones(1, 3), one, one).item() == 1.0


def test_guidance_refuses_a_scalar_of_another_shape() -> None:
    """[2, 6, 1] against [2, 6] would be all pairs."""
    hidden, attention = states(2)
    with pytest.raises(LossError, match="expected 'attention' to have the shape of 'scalar'"):
        modulation_guidance(torch.zeros(2, 6, 1), attention, hidden)


def test_the_reported_consistency_cannot_be_met() -> None:
    """Two tokens that need opposite corrections: meeting either half costs the other one."""
    attention = torch.tensor([[[1.0], [-1.0]]])
    weight = torch.ones(1, 1)
    grid = torch.linspace(-2, 2, 41)
    lowest = min(
        reported.projection_consistency(torch.stack((a, b)).view(1, 2, 1), weight, attention)
        for a in grid
        for b in grid
    )
    assert 0 < lowest < 0.1  # only a v_b that vanishes can nearly meet both


def test_the_reported_consistency_looks_sound_alone() -> None:
    """Its card is clean: that v_b is multiplied with a scalar of either sign is not in it."""
    v_b, attention = normal(2, 6, 10), normal(2, 6, 12, seed=1)
    assert findings(reported.projection_consistency, (v_b, normal(10, 12, seed=2), attention)) == []


def test_consistency_is_clean_and_met_by_the_right_update() -> None:
    """0 at the correction, 1 without a modulation, and the correction gets no gradient."""
    update, correction = states(2)
    assert findings(projection_consistency, (update, correction)) == []
    assert projection_consistency(correction, correction).item() == 0
    assert projection_consistency(0 * update, correction).item() == pytest.approx(1.0)
    correction.requires_grad_()
    projection_consistency(update.requires_grad_(), correction).backward()
    assert correction.grad is None
