"""Expected masses, and what probability on special tokens does to them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import poise
from poise.losses.peptide import (
    expected_residue_masses,
    mass_error_ppm,
    peptide_mass,
    renormalised_residue_masses,
    residue_mask,
    residue_masses,
)
from tests.losses.peptide.conftest import VOCABULARY, certain, leaking, tokens_of

PEPTIDE = "PEPTIDEKWR"
MASSES = residue_masses(VOCABULARY)
TOKENS = tokens_of(PEPTIDE, 14)
RESIDUES = residue_mask(TOKENS, MASSES)
INSIDE = TOKENS != 0
"""The historical mask: <sos> and <eos> are in it."""


def true_mass() -> Tensor:
    """Neutral mass of the peptide, in Da."""
    return peptide_mass(MASSES[TOKENS])


def ppm(residues_da: Tensor) -> float:
    """Error of the peptide's mass, in ppm."""
    return mass_error_ppm(peptide_mass(residues_da), true_mass()).item()


def test_the_mass_of_a_known_peptide() -> None:
    """The sum of the residues agrees with pyteomics' own."""
    from pyteomics import mass

    assert true_mass().item() == pytest.approx(mass.calculate_mass(sequence=PEPTIDE), abs=1e-6)
    assert ppm(expected_residue_masses(certain(TOKENS), MASSES, INSIDE)) == pytest.approx(0.0)
    assert ppm(renormalised_residue_masses(certain(TOKENS), MASSES, RESIDUES)) == 0.0


@pytest.mark.parametrize(("share", "stated"), [(0.05, 49e3), (0.09, 88e3), (0.5, 491e3)])
def test_probability_on_a_special_token_makes_the_peptide_light(
    share: float, stated: float
) -> None:
    """5, 9 and 50% on <pad> at residues: about 49,000, 88,000 and 491,000 ppm; 0 renormalised."""
    found = leaking(certain(TOKENS), share, to=0)
    assert ppm(expected_residue_masses(found, MASSES, INSIDE)) == pytest.approx(stated, rel=0.01)
    assert ppm(renormalised_residue_masses(found, MASSES, RESIDUES)) < 0.1


def test_renormalising_puts_residues_where_there_are_none() -> None:
    """0.1% spread evenly: below 100 ppm as it is, some 200,000 if <sos> and <eos> are divided."""
    found = leaking(certain(TOKENS), 1e-3)
    assert ppm(expected_residue_masses(found, MASSES, INSIDE)) < 100
    assert 150e3 < ppm(renormalised_residue_masses(found, MASSES, INSIDE)) < 250e3
    assert ppm(renormalised_residue_masses(found, MASSES, RESIDUES)) < 100


def test_at_the_floor_of_label_smoothing_the_expected_mass_is_far_off() -> None:
    """Where smoothed cross-entropy is best every best token is right, and 100 ppm are missed."""
    found = leaking(certain(TOKENS), 0.1)
    assert torch.equal(found.argmax(-1), TOKENS)
    assert ppm(expected_residue_masses(found, MASSES, INSIDE)) > 1000


def test_positions_without_residues_have_neither_mass_nor_gradient() -> None:
    """All on special tokens: 0 instead of 0 / 0, in the gradient too."""
    nothing = certain(torch.zeros(1, 3, dtype=torch.long)).requires_grad_()
    found = renormalised_residue_masses(nothing, MASSES, torch.ones(1, 3, dtype=torch.bool))
    assert found.tolist() == [[0.0, 0.0, 0.0]]
    found.sum().backward()
    assert nothing.grad is not None
    assert not nothing.grad.any()


@pytest.mark.parametrize("form", [expected_residue_masses, renormalised_residue_masses])
def test_masked_positions_do_not_count(form: object) -> None:
    """Whatever is behind the end has neither value nor gradient, not even NaN."""
    given = certain(TOKENS)
    given[:, -1] = float("nan")
    found = form(given, MASSES, RESIDUES)  # pyright: ignore[reportCallIssue]
    assert found[:, -1].item() == 0.0
    assert torch.isfinite(found).all()


def test_the_card_of_the_expected_mass_is_clean() -> None:
    """Through logits, renormalised, against the residue-unit Huber: nothing to warn of."""
    from poise.losses.peptide import precursor_huber

    tokens = torch.cat([tokens_of("PEPTIDEK", 14), tokens_of("WRAAGGTSNDLK", 14)])
    mask, target = residue_mask(tokens, MASSES), peptide_mass(MASSES[tokens])

    def loss(logits: Tensor, precursor_da: Tensor) -> Tensor:
        residues = renormalised_residue_masses(logits.softmax(-1), MASSES, mask)
        return precursor_huber(peptide_mass(residues), precursor_da.to(residues)).value

    logits = torch.randn(2, 14, 24, generator=torch.Generator().manual_seed(0))
    card = poise.inspect(loss, (logits, target))
    assert {one.rule for one in card.findings if one.severity is poise.Severity.ERROR} == set()


@pytest.mark.parametrize("form", [expected_residue_masses, renormalised_residue_masses])
def test_half_precision_does_not_blur_masses(form: Callable[..., Tensor]) -> None:
    """Under autocast and for half probabilities masses stay exact: W alone would be 0.05 Da off."""
    wanted = form(certain(TOKENS), MASSES, RESIDUES).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = form(certain(TOKENS).float(), MASSES, RESIDUES)
    for found in (under, form(certain(TOKENS).half(), MASSES, RESIDUES)):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted)
