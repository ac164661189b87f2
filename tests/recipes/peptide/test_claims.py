"""What the note says of clipping and of NaN, measured."""

import pytest
import torch
from torch import nn

from poise.losses.peptide import precursor_log_ppm


def moved(factor: float, steps: int = 5) -> float:
    """How far clipped AdamW moves one parameter under a gradient times a factor."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        (factor * 3.0 * weight).sum().backward()
        nn.utils.clip_grad_norm_([weight], 1.0)
        optimizer.step()
    return weight.detach().abs().item()


@pytest.mark.parametrize("factor", [1.0, 100.0, 10_000.0])
def test_a_large_gradient_does_not_explode_under_clipping_and_adam(factor: float) -> None:
    """Times 1, 100 or 10,000: five steps move 0.005000 each time."""
    assert moved(factor) == pytest.approx(5e-3, rel=1e-6)


def test_clipping_does_not_keep_nan_out() -> None:
    """One NaN makes all elements NaN; an infinite one becomes NaN and the rest 0."""
    for bad, rest in ((float("nan"), float("nan")), (float("inf"), 0.0)):
        weight = nn.Parameter(torch.zeros(3))
        weight.grad = torch.tensor([bad, 1.0, 2.0])
        nn.utils.clip_grad_norm_([weight], 1.0)
        assert torch.isnan(weight.grad[0])
        assert weight.grad[1].item() == pytest.approx(rest, nan_ok=True)


def test_the_reported_value_is_finite_wherever_a_mass_is() -> None:
    """From a perfect prediction to a million times the mass: no NaN of its own in float32."""
    target = torch.full((6,), 1000.0)
    error = torch.tensor([0.0, 1e-3, 1.0, 170.9, 1e6, 1e9])
    mass = (target + error).requires_grad_()
    found = precursor_log_ppm(mass, target).value
    found.backward()
    assert torch.isfinite(found)
    assert mass.grad is not None
    assert torch.isfinite(mass.grad).all()


def test_the_jump_of_the_note_asks_for_13000_ppm_not_for_170000() -> None:
    """From 2.2 to 7.1 is 4.9 at weight 0.01: a value of 490, which is 13,300 ppm."""
    target = torch.tensor([1000.0], dtype=torch.float64)
    at = {
        ppm: 0.01 * precursor_log_ppm(target * (1 + ppm * 1e-6), target).value.item()
        for ppm in (13_300.0, 170_932.9)
    }
    assert at[13_300.0] == pytest.approx(7.1 - 2.2, abs=0.01)
    assert at[170_932.9] == pytest.approx(7.45, abs=0.01)
