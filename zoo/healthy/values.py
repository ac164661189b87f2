"""Values that look wrong: negative, tiny, huge, zero, one-sided."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, boxes, mixture, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Policy, Vae, at_object, kl_of, mlp


@healthy
def uncertainty_weights_go_negative(desk: Desk) -> None:
    """Learned log-variances, optimised: the total ends below zero, and the tasks are learned."""
    model = nn.ModuleDict({"net": Heads({"depth": 1, "normal": 1}), "s": nn.ParameterDict()})
    model["s"]["log_vars"] = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture()
        out = model["net"](x)
        s = model["s"]["log_vars"]
        depth = F.mse_loss(out["depth"][:, 0], numbers[:, 0])
        normal = F.mse_loss(out["normal"][:, 0], numbers[:, 1])
        return {"depth": depth * (-s[0]).exp(), "normal": normal * (-s[1]).exp(), "logs": s.sum()}

    fit(desk, model, optimizer, terms, roles={"logs": "offset"}, steps=400)


@healthy
def likelihood_below_zero(desk: Desk) -> None:
    """A Gaussian likelihood of noisy data in small units: far below zero, and it settles."""
    model = mlp(12, 48, 2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture(64)
        mean, log = model(x).chunk(2, dim=1)
        target = 0.05 * numbers[:, :1] + 0.01 * torch.randn(64, 1)
        nll = 0.5 * ((target - mean) ** 2) * (-2 * log).exp() + log
        return {"nll": nll.mean(), "l2": 1e-4 * mean.square().mean()}

    fit(desk, model, optimizer, terms, roles={"l2": "regulariser"}, clip=5.0, style="csv")


@healthy
def evidence_lower_bound(desk: Desk) -> None:
    """Reconstruction and KL are both sums over their dimensions: 93% against 7%, rightly."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return {"recon": recon.sum(1).mean(), "kl": kl_of(mean, logvar).sum(1).mean()}

    fit(desk, model, optimizer, terms, roles={"kl": "regulariser"}, steps=400, style="jsonl")


@healthy
def large_value_fair_gradient(desk: Desk) -> None:
    """One loss carries a constant of 300, and has a gradient like the other's."""
    model = Heads({"density": 2, "kind": 4})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "density": 300 + F.mse_loss(out["density"], numbers),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms)


@healthy
def small_units_learned(desk: Desk) -> None:
    """A target in small units has a value of 1e-3 and a weight that makes up for it."""
    model = Heads({"offset": 2, "kind": 4})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "offset": F.mse_loss(0.05 * out["offset"], 0.05 * numbers),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, weights={"offset": 400.0, "kind": 1.0}, style="pairs")


@healthy
def tiny_entropy_bonus(desk: Desk) -> None:
    """A policy gradient that swings around 0, a value loss, and an entropy bonus of 0.01."""
    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = torch.randn(128, 8)
        logp, value = model(x)
        action = torch.multinomial(logp.exp().detach(), 1)[:, 0]
        reward = (action == (x[:, 0] > 0).long()).float() + 0.3 * torch.randn(128)
        advantage = reward - value.detach()
        advantage = (advantage - advantage.mean()) / advantage.std()
        ratio = (logp - logp.detach()).gather(1, action[:, None])[:, 0].exp()
        return {
            "policy": -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean(),
            "value": F.mse_loss(value, reward),
            "entropy": (logp.exp() * logp).sum(1).mean(),
        }

    fit(
        desk, model, optimizer, terms, weights={"policy": 1.0, "value": 0.5, "entropy": 0.01},
        roles={"entropy": "regulariser"}, clip=0.5, style="jsonl",
    )  # fmt: skip


@healthy
def one_class_only(desk: Desk) -> None:
    """A detector of one class: its classification loss is exactly 0, always."""
    model = Detector()
    model.kind = nn.Conv2d(24, 1, 3, padding=1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.smooth_l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), 0 * kind),
        }

    fit(desk, model, optimizer, terms, style="bracket")


