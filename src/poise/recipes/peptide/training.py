"""Trains a variant under a watch."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from poise.losses.peptide import mass_error_ppm
from poise.recipes.peptide.curriculum import SHORTEST, STAGES, Curriculum
from poise.recipes.peptide.data import (
    UNK,
    VOCABULARY,
    Batch,
    Spectrum,
    batch_of,
    made_spectrum,
    vocabulary_masses,
)
from poise.recipes.peptide.model import Recursive
from poise.recipes.peptide.terms import Output, Terms, terms_of
from poise.recipes.recipe import Job
from poise.watch import Watch

FULL = Curriculum(first=120, later=30)
QUICK = Curriculum(first=60, later=6)
BATCH = 24
HELD_OUT = 256
RATE = 2e-3
LEAST = 0.01
"""Where the cosine of the learning rate ends, of its beginning."""
CLIP = 1.0
"""Largest norm of the gradient."""
EVERY = 10
"""Micro-batches between measurements: several fall into each stage."""
BUDGET = 0.5
"""Share of the time for measuring: enough for all of them, on any machine."""
_LEUCINE, _ISOLEUCINE = VOCABULARY.index("L"), VOCABULARY.index("I")


def train(job: Job) -> None:
    """Trains a job; the last evaluation of its record is on held-out spectra of the last stage."""
    curriculum = QUICK if job.quick else FULL
    model = Recursive(length=STAGES[-1].longest + 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = curriculum.total_steps
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=LEAST * RATE)
    terms = terms_of(job.variant, curriculum)
    batches = _made_batches(job.seed, curriculum)
    held_out = batch_of(_made(random.Random(f"held out {job.seed}"), HELD_OUT, len(STAGES) - 1))
    masses = vocabulary_masses()
    with Watch(
        job.out,
        model=model,
        optimizer=optimizer,
        total_steps=steps,
        schedules=terms.weights,
        every=EVERY,
        budget=BUDGET,
    ) as watch:
        for step in range(steps):
            if step in curriculum.starts:
                _evaluate(watch, model, terms, held_out, masses)
            batch = next(batches)
            output = Output(batch=batch, logits=model(batch), masses=masses)
            _total(watch, terms, output, step).backward()
            watch.log(
                grad_norm=nn.utils.clip_grad_norm_(model.parameters(), CLIP),
                stage=curriculum.stage(step) + 1,
            )
            optimizer.step()
            optimizer.zero_grad()
            decay.step()
            job.progress((step + 1) / steps)
        _evaluate(watch, model, terms, held_out, masses)


def _total(watch: Watch, terms: Terms, output: Output, step: int) -> Tensor:
    """The weighted sum, recorded with its counts."""
    losses = terms.losses(output)
    return watch.total(
        {name: one.value for name, one in losses.items()},
        terms.at(step),
        counts={name: one.count for name, one in losses.items()},
    )


def _evaluate(
    watch: Watch, model: nn.Module, terms: Terms, held_out: Batch, masses: Tensor
) -> None:
    """All terms of the objective and the metrics, on held-out spectra."""
    model.eval()
    with watch.evaluation("eval"), torch.no_grad():
        output = Output(batch=held_out, logits=model(held_out), masses=masses)
        _total(watch, terms, output, watch.steps)
        watch.log(**metrics_of(output))
    model.train()


def metrics_of(output: Output) -> dict[str, Tensor]:
    tokens, mask = output.batch.tokens, output.batch.mask
    best = output.logits[-1].argmax(-1)
    one, other = (torch.where(x == _ISOLEUCINE, _LEUCINE, x) for x in (best, tokens))
    right = one == other
    residues = mask & (tokens > UNK)
    hard = torch.where(mask, output.masses[best], 0.0).sum(-1) + 18.01056
    return {
        "precursor_error_ppm": mass_error_ppm(output.expected_da, output.batch.precursor_da).mean(),
        "best_mass_error_da": (hard - output.batch.precursor_da).abs().mean(),
        "token_accuracy": right[mask].float().mean(),
        "residue_accuracy": right[residues].float().mean(),
    }


def _made(draw: random.Random, count: int, stage: int) -> list[Spectrum]:
    return [made_spectrum(draw, SHORTEST, STAGES[stage]) for _ in range(count)]


def _made_batches(seed: int, curriculum: Curriculum) -> Iterator[Batch]:
    """A batch for each step."""
    draw = random.Random(f"train {seed}")
    for step in range(curriculum.total_steps):
        yield batch_of(_made(draw, BATCH, curriculum.stage(step)))
