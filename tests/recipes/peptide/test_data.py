"""Made spectra and their tensors."""

import random

import pytest
import torch

from poise.losses.peptide import fragment_mz, ion_masses, peptide_mass, residue_mask
from poise.recipes.peptide.data import (
    EOS,
    PEAKS,
    SOS,
    VOCABULARY,
    Difficulty,
    batch_of,
    made_spectrum,
    spectrum_of,
    vocabulary_masses,
)

CLEAN = Difficulty(longest=6)


def test_a_clean_spectrum_has_all_ions_and_nothing_else() -> None:
    """B and y ions by the losses' own sum, and the precursor's mass."""
    masses = vocabulary_masses()
    for seed in range(20):
        one = made_spectrum(random.Random(seed), 4, CLEAN)
        batch = batch_of([one])
        residues = masses[batch.tokens]
        expected, real = fragment_mz(residues, residue_mask(batch.tokens, masses))
        assert sorted(expected[real].tolist()) == pytest.approx(list(one.mz), abs=1e-3)
        assert peptide_mass(residues).item() == pytest.approx(one.precursor_da, abs=1e-3)
        assert 4 <= len(one.peptide) <= 6
        assert max(one.intensity) == 1.0
        assert one.mz == tuple(sorted(one.mz))


def test_each_difficulty_does_what_its_name_says() -> None:
    """Noise adds peaks, dropout takes them, ppm moves masses, and nothing moves much."""
    draws = 200

    def mean_peaks(how: Difficulty) -> float:
        draw = random.Random(0)
        return sum(len(made_spectrum(draw, 6, how).mz) for _ in range(draws)) / draws

    assert mean_peaks(CLEAN) == 10
    assert mean_peaks(Difficulty(longest=6, noise=3)) == 13
    assert mean_peaks(Difficulty(longest=6, dropout=0.5)) == pytest.approx(5, abs=0.5)
    table = dict(zip(VOCABULARY, vocabulary_masses().tolist(), strict=True))
    draw, shifts = random.Random(0), []
    for _ in range(draws):
        one = made_spectrum(draw, 6, Difficulty(longest=6, ppm=100.0))
        true = sum(table[x] for x in one.peptide) + ion_masses().water_da
        shifts.append(1e6 * (one.precursor_da - true) / true)
    spread = (sum(x * x for x in shifts) / draws) ** 0.5
    assert spread == pytest.approx(100, rel=0.2)


def test_a_batch_is_padded_and_masked() -> None:
    """<sos>, residues, <eos>; the mask is true for these and peaks that are not there are 0."""
    short = spectrum_of("GA", [(58.0, 2.0)], 146.07, 1)
    long = spectrum_of("GAVK", [(58.0, 1.0), (90.0, 4.0)], 373.2, 2)
    batch = batch_of([short, long])
    assert batch.tokens.shape == (2, 6)
    assert batch.tokens[0].tolist()[0] == SOS
    assert batch.tokens[0].tolist()[3:] == [EOS, 0, 0]
    assert batch.mask.sum(1).tolist() == [4, 6]
    assert batch.mz.tolist() == [[58.0, 0.0], [58.0, 90.0]]
    assert batch.intensity.tolist() == [[1.0, 0.0], [0.25, 1.0]]
    assert batch.charge.tolist() == [1, 2]


def test_the_most_intense_peaks_are_kept() -> None:
    """Sorted by mass afterwards."""
    peaks = [(100.0 + k, float(k + 1)) for k in range(PEAKS + 10)]
    one = spectrum_of("GA", peaks, 146.07, 1)
    assert len(one.mz) == PEAKS
    assert one.mz[0] == 110.0
    assert one.mz == tuple(sorted(one.mz))


def test_the_same_draw_gives_the_same_spectrum() -> None:
    """And another one another."""
    first, again, other = (
        made_spectrum(random.Random(seed), 4, Difficulty(longest=8, noise=2, ppm=5.0))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_masses_are_single_precision_and_in_order() -> None:
    """One for each token."""
    assert vocabulary_masses().dtype == torch.float32
    assert len(vocabulary_masses()) == len(VOCABULARY) == 24
