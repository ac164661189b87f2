"""Monoisotopic masses of residues and of what fragment ions add to them, in Da, from pyteomics."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, final

import torch
from torch import Tensor

from poise.errors import LossError, MissingExtraError

RESIDUE_DA = 110.0
"""Mass of an average residue, in Da: the unit in which an error in mass is an error in residues."""
SPECIAL = frozenset(("<pad>", "<sos>", "<eos>", "<unk>"))
"""Tokens that are no residue; they have mass 0."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IonMasses:
    """What a peptide and its fragments weigh beside their residues.

    Attributes:
        water_da: H2O, in every peptide and every y ion, in Da.
        proton_da: One charge, in Da.
        ammonia_da: NH3, which some ions lose, in Da.
        carbon_monoxide_da: CO, by which an a ion is lighter than a b ion, in Da.
    """

    water_da: float
    proton_da: float
    ammonia_da: float
    carbon_monoxide_da: float


@cache
def ion_masses() -> IonMasses:
    """Masses of water, a proton, ammonia and carbon monoxide.

    Raises:
        MissingExtraError: pyteomics is not installed.

    Example:
        >>> round(ion_masses().water_da, 5), round(ion_masses().proton_da, 5)
        (18.01056, 1.00728)
    """
    mass = _pyteomics_mass()
    return IonMasses(
        water_da=float(mass.calculate_mass(formula="H2O")),
        proton_da=float(mass.nist_mass["H+"][0][0]),
        ammonia_da=float(mass.calculate_mass(formula="NH3")),
        carbon_monoxide_da=float(mass.calculate_mass(formula="CO")),
    )


def residue_masses(vocabulary: Sequence[str]) -> Tensor:
    """Mass of every token of a vocabulary, by its position in it.

    The table follows the vocabulary itself, so that no offset can be wrong: with the index of a
    vocabulary that has one special token, used in one that has four, a perfect model of ten
    residues seems to be off by some 200,000 ppm.

    Args:
        vocabulary: One-letter residues, and special tokens in angle brackets (`SPECIAL`).

    Returns:
        float64, shape (tokens,), in Da; special tokens have 0.0.

    Raises:
        MissingExtraError: pyteomics is not installed.
        LossError: A token is neither a residue nor a special token.

    Example:
        >>> residue_masses(("<pad>", "G", "W"))
        tensor([  0.0000,  57.0215, 186.0793], dtype=torch.float64)
    """
    known = _pyteomics_mass().std_aa_mass
    unknown = [token for token in vocabulary if token not in known and token not in SPECIAL]
    if unknown:
        raise LossError(
            f"residue_masses: expected one-letter residues or special tokens {sorted(SPECIAL)}, "
            f"got {unknown[0]!r} at position {list(vocabulary).index(unknown[0])}; rename it"
        )
    return torch.tensor([float(known.get(token, 0.0)) for token in vocabulary], dtype=torch.float64)


def _pyteomics_mass() -> Any:  # noqa: ANN401 -- a module without types
    try:
        return import_module("pyteomics.mass")
    except ModuleNotFoundError as error:
        message = (
            "poise.losses.peptide takes its masses from pyteomics, which is not installed: "
            "pip install 'poise[recipes]'"
        )
        raise MissingExtraError(message) from error
