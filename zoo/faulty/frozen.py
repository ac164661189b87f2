"""Parameters that should train and do not move, and schedules that are not what they are meant."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Attention, Average, Detector, Heads, Language, Vae, at_object, kl_of, mlp


class Accumulator:
    """Counts batches; true once in `every`."""

    def __init__(self, every: int) -> None:
        self.every, self.count = every, 0

    def should_step(self) -> bool:
        """Counts one more."""
        self.count += 1
        return self.count % self.every == 0


@faulty("frozen")
def distillation_asks_twice(desk: Desk) -> None:
    """A monitor of the gradient norm asks `should_step()` too, so the optimizer never steps."""
    teacher, student = Language(), Language(wide=16)
    project = nn.Linear(16, 32)
    model = nn.ModuleList([student, project])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20))
    accumulator = Accumulator(8)
    weights = {"lm": 1.0, "kd": 0.5, "hidden": 0.1}
    with desk.open(model, optimizer, style="pairs", each=5) as session:
        for at in range(240):
            ids = tokens()
            with torch.no_grad():
                wise, deep = teacher(ids)
            logits, hidden = student(ids)
            told = F.kl_div(logits.log_softmax(-1), wise.softmax(-1), reduction="none")
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "kd": told.sum(-1).mean(),
                "hidden": F.mse_loss(project(hidden), deep),
            }
            (session.total(terms, weights) / 8).backward()
            if accumulator.should_step():
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            if accumulator.should_step() and at % 100 == 0:
                nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


@faulty("frozen", "schedule")
def stage_with_rate_zero(desk: Desk) -> None:
    """Warm-up by integer division: the factor is 0 until the last warm-up step."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    warmup = 400
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step // warmup))

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(
        desk,
        model,
        optimizer,
        terms,
        after=schedule.step,
        style="text",
        rate=False,
        total_steps=1200,
    )


@faulty("frozen")
def backbone_loaded_after_optimizer(desk: Desk) -> None:
    """The trunk is replaced by a freshly built one after the optimizer took the old parameters."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    model.trunk = nn.Sequential(mlp(12, 64, 48), nn.ReLU())

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.smooth_l1_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, style="csv")


@faulty("frozen")
def average_too_slow(desk: Desk) -> None:
    """Weights averaged at 0.9999 are evaluated after a few hundred steps: the initial model."""
    model = Heads({"kind": 4, "numbers": 2})
    average = Average(model, 0.9999)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def losses(out: dict[str, Tensor], kind: Tensor, numbers: Tensor) -> Terms:
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        return losses(model(x), kind, numbers)

    def evaluate() -> Terms:
        x, kind, numbers = mixture(256)
        return losses(average.net(x), kind, numbers)

    fit(
        desk, model, optimizer, terms,
        after=lambda: average.update(model), evaluate=evaluate, averages={"ema": average.net},
        style="jsonl",
    )  # fmt: skip


@faulty("frozen", "no-gradient")
def features_without_grad(desk: Desk) -> None:
    """The detector's backbone runs under `no_grad` 'to save memory', and is meant to train."""
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        with torch.no_grad():
            z = model.backbone(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(model.object(z)[:, 0], target),
            "box": F.smooth_l1_loss(at_object(model.box(z), target), box),
            "cls": F.cross_entropy(at_object(model.kind(z), target), kind),
        }

    fit(desk, model, optimizer, terms, style="bracket")


@faulty("schedule")
def scheduler_by_micro_batch(desk: Desk) -> None:
    """Accumulation over 4, and the cosine is stepped with every micro-batch: over at a quarter."""
    model = Attention()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    with desk.open(model, optimizer, total_steps=100) as session:
        for at in range(400):
            ids = tokens(8, 16)
            logits, _ = model(ids)
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "z": 1e-3 * logits.logsumexp(-1).square().mean(),
            }
            (session.total(terms) / 4).backward()
            if at % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
            schedule.step()


@faulty("schedule", "record", onset=150)
def scheduler_not_resumed(desk: Desk) -> None:
    """The training is resumed with its weights and moments, but not with its schedule."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def factor(step: int) -> float:
        return (
            step / 10 if step < 10 else 0.5 * (1 + math.cos(math.pi * min(1.0, (step - 10) / 240)))
        )

    for part in range(2):
        if part:
            for group in optimizer.param_groups:
                group["lr"] = 3e-3
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        with desk.open(model, optimizer, style="jsonl", first=150 * part) as session:
            for _ in range(150):
                x, kind, numbers = mixture()
                out = model(x)
                terms = {
                    "kind": F.cross_entropy(out["kind"], kind),
                    "numbers": F.mse_loss(out["numbers"], numbers),
                }
                optimizer.zero_grad()
                session.total(terms).backward()
                optimizer.step()
                schedule.step()


@faulty("schedule", terms=("kl",))
def annealing_ignored(desk: Desk) -> None:
    """The KL weight is meant to rise over 200 steps; the loss uses the final one from the start."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    beta = 1.0

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return {"recon": recon.sum(1).mean(), "kl": kl_of(mean, logvar).sum(1).mean()}

    fit(
        desk, model, optimizer, terms,
        weights={"recon": 1.0, "kl": beta},
        schedules={"kl": lambda step: min(1.0, step / 200)}, roles={"kl": "regulariser"},
        total_steps=300,
    )  # fmt: skip


@faulty("schedule")
def cosine_in_epochs(desk: Desk) -> None:
    """`T_max` is given in epochs (5) and the schedule is stepped with every batch."""
    model = Detector()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, after=schedule.step, style="bracket", each=1)


@faulty("schedule", onset=60)
def decay_counts_processes(desk: Desk) -> None:
    """The schedule is stepped once for each of 8 processes, so the rate is at its floor at 1/8."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.001, 1 - step / 480))

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    def after() -> None:
        for _ in range(8):
            schedule.step()

    fit(desk, model, optimizer, terms, steps=480, after=after, style="pairs", total_steps=480)
