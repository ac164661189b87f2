"""Where a training's batches come from: made spectra that get harder, or those of a file."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from poise.errors import RecipeError
from poise.recipes.peptide.curriculum import SHORTEST, STAGES, Curriculum
from poise.recipes.peptide.data import Batch, Spectrum, batch_of, made_spectrum
from poise.recipes.peptide.readers import read_spectra

BATCH = 16
"""Spectra of a batch."""
HELD_OUT = 256
"""Spectra of the evaluation, at most."""
PART = 5
"""Of a file one in so many peptides is held out."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The data of one training.

    Attributes:
        batches: One for each optimizer step.
        held_out: For every evaluation; its peptides are in no batch of a file.
        longest: Residues of the longest peptide.
    """

    batches: Iterator[Batch]
    held_out: Batch
    longest: int


def made(seed: int, curriculum: Curriculum) -> Source:
    """Made spectra: each stage trains on its own difficulty, the last one's is held out.

    Example:
        >>> source = made(0, Curriculum(first=2, later=1))
        >>> len(list(source.batches)), source.longest
        (11, 10)
    """
    held_out = _made(random.Random(f"held out {seed}"), HELD_OUT, len(STAGES) - 1)
    return Source(
        batches=_made_batches(random.Random(f"train {seed}"), curriculum),
        held_out=batch_of(held_out),
        longest=STAGES[-1].longest,
    )


def of_file(path: Path, seed: int, curriculum: Curriculum) -> Source:
    """Spectra of a file, the same in all stages; one in five peptides is held out.

    Raises:
        RecipeError: The file cannot be read, or has too few peptides to hold one out.
    """
    spectra = read_spectra(path)
    peptides = sorted({one.peptide for one in spectra})
    if len(peptides) < PART:
        raise RecipeError(
            f"{path}: expected at least {PART} different peptides, of which one is held out, got "
            f"{len(peptides)}; give a larger file"
        )
    draw = random.Random(f"file {seed}")
    draw.shuffle(peptides)
    kept = {*peptides[: len(peptides) // PART]}
    training = [one for one in spectra if one.peptide not in kept]
    held_out = [one for one in spectra if one.peptide in kept]
    draw.shuffle(held_out)
    return Source(
        batches=_drawn_batches(draw, training, curriculum.total_steps),
        held_out=batch_of(held_out[:HELD_OUT]),
        longest=max(map(len, peptides)),
    )


def _made(draw: random.Random, count: int, stage: int) -> list[Spectrum]:
    return [made_spectrum(draw, SHORTEST, STAGES[stage]) for _ in range(count)]


def _made_batches(draw: random.Random, curriculum: Curriculum) -> Iterator[Batch]:
    for step in range(curriculum.total_steps):
        yield batch_of(_made(draw, BATCH, curriculum.stage(step)))


def _drawn_batches(draw: random.Random, spectra: Sequence[Spectrum], steps: int) -> Iterator[Batch]:
    for _ in range(steps):
        yield batch_of(draw.choices(spectra, k=BATCH))
