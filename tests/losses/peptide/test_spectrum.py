"""Fragment ions and how they match a spectrum."""

import pytest
import torch
from torch import Tensor

import poise
from poise.errors import LossError
from poise.losses.peptide import (
    expected_residue_masses,
    fragment_mz,
    residue_mask,
    residue_masses,
    spectrum_match,
)
from tests.losses.peptide.conftest import VOCABULARY, certain, leaking, tokens_of

MASSES = residue_masses(VOCABULARY)
TOKENS = tokens_of("PEPTIDEK", 14)
INSIDE = residue_mask(TOKENS, MASSES)
RIGHT = MASSES[TOKENS] * INSIDE
"""Masses of the right residues, 0 elsewhere."""
PEAKS = fragment_mz(RIGHT, INSIDE)[0][fragment_mz(RIGHT, INSIDE)[1]][None]
EVEN = torch.ones_like(PEAKS)


def test_ions_are_those_of_pyteomics() -> None:
    """All b and y ions of a peptide, singly and doubly charged, against an independent sum."""
    from pyteomics import mass

    for charge in (1, 2):
        expected = [
            mass.fast_mass("PEPTIDEK"[:i], ion_type="b", charge=charge) for i in range(1, 8)
        ] + [mass.fast_mass("PEPTIDEK"[i:], ion_type="y", charge=charge) for i in range(1, 8)]
        found, real = fragment_mz(RIGHT, INSIDE, charge=charge)
        assert sorted(found[real].tolist()) == pytest.approx(sorted(expected), abs=1e-4)


def test_a_peptide_of_n_has_n_minus_1_of_each_ion() -> None:
    """No ion from before the first or behind the last residue."""
    assert fragment_mz(RIGHT, INSIDE)[1].sum() == 2 * 7
    one = residue_mask(tokens_of("K", 14), MASSES)
    assert fragment_mz(RIGHT, one)[1].sum() == 0


@pytest.mark.parametrize("directions", ["both", "observed", "predicted"])
def test_the_right_peptide_costs_nothing(directions: str) -> None:
    """With a mask, in every direction."""
    found = spectrum_match(RIGHT, INSIDE, PEAKS, EVEN, directions=directions)  # pyright: ignore[reportArgumentType]
    assert found.value.item() == pytest.approx(0.0, abs=1e-12)
    assert found.count == 1


def test_without_a_mask_the_right_peptide_costs_something() -> None:
    """Uniform probabilities behind the end shift every y ion: the historical fault."""
    blurred = leaking(certain(TOKENS), 1.0)
    given = torch.where(INSIDE[..., None], certain(TOKENS), blurred)
    everywhere = torch.ones_like(INSIDE)
    residues = expected_residue_masses(given, MASSES, everywhere)
    unmasked = spectrum_match(residues, None, PEAKS, EVEN, directions="observed").value
    masked = spectrum_match(residues * INSIDE, INSIDE, PEAKS, EVEN, directions="observed").value
    assert unmasked > 0.5
    assert masked.item() == pytest.approx(0.0, abs=1e-12)


def test_the_direction_from_the_ions_sees_what_the_other_cannot() -> None:
    """Half the peaks of the right peptide: each has its ion, but not each ion has its peak."""
    half, there = PEAKS[:, ::2], EVEN[:, ::2]
    assert spectrum_match(RIGHT, INSIDE, half, there, directions="observed").value.item() < 1e-12
    assert spectrum_match(RIGHT, INSIDE, half, there, directions="predicted").value.item() > 1


def test_both_is_the_mean_of_the_directions() -> None:
    """A shifted peptide, each direction by itself."""
    shifted = torch.where(INSIDE, RIGHT + 1.0, RIGHT)
    parts = [
        spectrum_match(shifted, INSIDE, PEAKS, EVEN, directions=one).value
        for one in ("observed", "predicted")
    ]
    both = spectrum_match(shifted, INSIDE, PEAKS, EVEN).value
    assert both.item() == pytest.approx((sum(parts) / 2).item())


