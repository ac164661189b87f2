"""The blind set: plans, stages, averages and targets that move, as they are meant to."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, boxes, mixture, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Adapted, Average, Detector, Heads, Language, at_object, mlp


def class_and_numbers(model: nn.Module, size: int = 32) -> Terms:
    """A class and two numbers from one network."""
    x, kind, numbers = mixture(size)
    out = model(x)
    return {
        "kind": F.cross_entropy(out["kind"], kind),
        "numbers": F.mse_loss(out["numbers"], numbers),
    }


@healthy
def adversary_joins_late(desk: Desk) -> None:
    """An autoencoder gets an adversary at step 150, at a small weight that was declared."""
    model = nn.ModuleDict({"code": mlp(64, 64, 8), "image": mlp(8, 64, 64)})
    critic = mlp(64, 48, 1, act=nn.LeakyReLU)
    makes = torch.optim.Adam(model.parameters(), 2e-3)
    tells = torch.optim.Adam(critic.parameters(), 1e-3)

    def weight(step: float) -> float:
        return 0.02 if step >= 150 else 0.0

    with desk.open(
        model, makes, roles={"adversary": "adversary"}, schedules={"adversary": weight},
        total_steps=400, style="jsonl",
    ) as session:  # fmt: skip
        for at in range(400):
            x = blobs()
            out = model["image"](model["code"](x))
            terms = {
                "recon": F.mse_loss(out, x, reduction="none").sum(1).mean(),
                "adversary": (critic(out) - 1).square().mean(),
            }
            makes.zero_grad()
            session.total(terms, {"recon": 1.0, "adversary": weight(at)}).backward()
            makes.step()
            tells.zero_grad()
            real, made = critic(x), critic(out.detach())
            ((real - 1).square().mean() + made.square().mean()).backward()
            tells.step()


@healthy
def constant_rate_then_decay(desk: Desk) -> None:
    """Warm-up, a rate that is constant for most of the run, a decay to 0 over the last fifth."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 8e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 20, 1.0, max(0.0, (320 - step) / 64))
    )

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, _ = model(ids)
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "skip": F.cross_entropy(logits[:, 2:-2].flatten(0, 1), ids[:, 3:-1].flatten()),
        }

    fit(
        desk, model, optimizer, terms, steps=320, after=schedule.step, total_steps=320, clip=1.0,
        weights={"lm": 1.0, "skip": 0.2}, style="pairs",
    )  # fmt: skip


@healthy
def rate_in_triangles(desk: Desk) -> None:
    """A cyclical rate in three triangles, the momentum against it: losses breathe with it."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.005, 0.08, step_size_up=70)
    fit(
        desk, model, optimizer, lambda _: class_and_numbers(model), after=schedule.step, steps=420,
        style="csv",
    )  # fmt: skip


@healthy
def backbone_thaws_later(desk: Desk) -> None:
    """Heads train alone for 120 steps; then the backbone joins at a third of their rate."""
    model = Detector()
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)

    def terms(at: int) -> Terms:
        if at == 120:
            model.backbone.requires_grad_(True)
            optimizer.add_param_group({"params": model.backbone.parameters(), "lr": 1e-3})
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.smooth_l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, steps=360, style="bracket")


@healthy
def adapters_done_right(desk: Desk) -> None:
    """Low-rank updates on fixed layers, one factor at zero: no gradient in the other at first."""
    model = Heads({"kind": 4, "numbers": 2})
    layers = (Adapted(nn.Linear(12, 48)), Adapted(nn.Linear(48, 48)))
    model.trunk = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU())
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)
    fit(desk, model, optimizer, lambda _: class_and_numbers(model), steps=350, style="jsonl")


@healthy
def averaged_over_the_last_third(desk: Desk) -> None:
    """From step 240 on a plain average of the weights is evaluated, at a constant rate."""
    model = Heads({"kind": 4, "numbers": 2})
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    done = iter(range(1, 361))

    def after() -> None:
        if next(done) > 240:
            average.update_parameters(model)

    def evaluate() -> Terms:
        return class_and_numbers(average if average.n_averaged else model, 256)

    fit(
        desk, model, optimizer, lambda _: class_and_numbers(model), steps=360, after=after,
        evaluate=evaluate, style="jsonl",
    )  # fmt: skip


@healthy
def horizon_grows(desk: Desk) -> None:
    """A forecast is unrolled over 1, 2, 4 and 8 steps in four stages; the loss is their mean."""
    net = mlp(6, 48, 6, act=nn.Tanh)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    turn = 0.97 * torch.linalg.qr(torch.randn(6, 6))[0]

    def terms(at: int) -> Terms:
        state = truth = torch.randn(64, 6)
        gaps = []
        for _ in range(2 ** (at // 100)):
            state, truth = state + net(state), truth @ turn
            gaps.append((state - truth).square().mean())
        return {"first": gaps[0], "forecast": torch.stack(gaps).mean()}

    fit(desk, net, optimizer, terms, steps=400, clip=1.0, weights={"first": 0.5, "forecast": 1.0})


@healthy
def batches_mixed_up(desk: Desk) -> None:
    """Mixup in training: its cross-entropy is far above that of the evaluation, and stays there."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    share = torch.distributions.Beta(1.0, 1.0)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        part = share.sample()
        other = torch.randperm(64)
        out = model(part * x + (1 - part) * x[other])
        aim = F.one_hot(kind, 4).float()
        return {
            "kind": F.cross_entropy(out["kind"], part * aim + (1 - part) * aim[other]),
            "numbers": F.mse_loss(out["numbers"], part * numbers + (1 - part) * numbers[other]),
        }

    fit(
        desk, model, optimizer, terms, steps=400, style="jsonl",
        evaluate=lambda: class_and_numbers(model, 256),
    )  # fmt: skip


