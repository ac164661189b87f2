"""Trains a variant under a watch."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from poise.recipes.peptide.criteria import criteria_of
from poise.recipes.peptide.curriculum import Curriculum
from poise.recipes.peptide.data import Batch, vocabulary_masses
from poise.recipes.peptide.metrics import metrics_of
from poise.recipes.peptide.model import Recursive
from poise.recipes.peptide.source import made, of_file
from poise.recipes.peptide.terms import Output, Terms, terms_of
from poise.recipes.recipe import Job
from poise.watch import Watch

FULL = Curriculum(first=120, later=20)
QUICK = Curriculum(first=60, later=4)
RATE = 2e-3
LEAST = 0.01
"""Where the cosine of the learning rate ends, of its beginning."""
DECAY = 0.01
CLIP = 1.0
"""Largest norm of the gradient."""
EVERY, EVERY_QUICK = 8, 2
"""Micro-batches between measurements: some fall into each stage."""
BUDGET = 0.9
"""Share of the time for measuring: as much as it takes for all of them."""


def train(job: Job) -> None:
    """Trains a job; each stage ends with an evaluation on the same held-out spectra.

    Raises:
        RecipeError: The file of real data cannot be used.
    """
    curriculum = QUICK if job.quick else FULL
    steps = curriculum.total_steps
    source = of_file(job.data, job.seed, curriculum) if job.data else made(job.seed, curriculum)
    masses = vocabulary_masses()
    terms = terms_of(job.variant, curriculum)
    model = Recursive(length=source.longest + 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=LEAST * RATE)
    with Watch(
        job.out,
        model=model,
        optimizer=optimizer,
        total_steps=steps,
        schedules=terms.weights,
        every=EVERY_QUICK if job.quick else EVERY,
        budget=BUDGET,
        expect=criteria_of(job.variant, curriculum),
    ) as watch:
        for step, batch in enumerate(source.batches):
            if step in curriculum.starts:
                _evaluate(watch, model, terms, source.held_out, masses)
            output = Output(batch=batch, logits=model(batch), masses=masses)
            _backward(_total(watch, terms, output, step))
            watch.log(
                grad_norm=nn.utils.clip_grad_norm_(model.parameters(), CLIP),
                stage=curriculum.stage(step) + 1,
            )
            cast(Callable[[], None], optimizer.step)()
            optimizer.zero_grad()
            decay.step()
            job.progress((step + 1) / steps)
        _evaluate(watch, model, terms, source.held_out, masses)


def _total(watch: Watch, terms: Terms, output: Output, step: int) -> Tensor:
    """The weighted sum, recorded with its counts."""
    losses, weights = terms.losses(output), terms.at(step)
    total = watch.total(
        {name: one.value for name, one in losses.items()},
        weights,
        counts={name: one.count for name, one in losses.items()},
    )
    watch.log(precursor_contribution=weights["precursor"] * losses["precursor"].value.detach())
    return total


def _backward(total: Tensor) -> None:
    cast(Callable[[], None], total.backward)()


def _evaluate(
    watch: Watch, model: nn.Module, terms: Terms, held_out: Batch, masses: Tensor
) -> None:
    """All terms of the training and the metrics, on held-out spectra."""
    model.eval()
    with watch.evaluation(), torch.no_grad():
        output = Output(batch=held_out, logits=model(held_out), masses=masses)
        # The weights of the step just done: those of the next stage are another objective.
        _total(watch, terms, output, watch.steps - 1)
        watch.log(**metrics_of(output))
    model.train()
