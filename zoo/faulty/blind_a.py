"""The blind set: parameters and rates, gradients that are lost, shares that are not as meant."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Adapted, Average, Detector, Heads, Language, at_object, mlp


@faulty("frozen", "no-gradient")
def both_adapters_zero(desk: Desk) -> None:
    """Both factors of the low-rank updates start at zero, so neither ever gets a gradient."""
    model = Heads({"kind": 4, "numbers": 2})
    layers = (Adapted(nn.Linear(12, 48), start=0.0), Adapted(nn.Linear(48, 48), start=0.0))
    model.trunk = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU())
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, style="jsonl")


@faulty("frozen")
def cleared_before_the_step(desk: Desk) -> None:
    """`zero_grad` is called between the backward pass and the step, so each step is empty."""
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    with desk.open(model, optimizer, style="bracket") as session:
        for _ in range(250):
            images, target, box, kind = boxes()
            logits, found, classes = model(images)
            terms = {
                "obj": F.binary_cross_entropy_with_logits(logits, target),
                "box": F.smooth_l1_loss(at_object(found, target), box),
                "cls": F.cross_entropy(at_object(classes, target), kind),
            }
            session.total(terms).backward()
            optimizer.zero_grad()
            optimizer.step()


@faulty("schedule", "frozen", onset=80)
def plateau_of_the_wrong_sign(desk: Desk) -> None:
    """`ReduceLROnPlateau(mode='max')` is given a loss: the better it gets, the lower the rate."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=2)

    def losses(size: int) -> Terms:
        x, kind, numbers = mixture(size)
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    with desk.open(model, optimizer, style="jsonl", total_steps=500) as session:
        for at in range(500):
            optimizer.zero_grad()
            session.total(losses(32)).backward()
            optimizer.step()
            if at % 20 == 19:
                with session.evaluation(), torch.no_grad():
                    held = session.total(losses(512))
                plateau.step(float(held))


@faulty("schedule", onset=40)
def warm_up_in_every_epoch(desk: Desk) -> None:
    """The schedule is made in the function that runs an epoch: it warms up from 0 again each time.

    The warm-up takes four epochs, so the rate never gets to its peak.
    """
    model = Language()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    with desk.open(model, optimizer, total_steps=400, roles={"z": "regulariser"}) as session:
        for _ in range(10):
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: min(1.0, step / 160)
            )
            for _ in range(40):
                ids = tokens(16, 12)
                logits, _ = model(ids)
                terms = {
                    "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                    "z": logits.logsumexp(-1).square().mean(),
                }
                optimizer.zero_grad()
                session.total(terms, {"lm": 1.0, "z": 1e-3}).backward()
                optimizer.step()
                schedule.step()


@faulty("no-gradient", "stuck", terms=("perceptual",))
def perceptual_loss_of_the_input(desk: Desk) -> None:
    """The perceptual loss compares the clean image with the noisy input, not with the output."""
    model, features = mlp(64, 96, 64), mlp(64, 48, 16).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        noisy = x + 0.3 * torch.randn_like(x)
        return {
            "pixel": F.l1_loss(model(noisy), x),
            "perceptual": F.mse_loss(features(noisy), features(x)),
        }

    fit(desk, model, optimizer, terms, weights={"pixel": 1.0, "perceptual": 5.0}, style="csv")


