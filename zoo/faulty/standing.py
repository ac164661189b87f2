"""Terms that oppose each other, statistics that die, losses that stand still."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Heads, Language, Reverse, Router, Vae, Vq, kl_of, mlp, perplexity


@faulty("conflict", "stuck", terms=("coarse", "fine"))
def reversal_left_in(desk: Desk) -> None:
    """The layer of a domain experiment still turns the gradient of a helpful coarse-label head."""
    model = Heads({"fine": 4, "coarse": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        z = model.trunk(x)
        return {
            "fine": F.cross_entropy(model.heads["fine"](z), kind),
            "coarse": F.cross_entropy(model.heads["coarse"](Reverse.apply(z)), kind // 2),
        }

    fit(desk, model, optimizer, terms, weights={"fine": 1.0, "coarse": 2.0}, steps=1500)


@faulty("conflict", "stuck", terms=("clean", "consistency"))
def consistency_with_flipped_view(desk: Desk) -> None:
    """The flipped view's prediction is not flipped back: two losses want opposite signs."""
    model = mlp(12, 48, 2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture(64)
        out = model(x)
        return {
            "clean": F.mse_loss(out, numbers),
            "consistency": F.mse_loss(out, -numbers),
        }

    fit(
        desk,
        model,
        optimizer,
        terms,
        weights={"clean": 1.0, "consistency": 0.8},
        steps=1500,
        style="pairs",
    )


@faulty("conflict", "dominance", "stuck", terms=("sparse", "recon"))
def shrinkage_against_reconstruction(desk: Desk) -> None:
    """The sparsity of the code is weighted so that it undoes what reconstruction builds."""
    encoder, decoder = mlp(64, 64, 32), mlp(32, 64, 64)
    model = nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        code = encoder(x)
        return {
            "recon": F.mse_loss(decoder(code), x, reduction="none").sum(1).mean(),
            "sparse": code.abs().sum(1).mean(),
        }

    fit(desk, model, optimizer, terms, weights={"recon": 1.0, "sparse": 2.0}, steps=1500)


@faulty("collapse", "no-gradient", "stuck", "frozen", terms=("perplexity", "codebook", "commit"))
def codebook_never_moves(desk: Desk) -> None:
    """The codebook term is written with the commitment term's detach: codes get no gradient."""
    model = Vq(spread=4.0)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = blobs()
        out, z, code, index = model(x)
        seen["perplexity"] = perplexity(index)
        return {
            "recon": F.mse_loss(out.sigmoid(), x, reduction="none").sum(1).mean(),
            "commit": F.mse_loss(z, code.detach()),
            "codebook": F.mse_loss(z, code.detach()),
        }

    fit(desk, model, optimizer, terms, logs=lambda: seen, style="jsonl")


@faulty("collapse", terms=("std",))
def siamese_without_stop_gradient(desk: Desk) -> None:
    """Two views are pulled together with no stop-gradient: every feature becomes the same."""
    encoder, predictor = mlp(16, 64, 16), mlp(16, 16, 16)
    model = nn.ModuleDict({"encoder": encoder, "predictor": predictor})
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        one, two = (encoder(view) for view in views())
        seen["std"] = one.std(0).mean()
        return {
            "pull": F.mse_loss(predictor(one), two) + F.mse_loss(predictor(two), one),
            "l2": 1e-4 * sum(p.square().sum() for p in encoder.parameters()),
        }

    fit(
        desk, model, optimizer, terms, logs=lambda: seen, roles={"l2": "regulariser"},
        style="jsonl",
    )  # fmt: skip


@faulty("collapse", "starvation", "dominance", "reduction", terms=("kl", "active_units"))
def decoder_that_needs_no_latent(desk: Desk) -> None:
    """The decoder sees the image through a skip connection, so the latent dies."""
    model = Vae()
    with torch.no_grad():
        model.encoder[-1].weight[:6] *= 8
    skip = mlp(64, 64, 64)
    both = nn.ModuleList([model, skip])
    optimizer = torch.optim.Adam(both.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        kl = kl_of(mean, logvar)
        seen["active_units"] = (mean.var(0) > 0.01).float().sum()
        shown = logits + skip(x)
        recon = F.binary_cross_entropy_with_logits(shown, x, reduction="none").sum(1).mean()
        return {"recon": recon, "kl": kl.sum(1).mean()}

    fit(
        desk,
        both,
        optimizer,
        terms,
        logs=lambda: seen,
        weights={"recon": 1.0, "kl": 4.0},
        style="jsonl",
    )


@faulty("collapse", "starvation", terms=("balance", "expert_entropy"))
def router_with_one_expert(desk: Desk) -> None:
    """The balancing term is added with the wrong sign: half of the experts are left out."""
    model = Router()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        out, gate, load = model(x)
        seen["expert_entropy"] = -(load * (load + 1e-9).log()).sum()
        scaled = gate.mean(0) * load
        return {"ce": F.cross_entropy(out, kind), "balance": 4 * scaled.sum()}

    fit(
        desk, model, optimizer, terms, weights={"ce": 1.0, "balance": -1.0}, logs=lambda: seen,
        roles={"balance": "regulariser"}, style="jsonl",
    )  # fmt: skip


@faulty("collapse", terms=("film_std",))
def modulation_dies(desk: Desk) -> None:
    """A modulation by context gets its own decay of 10: its spread over inputs goes to 0."""
    model = nn.ModuleDict(
        {"film": nn.Linear(12, 32), "body": nn.Linear(12, 32), "out": nn.Linear(32, 4)}
    )
    optimizer = torch.optim.AdamW(
        [
            {"params": model["film"].parameters(), "weight_decay": 10.0},
            {
                "params": [*model["body"].parameters(), *model["out"].parameters()],
                "weight_decay": 0.0,
            },
        ],
        lr=5e-3,
    )
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        scale = 1 + model["film"](x)
        seen["film_std"] = scale.std(0).mean()
        out = model["out"]((model["body"](x) * scale).relu())
        return {"ce": F.cross_entropy(out, kind), "z": 1e-4 * out.square().mean()}

    fit(
        desk, model, optimizer, terms, logs=lambda: seen, roles={"z": "regulariser"}, style="jsonl",
    )  # fmt: skip


@faulty("stuck", "frozen", "schedule", terms=("dino",))
def student_at_ln_k(desk: Desk) -> None:
    """Self-distillation over 4096 prototypes at a rate of 1e-7: it stays at ln 4096."""
    student, teacher = mlp(16, 32, 4096), mlp(16, 32, 4096)
    head = nn.Linear(16, 4)
    model = nn.ModuleDict({"student": student, "head": head})
    with torch.no_grad():
        student[-1].weight.mul_(0.01)
        student[-1].bias.zero_()
    optimizer = torch.optim.AdamW(
        [{"params": student.parameters(), "lr": 1e-7}, {"params": head.parameters(), "lr": 1e-2}]
    )

    def terms(_: int) -> Terms:
        one, two = views(16)
        with torch.no_grad():
            sharp = (teacher(two) / 0.04).softmax(1)
        loss = -(sharp * (student(one) / 0.1).log_softmax(1)).sum(1).mean()
        return {"dino": loss, "probe": F.cross_entropy(head(one), (one[:, 0] > 0).long())}

    fit(desk, model, optimizer, terms, steps=200, digits=7)


@faulty("stuck", "data", terms=("species",))
def labels_from_another_shuffle(desk: Desk) -> None:
    """Images and one set of labels come from two loaders that shuffle for themselves."""
    model = Heads({"species": 10, "size": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture(64)
        out = model(x)
        species = torch.randint(0, 10, (64,))
        return {
            "species": F.cross_entropy(out["species"], species),
            "size": F.mse_loss(out["size"], numbers),
        }

    fit(desk, model, optimizer, terms)


@faulty("stuck", "starvation", "saturation", terms=("countdown",))
def head_cannot_reach_its_target(desk: Desk) -> None:
    """The countdown's targets lie between 0 and 100 and its head ends in a tanh."""
    model = Heads({"kind": 4, "countdown": 1})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        left = 50 + 20 * numbers[:, 0]
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "countdown": F.smooth_l1_loss(out["countdown"][:, 0].tanh(), left),
        }

    fit(desk, model, optimizer, terms, weights={"kind": 1.0, "countdown": 0.1}, style="csv")


@faulty("stuck", terms=("next",))
def objective_on_constant_input(desk: Desk) -> None:
    """The second loss reads the hidden state of the padding position, the same for all inputs."""
    model = nn.ModuleDict({"lm": Language(), "topic": nn.Linear(32, 4)})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, _ = model["lm"](ids)
        padding = model["lm"].embed(torch.zeros(len(ids), dtype=torch.long))
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "next": F.cross_entropy(model["topic"](padding), ids[:, 5] % 4),
        }

    fit(desk, model, optimizer, terms, style="pairs")
