"""Peptides and their fragment spectra: made ones, and what a batch of any holds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from poise.losses.peptide import ion_masses, residue_masses

VOCABULARY = ("<pad>", "<sos>", "<eos>", "<unk>", *"ARNDCEQGHILKMFPSTWYV")
"""Tokens by index: four special ones, then the residues."""
PAD, SOS, EOS, UNK = range(4)
RESIDUES = VOCABULARY[4:]
PEAKS = 40
"""Peaks of a spectrum that are kept, the most intense ones."""
FLOOR = 0.01
"""Least relative intensity of a made peak."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """One spectrum and the peptide it is of.

    Attributes:
        peptide: One-letter residues.
        mz: Peaks, in Da per charge, ascending.
        intensity: Of each peak, relative to the largest, above 0.
        precursor_da: Neutral mass of the peptide as measured, in Da.
        charge: Protons on the precursor.
    """

    peptide: str
    mz: tuple[float, ...]
    intensity: tuple[float, ...]
    precursor_da: float
    charge: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """How hard the spectra of a stage are.

    Attributes:
        longest: Residues of the longest peptide.
        noise: Peaks that are of nothing.
        dropout: Probability that a peak is missing.
        ppm: Standard deviation of measured masses, in ppm.
        variation: Standard deviation of the factor on each intensity.
    """

    longest: int
    noise: int = 0
    dropout: float = 0.0
    ppm: float = 0.0
    variation: float = 0.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Spectra and their peptides as tensors.

    Attributes:
        mz: Peaks, shape (batch, peaks), in Da per charge, 0 where there is none.
        intensity: Of the peaks, shape (batch, peaks), 0 where there is none.
        precursor_da: Neutral masses as measured, shape (batch,), in Da.
        charge: Protons on the precursors, shape (batch,), int64.
        tokens: <sos>, residues, <eos>, then <pad>; shape (batch, length), int64.
        mask: True from <sos> to <eos>, shape (batch, length).
    """

    mz: Tensor
    intensity: Tensor
    precursor_da: Tensor
    charge: Tensor
    tokens: Tensor
    mask: Tensor


def vocabulary_masses() -> Tensor:
    """Mass of every token of `VOCABULARY`, float32, in Da."""
    return residue_masses(VOCABULARY).float()


def made_spectrum(draw: random.Random, shortest: int, how: Difficulty) -> Spectrum:
    """One made spectrum: b and y ions of a random peptide, worsened as the difficulty says."""
    table = residue_table()
    size = draw.randint(shortest, how.longest)
    peptide = "".join(draw.choices(RESIDUES, k=size))
    ions, weights = ion_masses(), [table[one] for one in peptide]
    neutral = sum(weights) + ions.water_da
    peaks: list[tuple[float, float]] = []
    for split in range(1, size):
        prefix = sum(weights[:split])
        peaks.append((prefix + ions.proton_da, draw.betavariate(2, 5)))
        suffix = neutral - prefix + ions.proton_da
        peaks.append((suffix, draw.betavariate(2, 2)))
    peaks = [one for one in peaks if draw.random() >= how.dropout] or peaks[:1]
    peaks = [_blurred(draw, mz, height, how) for mz, height in peaks]
    peaks += [(draw.uniform(50.0, neutral), draw.uniform(0.01, 0.2)) for _ in range(how.noise)]
    charge = draw.choices((2, 3, 4), weights=(0.7, 0.25, 0.05))[0]
    measured = neutral * (1.0 + draw.gauss(0.0, how.ppm * 1e-6))
    return spectrum_of(peptide, peaks, measured, charge)


def spectrum_of(
    peptide: str, peaks: Sequence[tuple[float, float]], precursor_da: float, charge: int
) -> Spectrum:
    """A spectrum of its most intense peaks, relative to the largest and sorted by mass."""
    kept = sorted(peaks, key=lambda one: -one[1])[:PEAKS]
    top = kept[0][1]
    kept.sort()
    return Spectrum(
        peptide=peptide,
        mz=tuple(mz for mz, _ in kept),
        intensity=tuple(height / top for _, height in kept),
        precursor_da=precursor_da,
        charge=charge,
    )


def batch_of(spectra: Sequence[Spectrum]) -> Batch:
    """The tensors of some spectra, padded to the longest."""
    length = max(len(one.peptide) for one in spectra) + 2
    places = max(len(one.mz) for one in spectra)
    index = {token: at for at, token in enumerate(VOCABULARY)}
    tokens = [
        [SOS, *(index[one] for one in each.peptide), EOS] + [PAD] * (length - 2 - len(each.peptide))
        for each in spectra
    ]
    there = torch.tensor(tokens)
    return Batch(
        mz=torch.tensor([[*one.mz, *[0.0] * (places - len(one.mz))] for one in spectra]),
        intensity=torch.tensor(
            [[*one.intensity, *[0.0] * (places - len(one.mz))] for one in spectra]
        ),
        precursor_da=torch.tensor([one.precursor_da for one in spectra]),
        charge=torch.tensor([one.charge for one in spectra]),
        tokens=there,
        mask=there != PAD,
    )


def residue_table() -> dict[str, float]:
    """Mass of every residue, in Da."""
    return {
        token: float(mass)
        for token, mass in zip(VOCABULARY, residue_masses(VOCABULARY), strict=True)
    }


def _blurred(draw: random.Random, mz: float, height: float, how: Difficulty) -> tuple[float, float]:
    shifted = mz * (1.0 + draw.gauss(0.0, how.ppm * 1e-6))
    varied = height * max(draw.gauss(1.0, how.variation), 0.0)
    return shifted, max(varied, FLOOR)
