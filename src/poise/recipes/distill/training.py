"""The loop: reported, repaired in part, and cured."""

from dataclasses import dataclass
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from poise.losses.distill import routing_schedule
from poise.losses.distill.reported import (
    capped_perplexity,
    raw_hidden_loss,
    raw_hidden_loss_by_sum,
)
from poise.recipes.distill import cured, reported
from poise.recipes.distill.averaging import averaged
from poise.recipes.distill.data import Batch, Corpus, corpus
from poise.recipes.distill.expected import EXPECT
from poise.recipes.distill.measures import hidden_share, plain_perplexity, student_quality
from poise.recipes.distill.model import TEACHER_LAYERS, LanguageModel, System, teacher
from poise.recipes.distill.seen import Seen, see
from poise.recipes.recipe import Job
from poise.recipes.text import read_text
from poise.watch import Watch

ACCUMULATION: Final = 8
SIZE: Final = 4
"""Pieces of text in a micro-batch."""
RATE: Final = 3e-3
CLIP: Final = 1.0
EVALUATIONS: Final = 4
MONITOR: Final = 10
"""Micro-batches from one look at the largest errors to the next."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a variant does differently.

    Attributes:
        objective: One objective in training and evaluation; else the reported terms.
        how: How tokens are aligned.
        accumulation: Micro-batches of an optimizer step.
        counted_twice: The monitor of the gradient norm asks the accumulator as well.
        curriculum: Weights ramp up.
        skip: Terms of weight 0 are left out.
        hidden: The loss of the hidden states.
    """

    objective: bool = False
    how: str = "interpolation"
    accumulation: int = ACCUMULATION
    counted_twice: bool = True
    curriculum: bool = True
    skip: bool = False
    hidden: reported.Hidden = raw_hidden_loss


