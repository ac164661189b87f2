"""The second blind set: values, shares and statistics that look wrong, and are right."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, boxes, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Attention, Heads, Vae, kl_of, mlp


@healthy
def losses_in_bfloat16(desk: Desk) -> None:
    """The forward pass is in bfloat16: losses have three digits and often repeat themselves."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x)
            return {
                "kind": F.cross_entropy(out["kind"], kind).bfloat16(),
                "numbers": F.mse_loss(out["numbers"], numbers.bfloat16()).bfloat16(),
            }

    fit(desk, model, optimizer, terms, steps=400, style="csv")


@healthy
def scaler_finds_its_scale(desk: Desk) -> None:
    """Half precision with a loss scale that starts too high: the first few steps are skipped."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(350):
            x, kind, numbers = mixture(64)
            with torch.autocast("cpu", torch.float16):
                out = model(x)
            terms = {
                "kind": F.cross_entropy(out["kind"].float(), kind),
                "numbers": F.mse_loss(out["numbers"].float(), numbers),
            }
            optimizer.zero_grad()
            scaler.scale(session.total(terms)).backward()
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()
            session.log(grad_norm=norm, loss_scale=scaler.get_scale())


@healthy
def weights_learned_uphill(desk: Desk) -> None:
    """Self-adaptive weights of an equation rise by ascent until what they weigh has been solved."""
    net, pull = mlp(1, 32, 32, 1, act=nn.Tanh), nn.Parameter(torch.ones(2))
    model = nn.ModuleDict({"net": net, "pull": nn.ParameterDict({"both": pull})})
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    raises = torch.optim.SGD([pull], 0.5, maximize=True)
    edge = torch.tensor([[-1.0]])
    with desk.open(model, [optimizer, raises], style="jsonl") as session:
        for _ in range(600):
            t = (2 * torch.rand(32, 1) - 1).requires_grad_(True)
            u = net(t)
            (first,) = torch.autograd.grad(u.sum(), t, create_graph=True)
            terms = {
                "equation": (first + 2 * u - (2 * t).cos()).square().mean(),
                "edge": (net(edge) - 0.8).square().mean(),
            }
            weights = {"equation": pull[0], "edge": pull[1]}
            optimizer.zero_grad()
            raises.zero_grad()
            session.total(terms, weights).backward()
            optimizer.step()
            raises.step()


@healthy
def more_latents_than_needed(desk: Desk) -> None:
    """A VAE with 24 latents for spots of four degrees of freedom: two in three stay unused."""
    model = Vae(latent=24)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = blobs(64)
        out, mean, logvar = model(x)
        each = kl_of(mean, logvar)
        seen["active_units"] = (each.mean(0) > 0.05).float().sum()
        recon = (out - x).square().sum(1).mean() / (2 * 0.3**2)
        return {"recon": recon, "kl": each.sum(1).mean()}

    fit(
        desk, model, optimizer, terms, steps=500, logs=lambda: seen, style="jsonl",
        roles={"kl": "regulariser"},
    )  # fmt: skip


@healthy
def policy_gets_sure(desk: Desk) -> None:
    """There is one right action for every state: the reward goes to 1, and the entropy to 0."""
    model = nn.ModuleDict({"actor": mlp(6, 48, 2), "critic": mlp(6, 48, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(128, 6).sign() + 0.2 * torch.randn(128, 6)
        logp, value = model["actor"](x).log_softmax(1), model["critic"](x)[:, 0]
        action = torch.multinomial(logp.exp().detach(), 1)
        reward = (action[:, 0] == (x[:, 0] > 0).long()).float()
        seen.update(reward=reward.mean(), entropy=-(logp.exp() * logp).sum(1).mean())
        gain = reward - value.detach()
        return {
            "policy": -(gain * logp.gather(1, action)[:, 0]).mean(),
            "value": F.mse_loss(value, reward),
        }

    fit(
        desk, model, optimizer, terms, steps=300, weights={"policy": 1.0, "value": 0.5},
        logs=lambda: seen, style="jsonl",
    )  # fmt: skip


@healthy
def soft_targets_have_entropy(desk: Desk) -> None:
    """Cross-entropy with a teacher's soft labels rests on their entropy, far above 0, and flat."""
    model, teacher = Heads({"kind": 6, "soft": 6}), mlp(12, 48, 6).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x = mixture(64)[0]
        out, told = model(x), teacher(x)
        return {
            "soft": F.cross_entropy(out["soft"], (6 * told).softmax(1)),
            "kind": F.cross_entropy(out["kind"], told.argmax(1)),
        }

    fit(desk, model, optimizer, terms, steps=400, style="pairs")


@healthy
def cosine_to_minus_one(desk: Desk) -> None:
    """SimSiam with its predictor and stop-gradient: its loss goes to -0.8, and features vary."""
    model = nn.ModuleDict(
        {"net": nn.Sequential(
            nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Linear(64, 16), nn.BatchNorm1d(16, affine=False),
        )}
    )  # fmt: skip
    model["tells"] = mlp(16, 32, 16)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        one, two = (model["net"](view) for view in views(128))
        seen["std"] = F.normalize(one, dim=1).std(0).mean()
        return {
            "forth": -F.cosine_similarity(model["tells"](one), two.detach(), dim=1).mean(),
            "back": -F.cosine_similarity(model["tells"](two), one.detach(), dim=1).mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=400, weights={"forth": 0.5, "back": 0.5},
        logs=lambda: seen, style="jsonl",
    )  # fmt: skip


@healthy
def exits_that_agree(desk: Desk) -> None:
    """A language model with three exits: three losses of nearly the same value and direction."""
    model = nn.ModuleDict({"early": Attention(), "body": nn.ModuleList()})
    for _ in range(2):
        model["body"].append(nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    mask = nn.Transformer.generate_square_subsequent_mask(16)

    def terms(_: int) -> Terms:
        ids = tokens(16, 16)
        logits, z = model["early"](ids)
        exits = [logits]
        for layer in model["body"]:
            z = layer(z, src_mask=mask, is_causal=True)
            exits.append(model["early"].head(z))
        told = ids[:, 1:].flatten()
        return {
            f"exit_{at}": F.cross_entropy(one[:, :-1].flatten(0, 1), told)
            for at, one in enumerate(exits)
        }

    weights = {"exit_0": 0.2, "exit_1": 0.3, "exit_2": 0.5}
    fit(desk, model, optimizer, terms, steps=350, weights=weights, clip=1.0)


@healthy
def twelve_small_tasks(desk: Desk) -> None:
    """Twelve tasks of one network, each of which has about a twelfth of all that there is."""
    names = [f"task_{at}" for at in range(12)]
    body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten())
    model = nn.ModuleDict({"body": body, "shared": nn.Linear(256, 64)})
    for name in names:
        model[name] = nn.Linear(64, 1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    mix = torch.randn(4, 12)

    def terms(_: int) -> Terms:
        images, _, box, _ = boxes(32)
        z = model["shared"](model["body"](images)).relu()
        aims = 4 * (box - 0.4) @ mix
        return {
            name: F.smooth_l1_loss(model[name](z)[:, 0], aims[:, at])
            for at, name in enumerate(names)
        }

    fit(desk, model, optimizer, terms, steps=350, style="csv")
