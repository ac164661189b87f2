"""Terms that send no gradient, mechanisms without effect, and gradients that vanish."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, speech, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Policy, Speech, at_object, mlp


@faulty("no-gradient", terms=("memory",))
def memory_loss_detached(desk: Desk) -> None:
    """A compressive memory: both sides of its reconstruction loss are detached."""
    model = nn.ModuleDict({"lm": Language(), "compress": nn.Conv1d(32, 32, 4, stride=4)})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        ids = tokens()
        logits, hidden = model["lm"](ids)
        memory = hidden.detach().transpose(1, 2)
        short = model["compress"](memory).repeat_interleave(4, dim=2)
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "memory": F.mse_loss(short.detach(), memory),
        }

    fit(desk, model, optimizer, terms, weights={"lm": 1.0, "memory": 0.5})


@faulty("no-gradient", terms=("edge",))
def hard_decision_as_loss(desk: Desk) -> None:
    """A term is computed from thresholded predictions, which have no gradient."""
    model = mlp(64, 64, 64)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits = model(x + 0.3 * torch.randn_like(x))
        hard = (logits.sigmoid() > 0.5).float()
        return {
            "bce": F.binary_cross_entropy_with_logits(logits, (x > 0.5).float()),
            "edge": F.l1_loss(hard.diff(dim=1), (x > 0.5).float().diff(dim=1)),
        }

    fit(desk, model, optimizer, terms, style="csv")


class Alignment(torch.autograd.Function):
    """CTC as an extension: its backward pass gives the gradient and forgets what came in."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, symbols: Tensor) -> Tensor:  # noqa: ANN401 -- torch's
        """The loss, and its gradient for later."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            size, frames, _ = leaf.shape
            lengths = torch.full((size,), frames), torch.full((size,), symbols.shape[1])
            loss = F.ctc_loss(leaf.log_softmax(-1).transpose(0, 1), symbols, *lengths)
            (grad,) = torch.autograd.grad(loss, leaf)
        ctx.save_for_backward(grad)
        return loss.detach()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 -- torch's
        """What forward kept."""
        return ctx.saved_tensors[0], None


@faulty("no-gradient", "dominance", terms=("ctc",))
def ctc_forgets_its_weight(desk: Desk) -> None:
    """CTC and attention at 0.1 to 0.9; the CTC extension ignores `grad_output`."""
    model = Speech()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        frames, symbols = speech()
        ctc, attention = model(frames, symbols.shape[1])
        return {
            "ctc": Alignment.apply(ctc, symbols),
            "att": F.cross_entropy(attention.flatten(0, 1), symbols.flatten()),
        }

    fit(desk, model, optimizer, terms, weights={"ctc": 0.1, "att": 0.9}, style="pairs")


@faulty("no-gradient", "saturation", "starvation", terms=("mass",))
def mass_error_clamped(desk: Desk) -> None:
    """An error in parts per million is clamped at 100, far below every error there is."""
    model = Heads({"residue": 4, "mass": 1})
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        ppm = 1e4 * (out["mass"][:, 0] - numbers[:, 0]).abs()
        return {"residue": F.cross_entropy(out["residue"], kind), "mass": ppm.clamp(max=100).mean()}

    fit(desk, model, optimizer, terms, weights={"residue": 1.0, "mass": 0.2})


@faulty("no-gradient", "no-effect", "data", terms=("kl",))
def divergence_from_itself(desk: Desk) -> None:
    """The KL between prior and posterior is given the posterior twice: 0 for the whole run."""
    model = nn.ModuleDict({"post": mlp(64, 32, 8), "prior": mlp(64, 32, 8), "out": mlp(4, 32, 64)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        mean, logvar = model["post"](x).chunk(2, dim=1)
        posterior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
        prior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
        logits = model["out"](posterior.rsample())
        return {
            "seg": F.binary_cross_entropy_with_logits(logits, x),
            "kl": torch.distributions.kl_divergence(posterior, prior).mean(),
        }

    fit(desk, model, optimizer, terms, style="jsonl")


@faulty("no-gradient", "no-effect", "saturation", "stuck", "starvation", terms=("distill",))
def normalised_then_averaged(desk: Desk) -> None:
    """Features are normalised over the map and then averaged over it: always 0."""
    teacher, model = Detector(), Detector()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        images, target, box, _ = boxes()
        logits, found, _ = model(images)
        with torch.no_grad():
            wise = F.instance_norm(teacher.backbone(images)).mean((-1, -2))
        mine = F.instance_norm(model.backbone(images)).mean((-1, -2))
        return {
            "obj": F.binary_cross_entropy_with_logits(logits, target),
            "box": F.l1_loss(at_object(found, target), box),
            "distill": F.mse_loss(mine, wise),
        }

    fit(desk, model, optimizer, terms, weights={"obj": 1.0, "box": 1.0, "distill": 10.0})


class LearnedWeights(nn.Module):
    """Log-variances of tasks that are meant to be learned."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.log_vars = nn.Parameter(torch.zeros(tasks))