@healthy
def margin_is_met(desk: Desk) -> None:
    """A hinge on the size of the output is met early and stays at 0."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
            "margin": F.relu(out["kind"].abs().amax(1) - 12).mean(),
        }

    fit(desk, model, optimizer, terms, roles={"margin": "constraint"})


@healthy
def noisy_labels(desk: Desk) -> None:
    """60% of the labels are noise: the loss ends a little below ln 4, which is all there is."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        out = model(x)
        kind = torch.where(torch.rand(64) < 0.6, torch.randint(0, 4, (64,)), kind)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, steps=400)


@healthy
def language_model_recipe(desk: Desk) -> None:
    """AdamW, warm-up, cosine and a clip at 1 that is active nearly always."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            (step + 1) / 30 if step < 30 else 0.5 * (1 + math.cos((step - 30) / 271 * math.pi))
        ),
    )

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, _ = model(ids)
        return {
            "lm": 4 * F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "z": logits.logsumexp(-1).square().mean(),
        }

    fit(
        desk, model, optimizer, terms, weights={"lm": 1.0, "z": 1e-4}, clip=1.0,
        after=schedule.step, roles={"z": "regulariser"}, total_steps=300,
    )  # fmt: skip


@healthy
def monitored_accuracy(desk: Desk) -> None:
    """The error rate goes along as a term of weight 0 whose role is to be looked at."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
            "error": (out["kind"].argmax(1) != kind).float().mean(),
        }

    fit(
        desk, model, optimizer, terms, weights={"kind": 1.0, "numbers": 1.0, "error": 0.0},
        roles={"error": "monitor"},
    )  # fmt: skip


@healthy
def noise_level_varies(desk: Desk) -> None:
    """A denoiser whose loss depends on the noise level of the batch, beside a small bound."""
    model = mlp(65, 96, 64)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs(32) - 0.2
        level = torch.rand(32, 1)
        noise = torch.randn_like(x)
        seen = (1 - level).sqrt() * x + level.sqrt() * noise
        gap = (model(torch.cat([seen, level], dim=1)) - noise).square()
        return {"simple": gap.mean(), "vlb": (gap * level).sum(1).mean()}

    fit(
        desk, model, optimizer, terms, weights={"simple": 1.0, "vlb": 1e-3},
        roles={"vlb": "regulariser"}, style="csv",
    )  # fmt: skip


@healthy
def converged_long_ago(desk: Desk) -> None:
    """An easy problem is solved after 60 steps and stays solved for 400 more."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def terms(_: int) -> Terms:
        x, _, _ = mixture(64)
        out = model(x)
        kind = (x[:, 0] > 0).long()
        return {
            "kind": F.cross_entropy(out["kind"], kind, label_smoothing=0.2),
            "numbers": F.l1_loss(out["numbers"], x[:, :2] + 0.2 * torch.randn(64, 2)),
        }

    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 460)
    fit(desk, model, optimizer, terms, steps=460, after=schedule.step)


@healthy
def pretrained_and_finetuned(desk: Desk) -> None:
    """A network that can do it already is tuned at a small rate: nothing moves much."""
    model = Heads({"kind": 4, "numbers": 2})

    def terms(_: int = 0) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    before = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(400):
        before.zero_grad()
        found = terms()
        (found["kind"] + found["numbers"]).backward()
        before.step()
    fit(desk, model, torch.optim.AdamW(model.parameters(), 5e-5), terms, steps=250)


@healthy
def hard_batches(desk: Desk) -> None:
    """One batch in sixty holds outliers: the loss spikes and is back at the next step."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        x, kind, numbers = mixture()
        if at % 60 == 37:
            numbers[:3] *= 8
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.smooth_l1_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, clip=2.0, steps=400)


@healthy
def tiny_auxiliary_by_design(desk: Desk) -> None:
    """A smoothness prior of weight 1e-3, declared as what it is."""
    model = mlp(64, 64, 64)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        out = model(x + 0.2 * torch.randn_like(x))
        picture = out.view(-1, 8, 8)
        smooth: Tensor = picture.diff(dim=1).abs().mean() + picture.diff(dim=2).abs().mean()
        return {"recon": F.mse_loss(out, x), "smooth": smooth}

    fit(
        desk, model, optimizer, terms, weights={"recon": 1.0, "smooth": 1e-3},
        roles={"smooth": "regulariser"}, style="pairs",
    )  # fmt: skip