@healthy
def tokens_of_the_whole_batch(desk: Desk) -> None:
    """Micro-batches of 4 to 20 tokens a row, each divided by the tokens of all four of them."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    with desk.open(
        model, optimizer, each=4, total_steps=100, roles={"z": "regulariser"}
    ) as session:
        for _ in range(100):
            parts = [tokens(4, int(torch.randint(5, 22, ()))) for _ in range(4)]
            every = sum(ids[:, 1:].numel() for ids in parts)
            for ids in parts:
                logits, _ = model(ids)
                told = logits[:, :-1].flatten(0, 1)
                terms = {
                    "lm": F.cross_entropy(told, ids[:, 1:].flatten(), reduction="sum") / every,
                    "z": told.logsumexp(-1).square().sum() / every,
                }
                session.total(terms, {"lm": 1.0, "z": 1e-3}).backward()
            optimizer.step()
            optimizer.zero_grad()


@healthy
def target_network_in_steps(desk: Desk) -> None:
    """Q-learning with a target network that is copied every 60 steps: the error jumps each time."""
    model = nn.ModuleDict({"q": mlp(8, 48, 4), "model": mlp(8, 48, 8)})
    target = copy.deepcopy(model["q"]).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        if at % 60 == 0:
            target.load_state_dict(model["q"].state_dict())
        x = torch.randn(64, 8)
        follows = 0.8 * x.roll(1, 1) + 0.3 * torch.randn_like(x)
        action = torch.randint(0, 4, (64, 1))
        reward = (action[:, 0] == (x[:, 0] > 0).long()).float()
        aim = reward + 0.8 * target(follows).max(1).values
        q = model["q"](x).gather(1, action)[:, 0]
        return {"td": F.smooth_l1_loss(q, aim), "model": F.mse_loss(model["model"](x), follows)}

    fit(desk, model, optimizer, terms, steps=480, weights={"td": 1.0, "model": 0.5}, style="jsonl")


@healthy
def multiplier_finds_its_weight(desk: Desk) -> None:
    """A constraint's weight rises from 0 by dual ascent until the constraint holds, and settles."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    multiplier = 0.0
    last: Terms = {}

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        out = model(x)
        size = out["numbers"].square().mean()
        last.update(
            kind=F.cross_entropy(out["kind"], kind),
            numbers=F.mse_loss(out["numbers"], numbers),
            budget=size - 0.8,
        )
        return dict(last)

    def weights(_: int) -> dict[str, float]:
        return {"kind": 1.0, "numbers": 1.0, "budget": multiplier}

    def ascend() -> None:
        nonlocal multiplier
        multiplier = max(0.0, multiplier + 0.01 * float(last["budget"]))

    fit(
        desk, model, optimizer, terms, steps=500, weights=weights, after=ascend,
        roles={"budget": "constraint"}, style="jsonl",
    )  # fmt: skip


@healthy
def teacher_that_starts_equal(desk: Desk) -> None:
    """Consistency with an averaged copy of itself is almost 0 at first, rises, and falls again."""
    model = Heads({"kind": 4, "numbers": 2})
    teacher = Average(model, 0.97)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        with torch.no_grad():
            wise = teacher.net(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
            "consistency": F.mse_loss(out["kind"].softmax(1), wise["kind"].softmax(1)),
        }

    fit(
        desk, model, optimizer, terms, steps=350, after=lambda: teacher.update(model),
        weights=lambda at: {
            "kind": 1.0, "numbers": 1.0,
            "consistency": 5 * math.exp(-5 * (1 - min(1.0, at / 150)) ** 2),
        },
        roles={"consistency": "regulariser"},
    )  # fmt: skip


@healthy
def decay_in_the_optimizer(desk: Desk) -> None:
    """Weight decay is left to the optimizer, and the size of the weights is only logged."""
    model = Heads({"kind": 4, "numbers": 2}, hidden=96)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        seen["weight_norm"] = torch.stack([p.norm() for p in model.parameters()]).norm()
        return class_and_numbers(model)

    fit(desk, model, optimizer, terms, steps=350, logs=lambda: seen)
