"""Metrics of a prediction."""

import random

import pytest
import torch
from torch.nn import functional as F

from poise.recipes.peptide.data import (
    VOCABULARY,
    Batch,
    Difficulty,
    batch_of,
    made_spectrum,
    spectrum_of,
    vocabulary_masses,
)
from poise.recipes.peptide.metrics import metrics_of
from poise.recipes.peptide.terms import Output

SURE = 40.0


def output(batch: Batch, tokens: torch.Tensor) -> Output:
    """A model that is sure of the given tokens, and of nothing at its first step."""
    logits = SURE * F.one_hot(tokens, len(VOCABULARY)).float()
    both = torch.stack([torch.zeros_like(logits), logits])
    return Output(batch=batch, logits=both, masses=vocabulary_masses())


def batch() -> Batch:
    """Clean spectra."""
    draw = random.Random(0)
    return batch_of([made_spectrum(draw, 4, Difficulty(longest=6)) for _ in range(8)])


def test_a_perfect_model_has_no_error() -> None:
    """Only the last step of the decoder counts."""
    given = batch()
    found = metrics_of(output(given, given.tokens))
    assert found["precursor_error_ppm"].item() < 0.5
    assert found["best_mass_error_da"].item() < 1e-3
    for name in ("token_accuracy", "residue_accuracy", "sequence_accuracy"):
        assert found[name].item() == 1.0


def test_isoleucine_is_leucine() -> None:
    """They have one mass, so that no spectrum can tell them apart."""
    index = VOCABULARY.index
    given = batch_of([spectrum_of("GILK", [(58.0, 1.0)], 429.3, 2)])
    swapped = given.tokens.clone()
    swapped[0, 2], swapped[0, 3] = index("L"), index("I")
    assert metrics_of(output(given, swapped))["sequence_accuracy"].item() == 1.0


def test_one_wrong_residue_counts_as_one() -> None:
    """Of six tokens, of four residues, of one peptide; and by its mass."""
    index = VOCABULARY.index
    given = batch_of([spectrum_of("GAVK", [(58.0, 1.0)], 373.2325, 2)])
    wrong = given.tokens.clone()
    wrong[0, 1] = index("A")
    found = metrics_of(output(given, wrong))
    assert found["token_accuracy"].item() == pytest.approx(5 / 6)
    assert found["residue_accuracy"].item() == pytest.approx(3 / 4)
    assert found["sequence_accuracy"].item() == 0.0
    assert found["best_mass_error_da"].item() == pytest.approx(14.016, abs=0.01)
    assert found["precursor_error_ppm"].item() == pytest.approx(14.016 / 373.2325e-6, rel=1e-3)


def test_what_is_behind_the_end_does_not_count() -> None:
    """Residues predicted on padding change nothing."""
    index = VOCABULARY.index
    given = batch_of(
        [spectrum_of("GA", [(58.0, 1.0)], 146.07, 1), spectrum_of("GAVK", [(58.0, 1.0)], 373.2, 2)]
    )
    noisy = torch.where(given.mask, given.tokens, index("W"))
    for name, value in metrics_of(output(given, noisy)).items():
        expected = metrics_of(output(given, given.tokens))[name].item()
        assert value.item() == pytest.approx(expected), name