def test_peaks_count_by_their_intensity_and_padding_does_not() -> None:
    """A far peak of no height is no peak; ten times the height of all of them changes nothing."""
    peaks, far = torch.cat([PEAKS, torch.tensor([[5000.0]])], 1), torch.zeros(1, 1)
    found = spectrum_match(RIGHT, INSIDE, peaks, torch.cat([EVEN, far], 1), directions="observed")
    assert found.value.item() == pytest.approx(0.0, abs=1e-12)
    shifted = torch.where(INSIDE, RIGHT + 1.0, RIGHT)
    low, high = (spectrum_match(shifted, INSIDE, PEAKS, k * EVEN).value for k in (1, 10))
    assert low.item() == pytest.approx(high.item())


def test_a_spectrum_without_peaks_or_ions_does_not_count() -> None:
    """Value, count and gradient are 0, not NaN."""
    given = RIGHT.clone().requires_grad_()
    found = spectrum_match(given, INSIDE, PEAKS, 0 * EVEN)
    found.value.backward()
    assert (found.value.item(), found.count.item()) == (0.0, 0)  # pyright: ignore[reportAttributeAccessIssue]
    assert given.grad is not None
    assert not given.grad.any()


def test_near_an_ion_it_is_quadratic_and_far_from_it_linear() -> None:
    """0.5 d^2 up to 0.2 Da, then 0.2 (d - 0.1)."""
    one, ends = torch.tensor([[100.0, 100.0]]), torch.ones(1, 1)
    b_ion = fragment_mz(one, None)[0][:, :1]
    for distance, expected in ((0.1, 0.005), (2.0, 0.38)):
        found = spectrum_match(one, None, b_ion - distance, ends, directions="observed")
        assert found.value.item() == pytest.approx(expected, rel=1e-3)


def test_doubly_charged_peaks_are_met_where_the_charge_is_asked_for() -> None:
    """And are far off where it is not."""
    peaks, real = fragment_mz(RIGHT, INSIDE, charge=2)
    double = peaks[real][None]
    for charges, low in (((1, 2), True), ((1,), False)):
        found = spectrum_match(
            RIGHT, INSIDE, double, EVEN, charges=charges, directions="observed"
        ).value
        assert (found.item() < 1e-12) is low


def test_the_card_has_no_error() -> None:
    """A nearest-ion loss is flat between ions and bumpy: warnings are its nature, errors not."""

    def loss(residues_da: Tensor, peaks_mz: Tensor) -> Tensor:
        return spectrum_match(residues_da, None, peaks_mz, torch.ones_like(peaks_mz)).value

    residues = MASSES[torch.randint(4, 24, (3, 8), generator=torch.Generator().manual_seed(0))]
    peaks = fragment_mz(residues, None)[0]
    card = poise.inspect(loss, (residues + 1.0, peaks))
    assert [one.rule for one in card.findings if one.severity is poise.Severity.ERROR] == []


def test_what_does_not_fit_is_refused() -> None:
    """Peaks without intensities, other counts of spectra, wrong options."""
    with pytest.raises(LossError, match=r"one shape \[batch, peaks\].*pad both"):
        spectrum_match(RIGHT, INSIDE, PEAKS, EVEN[:, :3])
    with pytest.raises(LossError, match="as many spectra as peptides, got 2 and 1"):
        spectrum_match(RIGHT, INSIDE, PEAKS.expand(2, -1), EVEN.expand(2, -1))
    with pytest.raises(LossError, match="directions to be both, observed or predicted"):
        spectrum_match(RIGHT, INSIDE, PEAKS, EVEN, directions="all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(LossError, match="at least one charge and a knee above 0"):
        spectrum_match(RIGHT, INSIDE, PEAKS, EVEN, charges=())
    with pytest.raises(LossError, match=r"fragment_mz: expected masses and a bool mask"):
        fragment_mz(RIGHT, INSIDE[:, :3])
    with pytest.raises(LossError, match="a charge of at least 1, got 0"):
        fragment_mz(RIGHT, INSIDE, charge=0)


def test_half_precision_finds_its_peaks() -> None:
    """The right peptide in half precision: a Huber loss of less than the rounding, half a Da."""
    found = spectrum_match(RIGHT.half(), INSIDE, PEAKS.half(), EVEN.half())
    assert found.value.item() < 0.2 * 0.5
