"""The second blind set: what does not move, what is not heard, and sums that are not as meant."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Vae, at_object, kl_of, mlp, ring


@faulty("frozen", onset=100)
def thawed_outside_the_optimizer(desk: Desk) -> None:
    """The backbone is thawed at step 100, and the optimizer was only ever given the heads."""
    model = Detector()
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)

    def terms(at: int) -> Terms:
        if at == 100:
            model.backbone.requires_grad_(True)
        images, target, box, kind = boxes()
        logits, found, classes = model(images)
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.smooth_l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, style="jsonl")


@faulty("frozen", "no-gradient")
def tower_behind_a_checkpoint(desk: Desk) -> None:
    """A tower is checkpointed in the old way, and its input needs no gradient: so it gets none."""
    model = nn.ModuleDict({"audio": mlp(4, 48, 48, 3), "video": mlp(8, 48, 3)})
    model["kind"], model["numbers"] = mlp(6, 32, 4), mlp(6, 32, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        heard = checkpoint(model["audio"], x[:, :4], use_reentrant=True)
        z = torch.cat([heard, model["video"](x[:, 4:])], dim=1)
        return {
            "kind": F.cross_entropy(model["kind"](z), kind),
            "numbers": F.mse_loss(model["numbers"](z), numbers),
        }

    fit(desk, model, optimizer, terms, steps=400, style="pairs")


@faulty("schedule", terms=("kl",))
def annealed_by_micro_batch(desk: Desk) -> None:
    """The KL weight should rise over 160 steps, and counts micro-batches, of which a step has 8."""
    model = Vae(latent=10)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)

    def weight(step: float) -> float:
        return min(1.0, step / 160)

    with desk.open(
        model, optimizer, total_steps=200, each=8, schedules={"recon": 1.0, "kl": weight},
        roles={"kl": "regulariser"},
    ) as session:  # fmt: skip
        for at in range(1600):
            x = blobs(8)
            logits, mean, logvar = model(x)
            recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
            terms = {"recon": recon.sum(1).mean() / 8, "kl": kl_of(mean, logvar).sum(1).mean() / 8}
            session.total(terms, {"recon": 1.0, "kl": weight(at)}).backward()
            if at % 8 == 7:
                optimizer.step()
                optimizer.zero_grad()


@faulty("schedule", "frozen", onset=150)
def plateau_sees_the_ramp(desk: Desk) -> None:
    """The rate falls when the validation total does not, and that rises with a weight's ramp."""
    model = Heads({"kind": 4, "numbers": 2}, hidden=64)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2)

    def losses(size: int) -> Terms:
        x, kind, numbers = mixture(size)
        out = model(x)
        other = model(x + 0.4 * torch.randn_like(x))
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
            "consistency": F.mse_loss(other["kind"], out["kind"]),
        }

    def weight(step: float) -> float:
        return 2 * min(1.0, step / 400)

    with desk.open(
        model, optimizer, total_steps=600, style="csv", roles={"consistency": "regulariser"},
        schedules={"kind": 1.0, "numbers": 1.0, "consistency": weight},
    ) as session:  # fmt: skip
        for at in range(600):
            weights = {"kind": 1.0, "numbers": 1.0, "consistency": weight(at)}
            optimizer.zero_grad()
            session.total(losses(32), weights).backward()
            optimizer.step()
            if at % 10 == 9:
                with session.evaluation(), torch.no_grad():
                    held = session.total(losses(512), weights)
                plateau.step(float(held))


@faulty("no-gradient", "no-effect", terms=("physics",))
def residual_in_numpy(desk: Desk) -> None:
    """The residual of an oscillator is computed in numpy; `requires_grad=True` silences torch."""
    net = mlp(1, 48, 48, 1, act=nn.Tanh)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    every = torch.linspace(-3, 3, 61)[:, None]

    def terms(_: int) -> Terms:
        t = 6 * torch.rand(8, 1) - 3
        u = net(every).detach().numpy()[:, 0]
        residual = (u[2:] - 2 * u[1:-1] + u[:-2]) / 0.01 + 4 * u[1:-1]
        return {
            "data": F.mse_loss(net(t), (2 * t).sin() + 0.2 * torch.randn(8, 1)),
            "physics": torch.tensor(float((residual**2).mean()), requires_grad=True),
        }

    fit(desk, net, optimizer, terms, steps=600, weights={"data": 1.0, "physics": 0.2})


