"""The blind set: values and gradients that look wrong, and are right."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, boxes, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Vae, at_object, kl_of, mlp, perplexity


@healthy
def bits_for_free(desk: Desk) -> None:
    """A VAE with free bits: each unit's KL counts from 0.5 on, so the term rests on its floor."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        each = kl_of(mean, logvar).mean(0)
        return {"recon": recon.sum(1).mean(), "kl": each.clamp(min=0.5).sum()}

    fit(desk, model, optimizer, terms, steps=400, roles={"kl": "regulariser"}, style="pairs")


@healthy
def easy_one_is_done_first(desk: Desk) -> None:
    """One of two tasks is solved within 80 steps and then has next to no gradient."""
    model = Heads({"sign": 2, "kind": 4})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        x[:, 5] += 2 * x[:, 5].sign()
        out = model(x)
        return {
            "sign": F.cross_entropy(out["sign"], (x[:, 5] > 0).long()),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, steps=400)


@healthy
def counts_with_their_constant(desk: Desk) -> None:
    """A full Poisson likelihood of large counts beside a cross-entropy: most of it is constant."""
    model = Heads({"rate": 1, "kind": 4})
    nn.init.constant_(model.heads["rate"].bias, 6.0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        out = model(x)
        counts = torch.poisson((6 + 0.1 * numbers[:, 0]).exp())
        rate = 6 + 0.1 * (out["rate"][:, 0] - 6)
        nll = F.poisson_nll_loss(rate, counts, full=True)
        return {"counts": nll, "kind": F.cross_entropy(out["kind"], kind)}

    fit(desk, model, optimizer, terms, steps=400, weights={"counts": 0.5, "kind": 1.0}, style="csv")


@healthy
def spikes_that_are_clipped(desk: Desk) -> None:
    """Heavy-tailed targets and a squared error: a spike now and then is clipped, all is learned."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    tail = torch.distributions.StudentT(2.5)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers + 0.5 * tail.sample(numbers.shape)),
        }

    fit(desk, model, optimizer, terms, steps=400, clip=4.0, style="pairs")


@healthy
def two_towers_with_temperature(desk: Desk) -> None:
    """Contrast of two towers with a learned temperature: both halves start near ln(64) / 2."""
    model = nn.ModuleDict({"image": mlp(16, 64, 16), "text": mlp(16, 64, 16)})
    model["scale"] = nn.ParameterDict({"log": nn.Parameter(torch.tensor(1.0))})
    optimizer = torch.optim.Adam(
        [
            {"params": [*model["image"].parameters(), *model["text"].parameters()], "lr": 5e-4},
            {"params": model["scale"].parameters(), "lr": 1e-2},
        ]
    )
    turn = torch.linalg.qr(torch.randn(16, 16))[0]
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        one, two = views(64)
        image = F.normalize(model["image"](one), dim=1)
        text = F.normalize(model["text"](two @ turn), dim=1)
        seen["scale"] = model["scale"]["log"].exp()
        logits = seen["scale"] * image @ text.T
        rows = torch.arange(64)
        return {
            "image_to_text": 0.5 * F.cross_entropy(logits, rows),
            "text_to_image": 0.5 * F.cross_entropy(logits.T, rows),
        }

    fit(desk, model, optimizer, terms, steps=400, logs=lambda: seen, style="jsonl")


@healthy
def codebook_by_averages(desk: Desk) -> None:
    """Codes are running means of what is assigned to them: no loss trains them; all are used."""
    model = nn.ModuleDict({"code": mlp(64, 64, 4), "image": mlp(4, 64, 64)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    codes, sums, sizes = torch.zeros(16, 4), torch.zeros(16, 4), torch.zeros(16)
    seen: dict[str, Tensor] = {}

    def terms(at: int) -> Terms:
        x = blobs(128)
        z = model["code"](x)
        if at == 0:
            sums.copy_(z[:16].detach())
            sizes.fill_(1.0)
            codes.copy_(sums)
        index = torch.cdist(z.detach(), codes).argmin(1)
        code = codes[index]
        seen["perplexity"] = perplexity(index)
        owner = F.one_hot(index, 16).float()
        sizes.mul_(0.95).add_(0.05 * owner.sum(0))
        sums.mul_(0.95).add_(0.05 * owner.T @ z.detach())
        codes.copy_(sums / sizes.clamp(min=1e-3)[:, None])
        out = model["image"](z + (code - z).detach())
        return {
            "recon": F.mse_loss(out, x, reduction="none").sum(1).mean(),
            "commit": F.mse_loss(z, code),
        }

    fit(
        desk, model, optimizer, terms, steps=400, logs=lambda: seen, style="jsonl",
        weights={"recon": 1.0, "commit": 1.0}, roles={"commit": "regulariser"},
    )  # fmt: skip


@healthy
def triplets_all_satisfied(desk: Desk) -> None:
    """A triplet loss is exactly 0 in most batches once classes are apart; the rest learns on."""
    model = nn.ModuleDict({"net": mlp(12, 48, 8), "numbers": mlp(8, 48, 2)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(350):
            x, _, numbers = mixture(16)
            side = (x[:, 5] > 0).long()
            x[:, 5] += x[:, 5].sign()
            z = model["net"](x)
            apart = torch.cdist(z, z)
            near = (apart + 1e3 * (side[:, None] != side)).fill_diagonal_(1e3).amin(1)
            far = (apart + 1e3 * (side[:, None] == side)).amin(1)
            gap = F.relu(1 + near - far)
            terms = {
                "triplet": gap.mean(),
                "numbers": F.mse_loss(model["numbers"](z), numbers),
            }
            optimizer.zero_grad()
            session.total(terms).backward()
            session.log(active=(gap > 0).float().mean())
            optimizer.step()


@healthy
def labels_in_some_batches(desk: Desk) -> None:
    """One sample in six is labelled; one batch in twenty has none, and its loss is a clean 0."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="pairs") as session:
        for _ in range(450):
            x, kind, numbers = mixture(16)
            out = model(x)
            labelled = torch.rand(16) < 1 / 6
            each = F.cross_entropy(out["kind"], kind, reduction="none")
            many = int(labelled.sum())
            terms = {
                "kind": (each * labelled).sum() / max(many, 1),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"kind": many, "numbers": 16}).backward()
            optimizer.step()


