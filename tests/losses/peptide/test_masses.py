"""Masses of residues and ions."""

import sys

import pytest
import torch

from poise.errors import LossError, MissingExtraError
from poise.losses.peptide import ion_masses, residue_masses
from poise.losses.peptide.masses import IonMasses
from tests.losses.peptide.conftest import VOCABULARY

KNOWN = {"A": 71.03711, "R": 156.10111, "I": 113.08406, "L": 113.08406, "W": 186.07931}
"""From tables of mass spectrometry, in Da."""


def test_masses_are_those_of_the_tables() -> None:
    """To five decimals, at the position of each token; special tokens weigh nothing."""
    found = residue_masses(VOCABULARY)
    for token, mass in KNOWN.items():
        assert found[VOCABULARY.index(token)].item() == pytest.approx(mass, abs=1e-5)
    assert found[:4].tolist() == [0.0] * 4
    assert (found[4:] > 50).all()
    assert len(found) == len(VOCABULARY)


def test_ions_are_those_of_the_tables() -> None:
    """Water, a proton, ammonia and carbon monoxide, in Da."""
    expected = IonMasses(
        water_da=18.01056, proton_da=1.00728, ammonia_da=17.02655, carbon_monoxide_da=27.99491
    )
    for name in IonMasses.__slots__:
        assert getattr(ion_masses(), name) == pytest.approx(getattr(expected, name), abs=1e-5)


def test_the_table_follows_the_vocabulary_not_an_offset() -> None:
    """With three tokens fewer in front every residue has the mass of another: 200,000 ppm off."""
    short = residue_masses(VOCABULARY[3:])
    full = residue_masses(VOCABULARY)
    assert torch.equal(short, full[3:])
    residues = torch.arange(4, 24)
    wrong = (short[(residues - 3 + 3).clamp(max=len(short) - 1)] - full[residues]).abs()
    assert (wrong / full[residues]).mean() > 0.1


def test_a_token_without_a_mass_is_refused() -> None:
    """A misspelt or modified residue would silently weigh nothing."""
    with pytest.raises(LossError, match=r"got 'M\(ox\)' at position 1; rename it"):
        residue_masses(("A", "M(ox)"))


def test_without_pyteomics_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is guessed when the masses are missing."""
    monkeypatch.setitem(sys.modules, "pyteomics", None)
    monkeypatch.setitem(sys.modules, "pyteomics.mass", None)
    with pytest.raises(MissingExtraError, match=r"pyteomics.*pip install 'poise\[recipes\]'"):
        residue_masses(("A",))