@faulty("no-effect", "no-gradient", "starvation", "stuck", terms=("depth",))
def weight_under_another_name(desk: Desk) -> None:
    """The weights' file says `dept`, and what is not in it gets 0: depth is never learned."""
    model = Heads({"seg": 4, "depth": 1, "normal": 1})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    config = {"seg": 1.0, "dept": 0.5, "normal": 1.0}

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "seg": F.cross_entropy(out["seg"], kind),
            "depth": F.l1_loss(out["depth"][:, 0], 2 + numbers[:, 0]),
            "normal": F.mse_loss(out["normal"][:, 0], numbers[:, 1]),
        }

    weights = {name: config.get(name, 0.0) for name in ("seg", "depth", "normal")}
    fit(desk, model, optimizer, terms, weights=weights, style="pairs")


@faulty("dominance", "starvation", "reduction", terms=("style", "content"))
def style_of_sums(desk: Desk) -> None:
    """The style's weight is from a paper that divides Gram matrices by their size; here: sums."""
    model, eyes = mlp(64, 96, 64), nn.Conv2d(1, 8, 3, padding=1).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def gram(images: Tensor) -> Tensor:
        seen = eyes(images.view(-1, 1, 8, 8)).relu().flatten(2)
        return seen @ seen.transpose(1, 2)

    wanted = gram((torch.arange(64) % 2).float()[None])

    def terms(_: int) -> Terms:
        x = blobs()
        out = model(x)
        return {
            "content": F.mse_loss(out, x),
            "style": (gram(out) - wanted).square().sum((1, 2)).mean(),
        }

    fit(desk, model, optimizer, terms, weights={"content": 10.0, "style": 1.0}, style="jsonl")


@faulty("starvation", "stuck", "reduction", "dominance", terms=("heatmap", "kind"))
def heatmap_mostly_empty(desk: Desk) -> None:
    """A keypoint's heatmap is a mean squared error over pixels that are nearly all 0, at weight 1.

    Predicting 0 everywhere is almost as good, and the class has all of the gradient.
    """
    model = nn.ModuleDict(
        {"body": nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
        )}
    )  # fmt: skip
    model["heatmap"], model["kind"] = nn.Conv2d(16, 1, 3, padding=1), nn.Linear(16 * 16, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    grid = (torch.arange(12) + 0.5) / 12

    def terms(_: int) -> Terms:
        images, _, box, kind = boxes()
        z = model["body"](images)
        far = (grid - box[:, 1:2]).square()[:, :, None] + (grid - box[:, :1]).square()[:, None]
        return {
            "heatmap": F.mse_loss(model["heatmap"](z)[:, 0], (-far / 0.002).exp()),
            "kind": F.cross_entropy(model["kind"](F.avg_pool2d(z, 3).flatten(1)), kind),
        }

    fit(desk, model, optimizer, terms, steps=250, style="bracket")


@faulty("reduction", terms=("lm",))
def mean_of_the_means(desk: Desk) -> None:
    """Four micro-batches of 2 to 40 answer tokens: each token mean is divided by 4.

    A token of a short one counts up to twenty times as much as one of a long one.
    """
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    with desk.open(
        model, optimizer, each=4, total_steps=120, roles={"z": "regulariser"}
    ) as session:
        for at in range(480):
            ids = tokens(4, 3 if torch.rand(()) < 0.5 else int(torch.randint(12, 25, ())))
            logits, _ = model(ids)
            told = logits[:, 1:-1].flatten(0, 1)
            terms = {
                "lm": F.cross_entropy(told, ids[:, 2:].flatten()) / 4,
                "z": told.logsumexp(-1).square().mean() / 4,
            }
            counts = {"lm": len(told), "z": len(told)}
            session.total(terms, {"lm": 1.0, "z": 1e-3}, counts=counts).backward()
            if at % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()


@faulty("scale-with-length", "reduction", "dominance", "starvation", terms=("tags", "intent"))
def crf_with_its_default(desk: Desk) -> None:
    """A CRF's likelihood is summed over the batch and its tokens, beside a mean over sentences."""
    model = nn.ModuleDict({"lm": Language(), "tags": nn.Linear(32, 4), "intent": nn.Linear(32, 4)})
    model["crf"] = nn.ParameterDict({"moves": nn.Parameter(torch.zeros(4, 4))})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def negative_likelihood(emit: Tensor, tags: Tensor) -> Tensor:
        moves, score = model["crf"]["moves"], emit[:, 0]
        for t in range(1, emit.shape[1]):
            score = (score[:, :, None] + moves).logsumexp(1) + emit[:, t]
        along = moves[tags[:, :-1], tags[:, 1:]].sum(1)
        return score.logsumexp(1) - along - emit.gather(2, tags[:, :, None]).sum((1, 2))

    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(250):
            ids = tokens(16, int(torch.randint(3, 33, ())))
            hidden = model["lm"](ids)[1]
            emit = model["tags"](hidden)
            terms = {
                "tags": negative_likelihood(emit, (ids + ids.roll(1, 1)) % 4).sum(),
                "intent": F.cross_entropy(model["intent"](hidden[:, -1]), ids[:, -2] % 4),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"tags": ids.numel(), "intent": 16}).backward()
            optimizer.step()