@healthy
def flow_below_zero(desk: Desk) -> None:
    """A flow on points in small units: its likelihood goes below zero and settles there."""
    layers = [mlp(1, 32, 2, act=nn.Tanh) for _ in range(6)]
    model = nn.ModuleList(layers)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)

    def terms(_: int) -> Terms:
        angle = 3.1416 * torch.rand(128)
        points = torch.stack([angle.cos(), angle.sin() - 0.6], dim=1)
        z = 5 * (0.2 * points + 0.02 * torch.randn(128, 2))
        log_slope = torch.full((128,), 2 * 1.6094)
        for layer in layers:
            log, shift = layer(z[:, :1]).chunk(2, dim=1)
            log = 2 * torch.tanh(log)
            z = torch.cat([z[:, 1:] * log.exp() + shift, z[:, :1]], dim=1)
            log_slope = log_slope + log[:, 0]
        nll = 0.5 * z.square().sum(1) + 1.8379 - log_slope
        return {"nll": nll.mean(), "size": z.square().mean()}

    fit(
        desk, model, optimizer, terms, steps=400, weights={"nll": 1.0, "size": 1e-3}, clip=50.0,
        roles={"size": "regulariser"}, style="csv",
    )  # fmt: skip


@healthy
def rate_against_distortion(desk: Desk) -> None:
    """Learned compression: rate and distortion pull against each other until they balance."""
    model = nn.ModuleDict({"code": mlp(64, 64, 6), "image": mlp(6, 64, 64)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        code = model["code"](x)
        noisy = code + torch.rand_like(code) - 0.5
        out = model["image"](noisy)
        return {
            "distortion": F.mse_loss(out, x, reduction="none").sum(1).mean(),
            "rate": (1 + noisy.abs()).log2().sum(1).mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=450, weights={"distortion": 1.0, "rate": 0.1},
        roles={"rate": "regulariser"}, style="jsonl",
    )  # fmt: skip


@healthy
def examples_made_hard(desk: Desk) -> None:
    """Adversarial training: the loss on attacked samples stays far above that on clean ones."""
    model = mlp(12, 64, 4)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        x.requires_grad_()
        clean = F.cross_entropy(model(x), kind)
        (slope,) = torch.autograd.grad(clean, x, retain_graph=True)
        attacked = F.cross_entropy(model((x + 0.15 * slope.sign()).detach()), kind)
        return {"clean": clean, "attacked": attacked}

    fit(desk, model, optimizer, terms, steps=400, weights={"clean": 0.5, "attacked": 0.5})


@healthy
def rare_objects_with_focal_loss(desk: Desk) -> None:
    """Focal loss of rare objects over their number, bias at their rate: small after a few steps."""
    model = Detector()
    nn.init.constant_(model.object.bias, -2.7)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        focal = (1 - (-each).exp()).square() * each
        return {
            "obj": focal.sum() / target.sum(),
            "box": F.l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, steps=300, style="bracket")


@healthy
def auxiliary_head_of_low_weight(desk: Desk) -> None:
    """A second head predicts two tokens ahead at 0.05, and is meant to have no larger share."""
    model = nn.ModuleDict({"lm": Language(), "ahead": nn.Linear(32, 16)})
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, hidden = model["lm"](ids)
        ahead = model["ahead"](hidden[:, :-2])
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "ahead": F.cross_entropy(ahead.flatten(0, 1), ids[:, 2:].flatten()),
        }

    fit(
        desk, model, optimizer, terms, steps=320, weights={"lm": 1.0, "ahead": 0.05},
        shares={"lm": 0.95, "ahead": 0.05},
    )  # fmt: skip
