"""Trains one variant under a watch."""

from collections.abc import Callable
from math import cos, pi
from typing import cast, final

import torch
from torch import Tensor

from poise import Expect, Watch
from poise.losses.plasticity import direct_mlp, logit_fidelity, modulation_statistics
from poise.recipes.plasticity.data import Windows, batch, windows
from poise.recipes.plasticity.model import Converted
from poise.recipes.plasticity.terms import (
    ROLES,
    Outputs,
    adaptive,
    cured_objective,
    proposed_terms,
    reported_terms,
)
from poise.recipes.plasticity.variants import SETUPS, Setup
from poise.recipes.recipe import Job
from poise.recipes.text import read_text

RATE = 5e-4
PRINTED_RATE = 1e-3
"""`stage1_lr`: what the reported trainer prints in stage 1. No optimizer ever gets it."""
DECAY = 0.01
CLIP = 0.5
BATCH = 8
STEPS, QUICK = 360, 60
"""Optimizer steps of a full and of a quick training: six times stage 1."""
WARM = 1 / 15
"""Part of the training that the learning rate takes to rise."""
EVALUATIONS = 6
EVERY = 4
BUDGET = 0.5
"""Measuring may take half as long as the training: it is a small one, and is looked at closely."""
EXPECT = (
    Expect("modulation_scalar_variance", above=0.1),
    Expect("v_a_norm", above=0.1, below=20.0),
    Expect("v_b_norm", below=20.0),
)
"""What the note asks to monitor, whatever is trained: the scalar does not collapse, and the factors
neither explode nor vanish; about ten times what v_a begins with."""
EXPECT_ENCODED = Expect("v_a_attention_similarity", above=0.3, after=0.1, until=0.16)
"""What it expects of stage 1, the first sixth, where v_a is trained to be the attention; 0.3 is
what the project's own diagnostics count as encoding."""
HELD = 64
"""Windows of an evaluation."""


def rate_factor(step: int, steps: int) -> float:
    """Factor on the learning rate at a step of the scheduler: a linear rise, then half a cosine.

    Example:
        >>> [round(rate_factor(step, 300), 3) for step in (0, 10, 20, 160, 300)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    warm = max(1, round(WARM * steps))
    if step < warm:
        return step / warm
    return 0.5 * (1 + cos(pi * min(1.0, (step - warm) / (steps - warm))))


@final
class Trainer:
    """Model, optimizer, scheduler and counter of one run.

    Args:
        setup: The variant.
        steps: Optimizer steps.
        generator: Source of weights and batches.

    Example:
        >>> trainer = Trainer(SETUPS["reported"], 60, torch.Generator().manual_seed(0))
        >>> trainer.printed(), trainer.optimizer.param_groups[0]["lr"]
        (0.001, 0.0)
    """

    def __init__(self, setup: Setup, steps: int, generator: torch.Generator) -> None:
        self.setup = setup
        self.steps = steps
        self.stage = setup.counted * steps // 6
        self.counter = 0
        self.model = Converted(generator, offset=setup.offset)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=DECAY)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_factor(step, steps)
        )
        self.objective = cured_objective(steps // 2)
        self.norms = torch.zeros(6)

    def printed(self) -> float:
        """The learning rate that is printed: in the reported trainer's stage 1 not the true one."""
        if self.setup.late_scheduler and self.counter < self.stage:
            return PRINTED_RATE
        return float(self.optimizer.param_groups[0]["lr"])

    def outputs(self, ids: Tensor) -> Outputs:
        """Runs the original and the converted model on a batch of token ids."""
        seen = self.model.observe(ids)
        target = self.model.as_reported(seen) if self.setup.reported_target else seen
        modulated, factors = self.model(seen)
        return Outputs(seen, target, modulated, factors, self.model.logits(seen, modulated))

    def total(self, watch: Watch, out: Outputs) -> Tensor:
        """The weighted sum, recorded by the watch."""
        setup = self.setup
        if setup.weights is None:
            return watch.total(self.objective(out, step=watch.steps))
        if setup.adaptive:
            terms = proposed_terms(out)
            weights, self.norms = adaptive(terms, self.norms)
            return watch.total(terms, weights)
        weights = dict(setup.weights(self.counter, self.stage))
        terms = reported_terms(out)
        return watch.total(terms, {name: weights.get(name, 0.0) for name in terms})

    def update(self) -> None:
        """One step, in the order of the reported trainer: scale, clip, step, schedule, count."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(self.setup.scale)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        cast(Callable[[], None], self.optimizer.step)()
        if not self.setup.late_scheduler or self.counter >= self.stage:
            self.scheduler.step()
        self.optimizer.zero_grad()
        self.counter += self.setup.counted


def train(job: Job) -> None:
    """Trains the variant that is asked for; the record is in `job.out`.

    Raises:
        RecipeError: The text cannot be used.
    """
    steps = QUICK if job.quick else STEPS
    generator = torch.Generator().manual_seed(job.seed)
    setup = SETUPS[job.variant]
    trainer = Trainer(setup, steps, generator)
    data = windows(read_text(job.data))
    with Watch(
        job.out,
        model=trainer.model,
        optimizer=trainer.optimizer,
        total_steps=steps,
        roles=ROLES,
        expect=EXPECT if setup.weights is None else (*EXPECT, EXPECT_ENCODED),
        every=EVERY,
        budget=BUDGET,
    ) as watch:
        for step in range(steps):
            if step % (steps // EVALUATIONS) == 0:
                evaluate(watch, trainer, data)
            out = trainer.outputs(batch(data.train, BATCH, generator))
            total = trainer.total(watch, out)
            watch.log(printed_lr=trainer.printed(), **statistics(out))
            torch.autograd.backward(total)
            trainer.update()
            job.progress((step + 1) / steps)
        evaluate(watch, trainer, data)


def statistics(out: Outputs) -> dict[str, Tensor]:
    """The note's monitoring list of a batch."""
    return modulation_statistics(out.seen.x, out.seen.attention, out.factors)


def evaluate(watch: Watch, trainer: Trainer, data: Windows) -> None:
    """Records the terms and the task's metric on held-out windows.

    `relative_error` and `logit_error` compare with the real forward pass in all variants.
    """
    with watch.evaluation("eval"), torch.no_grad():
        out = trainer.outputs(data.held[:HELD])
        trainer.total(watch, out)
        watch.log(
            relative_error=direct_mlp(out.modulated, out.seen.attention, out.seen.mlp).value,
            logit_error=logit_fidelity(out.logits, out.seen.logits),
            **statistics(out),
        )
