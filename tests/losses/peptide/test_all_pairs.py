"""The number that a whole diagnosis rested on, and the shapes that made it."""

import pytest
import torch
from torch import Tensor

from poise.errors import LossError
from poise.losses.peptide import mass_error_ppm, peptide_mass, residue_masses
from tests.losses.peptide.conftest import VOCABULARY


def all_pairs_ppm(predicted_da: Tensor, precursor_da: Tensor) -> Tensor:
    """As the diagnostic script had it: (B,) minus (B, 1) is every peptide against every other."""
    return 1e6 * (predicted_da - precursor_da[:, None]).abs() / precursor_da[:, None]


def peptides(count: int) -> Tensor:
    """Neutral masses of random peptides of 7 to 10 residues, in Da."""
    draw = torch.Generator().manual_seed(0)
    table = residue_masses(VOCABULARY)[4:]
    found = table[torch.randint(20, (count, 10), generator=draw)]
    sizes = torch.randint(7, 11, (count, 1), generator=draw)
    return peptide_mass(found * (torch.arange(10) < sizes))


def test_a_perfect_model_is_170000_ppm_off_in_all_pairs() -> None:
    """The reported 170,932.9 ppm says nothing of a model: the exact masses give as much."""
    true = peptides(2000)
    assert mass_error_ppm(true, true).max() == 0.0
    assert 150e3 < all_pairs_ppm(true, true).mean() < 200e3


def test_these_shapes_are_refused() -> None:
    """The same call is an error here, with the shapes in it."""
    true = peptides(32)
    with pytest.raises(LossError, match=r"\[32\] and \[32, 1\].*all pairs"):
        mass_error_ppm(true, true[:, None])