@faulty("no-gradient", "stuck", "frozen", terms=("kind",))
def first_loss_zeroed_away(desk: Desk) -> None:
    """Each loss has its own backward pass, and `zero_grad` stands between the two."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="pairs") as session:
        for _ in range(300):
            x, kind, numbers = mixture()
            out = model(x)
            terms = {
                "kind": F.cross_entropy(out["kind"], kind),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            session.total(terms)
            terms["kind"].backward(retain_graph=True)
            optimizer.zero_grad()
            terms["numbers"].backward()
            optimizer.step()


@faulty("no-effect", "frozen", "no-gradient")
def learned_weights_as_numbers(desk: Desk) -> None:
    """Task weights are parameters in the optimizer, and go into the sum through `.item()`."""
    model = nn.ModuleDict({"net": Heads({"depth": 1, "kind": 4}), "s": nn.ParameterDict()})
    for name in ("depth", "kind"):
        model["s"][name] = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model["net"](x)
        return {
            "depth": F.mse_loss(out["depth"][:, 0], 3 * numbers[:, 0]),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    def weights(_: int) -> dict[str, float]:
        return {name: (-s).exp().item() for name, s in model["s"].items()}

    fit(desk, model, optimizer, terms, weights=weights)


@faulty("no-effect", "schedule", terms=("consistency",), least="note")
def ramp_in_whole_thousands(desk: Desk) -> None:
    """The weight of a mean teacher's consistency is `step // 1000`, and the run has 400 steps.

    The labels are enough for the task, so only time is lost.
    """
    model = Heads({"kind": 4, "numbers": 2})
    teacher = Average(model, 0.99)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        with torch.no_grad():
            wise = teacher.net(x + 0.1 * torch.randn_like(x))["kind"].softmax(1)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
            "consistency": F.mse_loss(out["kind"].softmax(1), wise),
        }

    fit(
        desk, model, optimizer, terms, steps=400, after=lambda: teacher.update(model),
        weights=lambda at: {"kind": 1.0, "numbers": 1.0, "consistency": float(at // 1000)},
    )  # fmt: skip


@faulty("dominance", "starvation", terms=("perceptual", "pixel"))
def perceptual_loss_of_bytes(desk: Desk) -> None:
    """The feature network wants images from 0 to 255, and its loss is left in those units."""
    model, features = mlp(64, 96, 64), mlp(64, 32, 8, act=nn.Tanh).requires_grad_(False)
    with torch.no_grad():
        features[-1].weight *= 30
        features[0].weight /= 255
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        out = model(x + 0.2 * torch.randn_like(x))
        return {
            "pixel": F.l1_loss(out, x),
            "perceptual": (features(255 * out) - features(255 * x)).square().sum(1).mean(),
        }

    fit(desk, model, optimizer, terms, style="jsonl")


@faulty("starvation", "dominance", terms=("hard", "easy"), onset=40)
def learned_weights_flee(desk: Desk) -> None:
    """Weights are a softmax that the optimizer may choose: it chooses the smaller loss alone."""
    model = nn.ModuleDict({"net": Heads({"easy": 1, "hard": 4}), "w": nn.ParameterDict()})
    model["w"]["logits"] = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam(
        [
            {"params": model["net"].parameters(), "lr": 1e-3},
            {"params": model["w"].parameters(), "lr": 5e-2},
        ]
    )

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model["net"](x)
        return {
            "easy": F.smooth_l1_loss(out["easy"][:, 0], 0.3 * numbers[:, 0]),
            "hard": F.cross_entropy(out["hard"], kind),
        }

    def weights(_: int) -> dict[str, Tensor]:
        easy, hard = 2 * model["w"]["logits"].softmax(0)
        return {"easy": easy, "hard": hard}

    fit(desk, model, optimizer, terms, weights=weights, style="pairs")


@faulty("reduction", "starvation", terms=("boxes",))
def boxes_over_empty_slots(desk: Desk) -> None:
    """A box loss is averaged over all 64 slots, of which one holds an object."""
    model = Heads({"boxes": 128, "kind": 4})
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    with desk.open(model, optimizer, style="csv") as session:
        for _ in range(300):
            x, kind, numbers = mixture()
            out = model(x)
            slots = out["boxes"].view(-1, 64, 2)
            matched = F.one_hot(16 * kind + 3, 64).float()
            gap = (slots - (3 + numbers)[:, None]).abs().mean(2)
            terms = {
                "boxes": (gap * matched).mean(),
                "kind": F.cross_entropy(out["kind"], kind),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"boxes": len(x), "kind": len(x)}).backward()
            optimizer.step()


@faulty("reduction", "scale-with-length", "starvation", terms=("tags",))
def padding_in_the_mean(desk: Desk) -> None:
    """The loss of padded positions is set to 0, and the mean is taken over them all the same."""
    model = nn.ModuleDict({"lm": Language(), "tagger": nn.Linear(32, 6)})
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(300):
            ids = tokens(16, 48)
            longest = int(torch.randint(3, 49, ()))
            heard = (torch.arange(48) < longest).expand(16, 48)
            logits, hidden = model["lm"](ids * heard)
            tags = model["tagger"](hidden).transpose(1, 2)
            each = F.cross_entropy(tags, ids.roll(1, 1) % 6, reduction="none")
            told = logits[:, : longest - 1].flatten(0, 1)
            terms = {
                "tags": (each * heard).mean(),
                "lm": F.cross_entropy(told, ids[:, 1:longest].flatten()),
            }
            optimizer.zero_grad()
            counts = {"tags": 16 * longest, "lm": 16 * (longest - 1)}
            session.total(terms, counts=counts).backward()
            optimizer.step()


@faulty("scale-with-length", "dominance", "reduction", terms=("energy", "charge"))
def energy_of_whole_molecules(desk: Desk) -> None:
    """The squared error of the energy of a molecule, not per atom: large ones count by n^2."""
    model = Heads({"energy": 1, "charge": 1}, wide=8)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    mix = torch.randn(8) / 3
    with desk.open(model, optimizer, style="pairs") as session:
        for _ in range(300):
            atoms = int(torch.randint(2, 49, ()))
            x = torch.randn(16, atoms, 8)
            out = model(x)
            energy = (1 + (x @ mix).tanh()).sum(1)
            terms = {
                "energy": F.mse_loss(out["energy"].sum((1, 2)), energy),
                "charge": F.mse_loss(out["charge"][..., 0], x[..., 0] * x[..., 1].sign()),
            }
            optimizer.zero_grad()
            counts = {"energy": 16 * atoms, "charge": 16 * atoms}
            session.total(terms, counts=counts).backward()
            optimizer.step()


@faulty("saturation", "stuck", "no-gradient", terms=("species",))
def softmax_before_cross_entropy(desk: Desk) -> None:
    """Cross-entropy is given probabilities: where the network is sure and wrong, no slope is left.

    The head comes from another task and is sure of itself from the start.
    """
    model = Heads({"species": 10, "numbers": 2})
    with torch.no_grad():
        model.heads["species"].weight *= 40
    teacher = mlp(12, 48, 10).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture(64)
        out = model(x)
        return {
            "species": F.cross_entropy(out["species"].softmax(1), teacher(x).argmax(1)),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms)


@faulty("saturation", "no-gradient", "stuck", "starvation", terms=("policy",), onset=30)
def old_policy_never_refreshed(desk: Desk) -> None:
    """Rollouts and ratios stay those of the first policy: outside the clip no slope is left."""
    model = nn.ModuleDict({"actor": mlp(8, 32, 4), "critic": mlp(8, 32, 1)})
    first = copy.deepcopy(model["actor"]).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(128, 8)
        logp, value = model["actor"](x).log_softmax(1), model["critic"](x)[:, 0]
        old = first(x).log_softmax(1)
        action = torch.multinomial(old.exp(), 1)
        reward = (action[:, 0] == (x[:, 0] > 0).long()).float()
        ratio = (logp - old).gather(1, action)[:, 0].exp()
        gain = reward - value.detach()
        seen["reward"] = reward.mean()
        seen["clip_fraction"] = ((ratio - 1).abs() > 0.2).float().mean()
        return {
            "policy": -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean(),
            "value": F.mse_loss(value, reward),
        }

    fit(desk, model, optimizer, terms, logs=lambda: seen, style="jsonl")
