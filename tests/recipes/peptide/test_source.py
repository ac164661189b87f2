"""Where batches come from."""

from pathlib import Path

import pytest
import torch

from poise.errors import RecipeError
from poise.recipes.peptide.curriculum import Curriculum
from poise.recipes.peptide.source import BATCH, made, of_file
from tests.recipes.peptide.files import entry, write_mgf

CURRICULUM = Curriculum(first=4, later=1)


def test_made_batches_follow_the_curriculum_and_the_seed() -> None:
    """One a step, longer ones in later stages; the same seed, the same batches."""
    first, again, other = (list(made(seed, CURRICULUM).batches) for seed in (0, 0, 1))
    assert len(first) == CURRICULUM.total_steps
    assert all(len(one.tokens) == BATCH for one in first)
    assert first[0].tokens.shape[1] <= 8
    assert first[-1].tokens.shape[1] > 9
    assert all(torch.equal(a.mz, b.mz) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].tokens, other[0].tokens)
    assert torch.equal(made(0, CURRICULUM).held_out.mz, made(0, CURRICULUM).held_out.mz)


def test_no_peptide_of_a_file_is_in_both_parts(tmp_path: Path) -> None:
    """Several spectra of one peptide stay together: one in five peptides is held out."""
    peptides = ["GAK", "GAVK", "PEPTIDEK", "AAGR", "LLSK", "TTVR", "GGWK", "SSNK", "DDQK", "EEFR"]
    path = write_mgf(tmp_path / "a.mgf", [entry(one) for one in peptides for _ in range(3)])
    source = of_file(path, 0, CURRICULUM)
    held = {tuple(one) for one in _sequences(source.held_out.tokens)}
    batches = list(source.batches)
    trained = {tuple(one) for batch in batches for one in _sequences(batch.tokens)}
    assert len(held) == 2
    assert len(trained) == 8
    assert not held & trained
    assert source.longest == 8
    assert len(batches) == CURRICULUM.total_steps


def test_too_few_peptides_are_refused(tmp_path: Path) -> None:
    """Where none could be held out."""
    path = write_mgf(tmp_path / "a.mgf", [entry("GAK")] * 20)
    with pytest.raises(RecipeError, match=r"at least 5 different peptides.*got 1"):
        of_file(path, 0, CURRICULUM)


def _sequences(tokens: torch.Tensor) -> list[list[int]]:
    return [[x for x in row if x > 3] for row in tokens.tolist()]