PLANS: Final = {
    "reported": Plan(),
    "note-fix": Plan(skip=True, hidden=raw_hidden_loss_by_sum),
    "no-curriculum": Plan(curriculum=False),
    "accumulation-1": Plan(accumulation=1),
    "counter": Plan(counted_twice=False),
    "cured": Plan(objective=True, how="spans", counted_twice=False),
    "truncation": Plan(objective=True, how="truncation", counted_twice=False),
    "interpolation": Plan(objective=True, how="interpolation", counted_twice=False),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a training is.

    Attributes:
        micros: Micro-batches.
        taught: Updates of the teacher before.
        held_out: Batches of an evaluation.
    """

    micros: int
    taught: int
    held_out: int


FULL: Final = Size(micros=240, taught=80, held_out=4)
QUICK: Final = Size(micros=160, taught=40, held_out=2)


def train(job: Job) -> None:
    """Trains one variant into `job.out`."""
    loop = Loop(job)
    with loop.watch:
        loop.run()


@final
class Loop:
    """One training.

    Args:
        job: What is asked for.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.plan = job, PLANS[job.variant]
        self.size = QUICK if job.quick else FULL
        text = read_text(job.data)
        self.corpus: Corpus = corpus(text)
        self.teacher: LanguageModel = teacher(text, job.seed, self.size.taught)
        self.system = System(reported=not self.plan.objective)
        self.average = averaged(self.system, warm=self.plan.objective)
        self.accumulator = reported.Accumulator(self.plan.accumulation)
        self.steps = self.size.micros // self.plan.accumulation
        self.optimizer, self.scheduler = self._optimizer()
        self.objective = cured.objective(self.steps) if self.plan.objective else None
        self.held_out = self.corpus.fixed(self.size.held_out, 2 * SIZE)
        self.watch = Watch(
            job.out,
            model=self.system,
            optimizer=self.optimizer,
            total_steps=self.steps,
            every=20,
            budget=0.1,
            terms=tuple(reported.ALPHAS),
            roles={"load_balance": "regulariser"},
            averages={"ema": self.average},
            expect=EXPECT,
        )

    def run(self) -> None:
        """Micro-batch after micro-batch, with evaluations in between."""
        draw = torch.Generator().manual_seed(self.job.seed)
        every = self.size.micros // EVALUATIONS
        for micro, batch in enumerate(self.corpus.draw(self.size.micros, SIZE, draw)):
            seen = self._see(self.system, batch)
            total = self._total(seen, micro)
            (total / self.plan.accumulation).backward()  # pyright: ignore[reportUnknownMemberType] -- torch's own
            if self.accumulator.should_step():
                self._step()
            self._after_step(micro)
            if (micro + 1) % every == 0:
                self._evaluate(float(total.detach()))
            self.job.progress((micro + 1) / self.size.micros)

    def _optimizer(self) -> tuple[torch.optim.Optimizer, LambdaLR]:
        """AdamW, the router at twice the rate; warm-up and decay in optimizer steps."""
        routing = {id(one) for one in self.system.router.parameters()}
        rest = [one for one in self.system.parameters() if id(one) not in routing]
        groups = [
            {"params": rest, "lr": RATE},
            {"params": [*self.system.router.parameters()], "lr": 2 * RATE},
        ]
        optimizer = torch.optim.AdamW(groups)
        warm, ahead = max(1, self.steps // 10), 1 if self.plan.objective else 0

        def rate(step: int) -> float:
            up = (step + ahead) / warm
            return min(up, max(0.0, (self.steps - step) / (self.steps - warm)))

        return optimizer, LambdaLR(optimizer, rate)

    def _see(self, system: System, batch: Batch) -> Seen:
        return see(system, self.teacher, batch, self.plan.how, self.corpus.shared)

    def _progress(self, micro: int) -> float:
        """Share of the training that is done; the reported one counts batches."""
        return self.watch.steps / self.steps if self.objective else micro / self.size.micros

    def _total(self, seen: Seen, micro: int) -> Tensor:
        """The total of a micro-batch, recorded with what is monitored of it."""
        progress = self._progress(micro)
        self._route(self.system, progress)
        if self.objective is not None:
            breakdown = self.objective(seen, step=self.watch.steps)
            total = self.watch.total(breakdown)
            weighted = {name: one.weighted for name, one in breakdown.items()}
        else:
            weights = reported.curriculum(progress if self.plan.curriculum else 1.0)
            terms = reported.terms(seen, progress, self.plan.hidden)
            if self.plan.skip:
                terms = {name: one for name, one in terms.items() if weights[name] > 1e-6}
            weights = {name: weights[name] for name in terms}
            total = self.watch.total(terms, weights)
            weighted = {name: weights[name] * one for name, one in terms.items()}
        for name in ("kd", "layerwise"):
            if (one := weighted.get(name)) is not None:
                self.watch.log(**{f"{name}_weighted": one.detach()})
        if micro % MONITOR == 0:
            share = hidden_share(seen, normal=self.plan.objective)
            self.watch.log(layerwise_top2_share=share)
        return total

    def _route(self, system: System, progress: float) -> None:
        router = system.router
        router.top_k, router.temperature = routing_schedule(progress, TEACHER_LAYERS)

    def _after_step(self, micro: int) -> None:
        """The monitor of the gradient norm; the reported one asks the accumulator again."""
        asked = not self.plan.counted_twice or self.accumulator.should_step()
        if asked and micro % 100 == 0:
            self.watch.log(monitored_norm=_norm(self.system))

    def _step(self) -> None:
        norm = nn.utils.clip_grad_norm_(self.system.parameters(), CLIP)
        self.watch.log(grad_norm=norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.system)

    def _evaluate(self, trained: float) -> None:
        """The average on held-out text, and what the student itself is worth there."""
        system = cast(System, self.average.module)
        system.eval()
        with self.watch.evaluation(), torch.no_grad():
            seen = (self._see(system, batch) for batch in self.held_out)
            totals = [float(self._evaluated(one)) for one in seen]
            total = sum(totals) / len(totals)
            self.watch.log(gap_to_train=total / trained)
            quality = student_quality(self.system, self.teacher, self.held_out, self.corpus.shared)
            perplexity = (
                plain_perplexity(system, self.held_out)
                if self.objective
                else capped_perplexity(total)
            )
            self.watch.log(perplexity=perplexity, **quality)

    def _evaluated(self, seen: Seen) -> Tensor:
        """The objective of this step, or all reported terms at their full weights."""
        if self.objective is None:
            terms = reported.terms(seen, 1.0, self.plan.hidden)
            return self.watch.total(terms, reported.ALPHAS)
        self._route(seen.system, self._progress(0))
        return self.watch.total(self.objective.evaluate(seen, step=self.watch.steps))


def _norm(system: System) -> Tensor:
    """Norm of the gradients as they stand; 0 after a step."""
    grads = [one.grad for one in system.parameters() if one.grad is not None]
    return nn.utils.get_total_norm(grads) if grads else torch.zeros(())
