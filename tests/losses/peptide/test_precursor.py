"""The forms of the precursor term: their values, and where their gradients are."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import poise
from poise.errors import LossError
from poise.losses.peptide import (
    mass_error_ppm,
    precursor_clamped_ppm,
    precursor_huber,
    precursor_l1_da,
    precursor_log_ppm,
)
from poise.reduce import Reduced, Reduction

Form = Callable[[Tensor, Tensor], Reduced]
HEAVY_DA = 1000.0
REPAIRED = partial(precursor_log_ppm, scale_ppm=1e5, factor=1.0)


def gradient(form: Form, error_da: float) -> float:
    """Slope of a form at an error of a peptide of 1000 Da, per Da."""
    mass = torch.tensor([HEAVY_DA + error_da], dtype=torch.float64, requires_grad=True)
    form(mass, torch.tensor([HEAVY_DA], dtype=torch.float64)).value.backward()
    assert mass.grad is not None
    return mass.grad.item()


def findings(form: Form) -> set[str]:
    """Warnings and errors on the card of a form, at errors of about 50 Da."""
    draw = torch.Generator().manual_seed(1)
    target = HEAVY_DA + 100 * torch.randn(16, generator=draw)
    mass = target + 50 * torch.randn(16, generator=draw)
    card = poise.inspect(lambda a, b: form(a, b).value, (mass, target))
    return {one.rule for one in card.findings if one.severity is not poise.Severity.NOTE}


def test_ppm_are_millionths_of_the_precursor() -> None:
    """Not of the prediction, and never negative."""
    found = mass_error_ppm(torch.tensor([999.0, 1001.0]), torch.tensor([1000.0, 1000.0]))
    assert found.tolist() == pytest.approx([1000.0, 1000.0])


def test_values_of_the_note() -> None:
    """170,000 ppm: 744 by the old formula, about 1.0 by the repaired one, 100 clamped."""
    mass, target = torch.tensor([1170.0]), torch.tensor([HEAVY_DA])
    assert precursor_log_ppm(mass, target).value.item() == pytest.approx(744, abs=0.5)
    assert REPAIRED(mass, target).value.item() == pytest.approx(0.993, abs=1e-3)
    assert precursor_clamped_ppm(mass, target).value.item() == 100.0
    assert precursor_l1_da(mass, target).value.item() == 170.0
    assert precursor_huber(mass, target).value.item() == pytest.approx(170 / 110 - 0.05)


@pytest.mark.parametrize(
    ("error_ppm", "slope"), [(170_933, 0.0059), (25_000, 0.040), (1000, 0.91), (100, 5.0), (1, 9.9)]
)
def test_the_reported_gradient_grows_as_the_error_shrinks(error_ppm: float, slope: float) -> None:
    """At weight 0.01, per Da: 0.006 where the model is 171 Da off, 9.9 where it is right."""
    found = 0.01 * gradient(precursor_log_ppm, error_ppm * 1e-6 * HEAVY_DA)
    assert found == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize(("error_ppm", "factor"), [(170_933, 158), (1, 99_000)])
def test_the_repair_takes_away_what_was_there(error_ppm: float, factor: float) -> None:
    """At the same weight the gradient is 158 to 99,000 times smaller: the term is off."""
    error = error_ppm * 1e-6 * HEAVY_DA
    ratio = gradient(precursor_log_ppm, error) / gradient(REPAIRED, error)
    assert ratio == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("form", [precursor_log_ppm, REPAIRED, precursor_l1_da])
def test_the_historical_forms_flip_their_sign_at_zero(form: Form) -> None:
    """A millionth of a Da to either side of the target the pull is as large as it gets."""
    right, left = gradient(form, 1e-6), gradient(form, -1e-6)
    assert right == pytest.approx(-left, rel=1e-3)
    assert right >= gradient(form, 50.0)


def test_the_huber_pull_is_bounded_smooth_and_never_zero_where_the_error_is_large() -> None:
    """1 / 110 per Da from the knee of 11 Da on; in proportion below it."""
    assert gradient(precursor_huber, 1e5) == pytest.approx(1 / 110)
    assert gradient(precursor_huber, 11.0) == pytest.approx(1 / 110)
    assert gradient(precursor_huber, 1.1) == pytest.approx(0.1 / 110)
    assert gradient(precursor_huber, 0.0) == 0.0


def test_the_unit_and_the_knee_act_apart() -> None:
    """Half the unit is twice the slope; the knee leaves the slope above it as it is."""
    assert gradient(partial(precursor_huber, unit_da=55.0), 80.0) == pytest.approx(1 / 55)
    assert gradient(partial(precursor_huber, knee_residues=0.5), 80.0) == pytest.approx(1 / 110)


def test_the_clamp_has_no_gradient_above_its_limit() -> None:
    """101 ppm: exactly 0. 99 ppm: 1000 per Da."""
    assert gradient(precursor_clamped_ppm, 0.101) == 0.0
    assert gradient(precursor_clamped_ppm, 0.099) == pytest.approx(1000.0)
    assert gradient(partial(precursor_clamped_ppm, limit_ppm=200.0), 0.101) > 0


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (precursor_huber, set()),
        (precursor_l1_da, set()),
        (precursor_clamped_ppm, {"inspect-clamp"}),
        (precursor_log_ppm, {"inspect-steepens", "inspect-half"}),
        (REPAIRED, {"inspect-steepens", "inspect-half"}),
    ],
)
def test_cards(form: Form, expected: set[str]) -> None:
    """What `poise.inspect` finds is what the docstring says, and no more."""
    assert findings(form) == expected


def test_ppm_are_too_large_for_half_precision() -> None:
    """6.6% off is beyond 65504 ppm: infinite in float16, so that its gradient is NaN or 0."""
    mass, target = torch.tensor([1070.0]).half(), torch.tensor([HEAVY_DA]).half()
    assert torch.isinf(mass_error_ppm(mass, target)).all()
    assert torch.isfinite(precursor_huber(mass, target).value)


def test_the_count_travels_with_the_mean() -> None:
    """Three peptides, so that micro-batches can be put together exactly."""
    found = precursor_huber(torch.full((3,), 1110.0), torch.full((3,), HEAVY_DA))
    assert found.count == 3
    assert found.reduction is Reduction.SAMPLE


def test_options_that_make_no_loss_are_refused() -> None:
    """Zero, negative and NaN."""
    mass = torch.tensor([HEAVY_DA])
    with pytest.raises(LossError, match=r"precursor_huber: expected unit_da above 0, got 0"):
        precursor_huber(mass, mass, unit_da=0)
    with pytest.raises(LossError, match=r"expected knee_residues above 0, got -1"):
        precursor_huber(mass, mass, knee_residues=-1)
    with pytest.raises(LossError, match=r"expected scale_ppm above 0, got nan"):
        precursor_log_ppm(mass, mass, scale_ppm=float("nan"))
    with pytest.raises(LossError, match=r"expected limit_ppm above 0"):
        precursor_clamped_ppm(mass, mass, limit_ppm=0.0)