@faulty("saturation", "no-gradient", "starvation", "stuck", terms=("adversary",), onset=20)
def log_of_one_minus(desk: Desk) -> None:
    """A generator minimises log(1 - D), and a critic that is sure of itself leaves it no slope."""
    model = nn.ModuleDict({"maker": mlp(4, 32, 32, 2), "code": mlp(2, 32, 2)})
    critic = mlp(2, 48, 48, 1, act=nn.LeakyReLU)
    makes = torch.optim.Adam(model.parameters(), 1e-3)
    tells = torch.optim.Adam(critic.parameters(), 4e-3)
    with desk.open(model, makes, roles={"adversary": "adversary"}, style="csv") as session:
        for _ in range(240):
            z = torch.randn(64, 4)
            out = model["maker"](z)
            terms = {
                "adversary": -F.softplus(critic(out)).mean(),
                "code": F.mse_loss(model["code"](out), z[:, :2]),
            }
            makes.zero_grad()
            session.total(terms, {"adversary": 1.0, "code": 0.1}).backward()
            makes.step()
            for _ in range(3):
                real, made = critic(ring() + 5), critic(out.detach())
                loss = F.softplus(-real).mean() + F.softplus(made).mean()
                tells.zero_grad()
                loss.backward()
                tells.step()
            session.log(d_loss=loss, made_x=out[:, 0].mean())


@faulty("unbounded", "explosion", "dominance", terms=("triplet",))
def triplet_without_its_hinge(desk: Desk) -> None:
    """The triplet loss is near minus far plus margin, and the `relu` around it is missing."""
    model = nn.ModuleDict({"net": mlp(16, 64, 16), "size": nn.Linear(16, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        one, two = views(64)
        anchor, same = model["net"](one), model["net"](two)
        near = (anchor - same).square().sum(1)
        far = (anchor - same.roll(1, 0)).square().sum(1)
        return {
            "triplet": (near - far + 0.5).mean(),
            "size": F.smooth_l1_loss(model["size"](anchor)[:, 0], one.norm(dim=1)),
        }

    fit(desk, model, optimizer, terms, style="pairs")


@faulty("jump", onset=180)
def quantised_without_calibration(desk: Desk) -> None:
    """From step 180 on activations are rounded as if they lay in [0, 0.5]; nobody measured them."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def rounded(z: Tensor, steps: int = 16, top: float = 0.5) -> Tensor:
        whole = (z / top * steps).round().clamp(0, steps) * top / steps
        return z.clamp(0, top) + (whole - z.clamp(0, top)).detach()

    def terms(at: int) -> Terms:
        x, kind, numbers = mixture()
        z = model.trunk(x)
        z = rounded(z) if at >= 180 else z
        return {
            "kind": F.cross_entropy(model.heads["kind"](z), kind),
            "numbers": F.mse_loss(model.heads["numbers"](z), numbers),
        }

    fit(desk, model, optimizer, terms, steps=320, style="csv")