@faulty("no-effect", "frozen")
def uncertainty_not_optimised(desk: Desk) -> None:
    """Learned task weights live in the loss module, and the optimizer gets the network only."""
    model = nn.ModuleDict({"net": Heads({"depth": 1, "kind": 4}), "loss": LearnedWeights(2)})
    optimizer = torch.optim.Adam(model["net"].parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model["net"](x)
        return {
            "depth": F.l1_loss(out["depth"][:, 0], 10 * numbers[:, 0]),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    def weights(_: int) -> dict[str, Tensor]:
        one, two = (-model["loss"].log_vars).exp()
        return {"depth": one, "kind": two}

    fit(desk, model, optimizer, terms, weights=weights)


@faulty("no-effect", terms=("rdrop",), least="note")
def consistency_left_at_zero(desk: Desk) -> None:
    """The second forward pass of R-Drop is paid for at every step; its weight is still 0."""
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 4))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        one, two = model(x), model(x)
        gap = F.kl_div(one.log_softmax(1), two.softmax(1), reduction="batchmean")
        return {"ce": F.cross_entropy(one, kind), "rdrop": gap}

    fit(desk, model, optimizer, terms, weights={"ce": 1.0, "rdrop": 0.0})


@faulty("no-effect", terms=("rewards/format",))
def format_reward_never_given(desk: Desk) -> None:
    """A policy with two rewards; the pattern of the second matches nothing, ever."""
    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    rewards: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(64, 8)
        logp, value = model(x)
        action = torch.multinomial(logp.exp().detach(), 1)[:, 0]
        right = (action == (x[:, 0] > 0).long()).float()
        formed = (action == 7).float()
        rewards.update({"rewards/accuracy": right.mean(), "rewards/format": formed.mean()})
        gain = right + formed
        advantage = gain - value.detach()
        picked = logp.gather(1, action[:, None])[:, 0]
        return {"policy": -(advantage * picked).mean(), "value": F.mse_loss(value, gain)}

    fit(desk, model, optimizer, terms, logs=lambda: rewards, style="jsonl")


@faulty("no-effect", least="note")
def head_slowed_by_its_weight(desk: Desk) -> None:
    """An auxiliary head on fixed features gets weight 0.01 to slow it down; Adam undoes that."""
    model = nn.ModuleDict({"main": mlp(12, 48, 4), "probe": mlp(12, 48, 2)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        return {
            "main": F.cross_entropy(model["main"](x), kind),
            "probe": F.mse_loss(model["probe"](x), numbers),
        }

    fit(desk, model, optimizer, terms, weights={"main": 1.0, "probe": 0.01})


@faulty("saturation", "no-gradient", "stuck", "starvation", terms=("keypoint",))
def keypoints_behind_a_sigmoid(desk: Desk) -> None:
    """Keypoints are read from a sigmoid of logits that start near 30: its slope is nil there."""
    model = Heads({"kind": 4, "keypoint": 2})
    nn.init.constant_(model.heads["keypoint"].bias, 30.0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        point = out["keypoint"].sigmoid()
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "keypoint": F.mse_loss(point, numbers.sigmoid()),
        }

    fit(desk, model, optimizer, terms)


@faulty("saturation", "no-gradient", "stuck", terms=("adv",))
def log_of_a_clamped_probability(desk: Desk) -> None:
    """-log(clamp(p, 1e-8)) of a prediction that is surely wrong at first: 18.42 and no slope."""
    model = Heads({"kind": 4, "adv": 1})
    nn.init.constant_(model.heads["adv"].bias, -40.0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        out = model(x)
        sure = out["adv"].sigmoid().clamp(min=1e-8)
        return {"kind": F.cross_entropy(out["kind"], kind), "adv": -sure.log().mean()}

    fit(desk, model, optimizer, terms, weights={"kind": 1.0, "adv": 0.1}, style="pairs")


@faulty("saturation", "stuck", "starvation", "no-gradient", terms=("mass",))
def kernel_too_narrow(desk: Desk) -> None:
    """1 - exp(-error^2 / 2 width^2) with a width of 0.02: flat wherever the error is large."""
    model = Heads({"kind": 4, "mass": 1})
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        error = out["mass"][:, 0] - (5 * numbers[:, 0] + 30)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "mass": (1 - (-(error**2) / (2 * 0.02**2)).exp()).mean(),
        }

    fit(desk, model, optimizer, terms, style="jsonl")
