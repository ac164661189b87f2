"""Trains one variant of the multi-task recipe under a watch."""

from collections.abc import Mapping

import torch
from torch import Tensor

from poise.losses.multitask import (
    class_loss,
    countdown_loss,
    pointer_loss,
    positive_weight,
    span_f1,
    span_loss,
)
from poise.recipes.multitask.data import Windows, make_windows
from poise.recipes.multitask.model import Model
from poise.recipes.multitask.weighing import (
    CURED,
    OFFSET,
    UPWEIGHTED,
    WEIGHINGS,
    WEIGHTS,
    Weighing,
)
from poise.recipes.recipe import Job
from poise.record import Expect
from poise.watch import Watch

WINDOWS, BATCH, UPDATES, RATE = 168, 32, 120, 1e-3
HELD_OUT, HELD_OUT_SEED = 420, 10_000
"""Synthetic windows that all variants and seeds are measured on: ten times the incident's 42."""
QUICK, QUICK_HELD_OUT = 30, 84
EVALUATIONS = 6
EXPECT = (
    Expect("countdown", below=15.0, after=0.8),
    Expect("countdown_spread", above=3.0, after=0.8, split="eval"),
)
"""A countdown that learns leaves the 15.9 of "predict zero", and its predictions spread."""


def losses(
    outputs: Mapping[str, Tensor], batch: Windows, rare: Tensor | None = None
) -> dict[str, Tensor]:
    """The four terms of a batch, each a mean.

    Args:
        outputs: As `Model` gives them.
        batch: Its windows.
        rare: Weight of the steps in a span, whose term is then `binary_upweighted`; None: 1.
    """
    flags = "binary" if rare is None else UPWEIGHTED
    return {
        "type": class_loss(outputs["type"], batch.kind).value,
        "ptr": pointer_loss(outputs["ptr"], batch.pointers).value,
        flags: span_loss(outputs["binary"], batch.inside, positive_weight=rare).value,
        "countdown": countdown_loss(outputs["countdown"], batch.countdown).value,
    }


def data_of(job: Job) -> tuple[Windows, Windows]:
    """Windows to train on, and windows to measure on."""
    if job.data is not None:
        from poise.recipes.multitask.ohlc import read_windows

        return read_windows(job.data, job.seed)
    held_out = make_windows(QUICK_HELD_OUT if job.quick else HELD_OUT, HELD_OUT_SEED)
    # No training draws the stream that the held-out windows are drawn from.
    seed = job.seed + (job.seed >= HELD_OUT_SEED)
    return make_windows(WINDOWS, seed), held_out


def train(job: Job) -> None:
    """Trains 120 updates (30 if quick) of 32 windows, measured on held-out windows six times."""
    data, held_out = data_of(job)
    chosen = WEIGHINGS[job.variant]()
    model = Model(chosen.unit)
    learned = [*model.parameters(), *(() if chosen.sigmas is None else chosen.sigmas.parameters())]
    optimizer = torch.optim.AdamW(learned, lr=RATE)
    rare = positive_weight(data.inside) if chosen.rare_spans else None
    updates = QUICK if job.quick else UPDATES
    with Watch(
        job.out,
        model=model,
        optimizer=optimizer,
        total_steps=updates,
        shares=chosen.shares,
        roles=None if chosen.sigmas is None else {OFFSET: "offset"},
        expect=() if job.quick else EXPECT,
    ) as watch:
        for update in range(updates):
            batch = data.pick(torch.randperm(len(data))[:BATCH])
            total = weighted(watch, model, chosen, batch, rare)
            optimizer.zero_grad()
            total.backward()  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
            optimizer.step()  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
            if (update + 1) % (updates // EVALUATIONS) == 0:
                evaluate(watch, model, held_out, rare)
            job.progress((update + 1) / updates)


def weighted(
    watch: Watch, model: Model, chosen: Weighing, batch: Windows, rare: Tensor | None
) -> Tensor:
    """The total of one batch as the variant weighs it."""
    fork = None if chosen.balance is None else chosen.balance.fork
    terms = losses(model(batch.inputs, fork), batch, rare)
    if chosen.balance is not None:
        return watch.total(terms, chosen.balance)
    if chosen.sigmas is not None:
        terms[OFFSET] = chosen.sigmas.offset()
    assert chosen.weigh is not None
    total = watch.total(terms, chosen.weigh(terms))
    if chosen.sigmas is not None:
        watch.log(**{f"sigma_{name}": one for name, one in chosen.sigmas.sigmas().items()})
    return total


@torch.no_grad()
def evaluate(watch: Watch, model: Model, held_out: Windows, rare: Tensor | None) -> None:
    """Measures the held-out windows, without dropout, alike for every variant.

    The weights of the total are those that were meant, 10/70/10/10, whatever the training does.
    """
    model.eval()
    outputs = model(held_out.inputs)
    terms = losses(outputs, held_out, rare)
    ahead, pointers = outputs["countdown"], outputs["ptr"]
    bars = held_out.inputs.shape[1]
    with watch.evaluation("eval"):
        watch.total(terms, WEIGHTS if rare is None else CURED)
        watch.log(
            countdown_error=(ahead - held_out.countdown).abs().mean(),
            countdown_spread=ahead.std(),
            pointer_error=bars * (pointers - held_out.pointers).abs()[:, 0].mean(),
            span_f1=span_f1(outputs["binary"].sigmoid(), held_out.inside),
            type_accuracy=(outputs["type"].argmax(dim=1) == held_out.kind).float().mean(),
        )
    model.train()
