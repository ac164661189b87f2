"""Plans that look like accidents: switches, schedules, frozen parts, averages, resumptions."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from poise.schedule import Linear
from zoo.case import healthy
from zoo.data import blobs, boxes, mixture, speech, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Average, Detector, Heads, Language, Speech, Vae, at_object, kl_of, mlp


def two_tasks(model: nn.Module, size: int = 32) -> Terms:
    """A class and two numbers from one trunk."""
    x, kind, numbers = mixture(size)
    out = model(x)
    return {
        "kind": F.cross_entropy(out["kind"], kind),
        "numbers": F.mse_loss(out["numbers"], numbers),
    }


@healthy
def last_epochs_with_l1(desk: Desk) -> None:
    """For its last fifth the detector adds an L1 loss of weight 1, as YOLOX does."""
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        at = at_object(found, target)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": 5 * F.smooth_l1_loss(at, box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
            "l1": F.l1_loss(at, box),
        }

    def weights(at: int) -> dict[str, float]:
        return {"obj": 1.0, "box": 1.0, "cls": 1.0, "l1": float(at >= 240)}

    fit(
        desk, model, optimizer, terms, weights=weights, style="bracket", total_steps=300,
        schedules={"l1": lambda step: float(step >= 240)},
    )  # fmt: skip


@healthy
def annealed_divergence(desk: Desk) -> None:
    """The KL weight rises from 0 over half of the run, as declared: the KL falls from its peak."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return {"recon": recon.sum(1).mean(), "kl": kl_of(mean, logvar).sum(1).mean()}

    ramp = Linear(0.0, 1.0, stop=200)
    fit(
        desk, model, optimizer, terms, steps=400, total_steps=400, roles={"kl": "regulariser"},
        weights=lambda at: {"recon": 1.0, "kl": ramp(at)}, schedules={"kl": ramp},
    )  # fmt: skip


@healthy
def cyclical_annealing(desk: Desk) -> None:
    """The KL weight is taken from 0 to 1 four times, as the paper has it."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return {"recon": recon.sum(1).mean(), "kl": kl_of(mean, logvar).sum(1).mean()}

    fit(
        desk, model, optimizer, terms, steps=400, roles={"kl": "regulariser"},
        weights=lambda at: {"recon": 1.0, "kl": min(1.0, at % 100 / 50)}, style="jsonl",
    )  # fmt: skip


@healthy
def backbone_frozen_on_purpose(desk: Desk) -> None:
    """The backbone has `requires_grad=False`; the optimizer holds the heads."""
    model = Detector()
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 5e-3)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.smooth_l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, style="bracket")


@healthy
def probe_on_detached_features(desk: Desk) -> None:
    """A linear probe learns from detached features, on purpose: it must not touch the trunk."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        z = model.trunk(x)
        return {
            "kind": F.cross_entropy(model.heads["kind"](z), kind),
            "numbers": F.mse_loss(model.heads["numbers"](z.detach()), numbers),
        }

    fit(desk, model, optimizer, terms)


@healthy
def warm_up_from_zero(desk: Desk) -> None:
    """The rate starts at exactly 0, warms up over 40 steps and ends at 0 again."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: step / 40 if step < 40 else 0.5 * (1 + math.cos((step - 40) / 260 * math.pi)),
    )

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, z = model(ids)
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "last": F.cross_entropy(logits[:, -2], ids[:, -1]),
            "scale": z.square().mean(),
        }

    fit(
        desk, model, optimizer, terms, after=schedule.step, total_steps=300, clip=1.0,
        weights={"lm": 1.0, "last": 0.1, "scale": 1e-3}, roles={"scale": "regulariser"},
    )  # fmt: skip


@healthy
def average_is_evaluated(desk: Desk) -> None:
    """Averaged weights at 0.98 are evaluated: behind at first, and then better."""
    model = Heads({"kind": 4, "numbers": 2})
    average = Average(model, 0.98)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    fit(
        desk, model, optimizer, lambda _: two_tasks(model),
        after=lambda: average.update(model), evaluate=lambda: two_tasks(average.net, 256),
        averages={"ema": average.net}, style="jsonl", steps=400,
    )  # fmt: skip


@healthy
def clipped_in_warm_up_only(desk: Desk) -> None:
    """The clip at 2 is active for the first few dozen steps and never again."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9)
    for head in model.heads.values():
        nn.init.normal_(head.weight, std=0.6)
    fit(desk, model, optimizer, lambda _: two_tasks(model), clip=2.0, style="pairs")


@healthy
def restarts_as_planned(desk: Desk) -> None:
    """Cosine with warm restarts: the rate jumps up twice, as planned."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 60, 2)
    fit(desk, model, optimizer, lambda _: two_tasks(model), after=schedule.step, steps=420)


@healthy
def rate_dropped_at_milestones(desk: Desk) -> None:
    """The rate falls to a tenth twice, and the losses fall with it at once."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.04, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [200, 300])
    fit(
        desk, model, optimizer, lambda _: two_tasks(model, 16), after=schedule.step, steps=400,
        evaluate=lambda: two_tasks(model, 256), style="jsonl",
    )  # fmt: skip


@healthy
def accumulation_done_right(desk: Desk) -> None:
    """Four micro-batches, each divided by 4, one step of the one-cycle schedule for each step."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=101)
    with desk.open(model, optimizer, total_steps=100, each=4) as session:
        for at in range(400):
            ids = tokens(4)
            logits, _ = model(ids)
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "last": F.cross_entropy(logits[:, -2], ids[:, -1]),
            }
            (session.total(terms, {"lm": 1.0, "last": 0.2}) / 4).backward()
            if at % 4 == 3:
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()


@healthy
def resumed_as_it_should_be(desk: Desk) -> None:
    """The training is stopped at step 150 and resumed with all of its state."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for part in range(2):
        with desk.open(
            model, optimizer, first=150 * part, style="jsonl", total_steps=300
        ) as session:
            for _ in range(150):
                optimizer.zero_grad()
                session.total(two_tasks(model)).backward()
                optimizer.step()
                schedule.step()


@healthy
def curriculum_of_lengths(desk: Desk) -> None:
    """Sequences become longer in four stages; losses are means, and step up a little each time."""
    model = Speech()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    with desk.open(model, optimizer, style="pairs") as session:
        for at in range(240):
            frames, symbols = speech(8, 3 + at // 60)
            size, length = symbols.shape
            ctc, attention = model(frames, length)
            lengths = torch.full((size,), 4 * length), torch.full((size,), length)
            terms = {
                "ctc": F.ctc_loss(ctc.log_softmax(-1).transpose(0, 1), symbols, *lengths),
                "att": F.cross_entropy(attention.flatten(0, 1), symbols.flatten()),
            }
            optimizer.zero_grad()
            counts = {"ctc": size * length, "att": size * length}
            session.total(terms, {"ctc": 0.3, "att": 0.7}, counts=counts).backward()
            optimizer.step()


@healthy
def dropout_in_training_only(desk: Desk) -> None:
    """Strong dropout and noise in training: evaluation is much better than training."""
    model = Heads({"kind": 4, "numbers": 2})
    model.trunk = nn.Sequential(
        mlp(12, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 48), nn.ReLU()
    )
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    fit(
        desk, model, optimizer, lambda _: two_tasks(model), steps=400, style="jsonl",
        evaluate=lambda: two_tasks(model, 256),
    )  # fmt: skip
