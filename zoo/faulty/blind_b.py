"""The blind set: losses that run away, oppose each other or die, and books that are not right."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Heads, Language, Router, mlp


@faulty("unbounded", "explosion", "conflict", terms=("forget",))
def forgetting_by_ascent(desk: Desk) -> None:
    """Unlearning by minus the cross-entropy of what is to be forgotten, which has no end."""
    model = Heads({"kind": 4})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        forgotten = x[:, 4] > 0.5
        logits = model(x)["kind"]
        return {
            "retain": F.cross_entropy(logits[~forgotten], kind[~forgotten]),
            "forget": -F.cross_entropy(logits[forgotten], kind[forgotten]),
        }

    fit(desk, model, optimizer, terms, weights={"retain": 1.0, "forget": 0.5})


@faulty("unbounded", "explosion", "dominance", "conflict", terms=("entropy", "log_sigma"))
def entropy_of_a_free_sigma(desk: Desk) -> None:
    """A Gaussian policy's entropy is rewarded, and nothing holds its sigma: it grows for ever."""
    model = nn.ModuleDict({"mean": mlp(6, 32, 1, act=nn.Tanh), "free": nn.ParameterDict()})
    model["free"]["log_sigma"] = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(128, 6)
        log = model["free"]["log_sigma"]
        policy = torch.distributions.Normal(model["mean"](x)[:, 0], log.exp())
        action = policy.sample()
        reward = (-(action - x[:, 0]).square()).exp()
        seen.update(reward=reward.mean(), log_sigma=log)
        gain = reward - reward.mean()
        return {
            "policy": -(gain * policy.log_prob(action)).mean(),
            "entropy": -policy.entropy().mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=500, weights={"policy": 1.0, "entropy": 0.6},
        logs=lambda: seen, style="jsonl",
    )  # fmt: skip


@faulty("jump", onset=180)
def initialised_again_at_stage_two(desk: Desk) -> None:
    """Stage 2 calls the function that sets up the network, and with it initialises it again."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)

    def terms(at: int) -> Terms:
        if at == 180:
            for part in (model.embed, model.rnn, model.head):
                part.reset_parameters()
        ids = tokens()
        logits, _ = model(ids)
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "last": F.cross_entropy(logits[:, -2], ids[:, -1]),
        }

    fit(desk, model, optimizer, terms, weights={"lm": 1.0, "last": 0.2}, style="csv")


@faulty("jump", "explosion", "dominance", "reduction", terms=("recon",), onset=200)
def twice_the_resolution(desk: Desk) -> None:
    """At step 200 images get twice the side through a new layer; the loss is a sum over pixels."""
    encoder, small, large = mlp(64, 64, 8), mlp(8, 64, 64), mlp(8, 64, 256)
    model = nn.ModuleDict({"encoder": encoder, "small": small, "large": large})
    model["kind"] = nn.Linear(8, 2)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        fine = blobs(32, 16)
        x = F.avg_pool2d(fine.view(-1, 1, 16, 16), 2).flatten(1)
        code = encoder(x)
        shown, wanted = (large(code), fine) if at >= 200 else (small(code), x)
        side = x.view(-1, 8, 8)[:, :, :4].sum((1, 2)) > x.sum(1) / 2
        return {
            "recon": (shown - wanted).square().sum(1).mean(),
            "side": F.cross_entropy(model["kind"](code), side.long()),
        }

    fit(desk, model, optimizer, terms, steps=360)


@faulty("explosion", "data", "nonfinite", "jump", terms=("numbers",), onset=100)
def features_in_millimetres(desk: Desk) -> None:
    """From step 100 on one feature comes in a smaller unit, for which the rate is too high."""
    model = nn.ModuleDict({"numbers": nn.Linear(12, 2), "kind": nn.Linear(12, 4)})
    optimizer = torch.optim.SGD(model.parameters(), 0.05)

    def terms(at: int) -> Terms:
        x, kind, numbers = mixture(64)
        if at >= 100:
            x[:, 5] *= 6.5
        return {
            "numbers": F.mse_loss(model["numbers"](x), numbers),
            "kind": F.cross_entropy(model["kind"](x), kind),
        }

    fit(desk, model, optimizer, terms, steps=260, style="pairs")


@faulty("nonfinite", "data", terms=("variance",), onset=124)
def last_batch_of_one(desk: Desk) -> None:
    """The last batch of the fifth epoch has one sample, of which `std` is NaN."""
    model = mlp(16, 48, 8)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(at: int) -> Terms:
        one, two = (model(view) for view in views(1 if at == 124 else 64))
        return {
            "invariance": F.mse_loss(one, two),
            "variance": F.relu(1 - one.std(0)).mean() + F.relu(1 - two.std(0)).mean(),
        }

    fit(desk, model, optimizer, terms, steps=180, style="csv")


@faulty("nonfinite", "data", terms=("angle",), onset=100)
def angle_of_equal_normals(desk: Desk) -> None:
    """The angle of two normals by `acos`; flat ground is predicted exactly: the slope is infinite.

    From step 100 on the data has flat ground, whose normal the network gets for nothing.
    """
    model = mlp(12, 48, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(at: int) -> Terms:
        x, kind, numbers = mixture()
        ground = torch.zeros(len(x), 1)
        if at >= 100:
            ground[0] = 1
        up = torch.tensor([0.0, 0.0, 1.0])
        out = ground * up + (1 - ground) * model(x)
        target = ground * up + (1 - ground) * torch.cat([numbers, 1 + kind[:, None]], dim=1)
        cosine = F.cosine_similarity(out, target, dim=1)
        return {"angle": cosine.acos().mean(), "size": F.smooth_l1_loss(out, target)}

    fit(desk, model, optimizer, terms, steps=160, weights={"angle": 1.0, "size": 0.1})


@faulty("conflict", "stuck", terms=("score", "rank"))
def rank_one_is_best(desk: Desk) -> None:
    """Ranks are given as 1 for the best, and the ranking loss takes the higher for the better."""
    model = mlp(12, 48, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture(64)
        score, quality = model(x)[:, 0], numbers[:, 0]
        rank = (-quality).argsort().argsort() + 1
        order = (rank[:32] - rank[32:]).sign().float()
        return {
            "score": F.mse_loss(score, quality),
            "rank": F.margin_ranking_loss(score[:32], score[32:], order, margin=1.0),
        }

    fit(desk, model, optimizer, terms, steps=1200, style="pairs")


@faulty("collapse", terms=("compact", "spread"))
def sphere_around_nothing(desk: Desk) -> None:
    """Deep one-class description with biases and a free centre: all is mapped onto one point."""
    net = mlp(16, 48, 8)
    model = nn.ModuleDict({"net": net, "free": nn.ParameterDict()})
    model["free"]["centre"] = nn.Parameter(torch.ones(8))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        one, two = (net(view) for view in views(64))
        seen["spread"] = one.std(0).mean()
        return {
            "compact": (one - model["free"]["centre"]).square().sum(1).mean(),
            "pair": F.mse_loss(one, two),
        }

    fit(desk, model, optimizer, terms, logs=lambda: seen, style="jsonl", steps=500)


@faulty("collapse", "dominance", "starvation", terms=("sparse", "gate_mean"))
def gates_shut_for_good(desk: Desk) -> None:
    """A penalty on hard gates is a sum over the batch: all shut, and nothing passes them again."""
    model = nn.ModuleDict(
        {"gate": nn.Linear(12, 16), "branch": nn.Linear(12, 16), "out": nn.Linear(16, 4)}
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        gate = (1.2 * model["gate"](x).sigmoid() - 0.1).clamp(0, 1)
        seen["gate_mean"] = gate.mean()
        out = model["out"](gate * model["branch"](x).relu())
        return {"ce": F.cross_entropy(out, kind), "sparse": gate.mean(1).sum()}

    fit(
        desk, model, optimizer, terms, weights={"ce": 1.0, "sparse": 3.0}, logs=lambda: seen,
        roles={"sparse": "regulariser"}, style="jsonl", steps=500,
    )  # fmt: skip


@faulty("stuck", "no-gradient", "saturation", "starvation", terms=("count",))
def head_of_dead_relus(desk: Desk) -> None:
    """Counts are read from a ReLU whose bias starts at -8: it gives 0 for all, and no gradient."""
    model = Heads({"kind": 4, "count": 1})
    nn.init.constant_(model.heads["count"].bias, -8.0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        count = (3 + 2 * numbers[:, 0]).clamp(min=0).round()
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "count": F.smooth_l1_loss(out["count"][:, 0].relu(), count),
        }

    fit(desk, model, optimizer, terms, weights={"kind": 1.0, "count": 0.5}, style="csv")


@faulty("stuck", terms=("kind",))
def probability_to_keep(desk: Desk) -> None:
    """Dropout of one head is given the probability to keep, 0.99: next to nothing gets through."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        z = model.trunk(x)
        return {
            "kind": F.cross_entropy(model.heads["kind"](F.dropout(z, 0.99)), kind),
            "numbers": F.mse_loss(model.heads["numbers"](z), numbers),
        }

    fit(desk, model, optimizer, terms)


@faulty("unaccounted", terms=("total", "loss", "ce", "z"))
def third_loss_in_the_layer(desk: Desk) -> None:
    """A routing layer adds its balancing loss, at 1 instead of 0.01, and nobody writes it down."""
    model = Router()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    with desk.open(model, optimizer, style="bracket") as session:
        for _ in range(300):
            x, kind, _ = mixture(64)
            out, gate, load = model(x)
            terms = {
                "ce": F.cross_entropy(out, kind),
                "z": 1e-2 * out.logsumexp(1).square().mean(),
            }
            own = 4 * (gate.mean(0) * load).sum()
            total = session.total(terms) + own
            session.prints(loss=total)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


@faulty("eval-mismatch", terms=("depth", "val_depth", "val/depth"))
def validation_in_metres(desk: Desk) -> None:
    """Training targets are standardised, and the targets of the validation are not."""
    model = Heads({"depth": 1, "kind": 4})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int = 0) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        depth = numbers[:, 0] if model.training else 12 + 4 * numbers[:, 0]
        return {
            "depth": F.l1_loss(out["depth"][:, 0], depth),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, evaluate=terms, eval_each=20, style="jsonl")


@faulty("clipping")
def clipped_before_unscaling(desk: Desk) -> None:
    """Losses are scaled by 4096 for half precision, and clipped at 1 before that is undone."""
    model = Language()
    optimizer = torch.optim.SGD(model.parameters(), 0.5, momentum=0.9)
    with desk.open(model, optimizer, roles={"norm": "regulariser"}) as session:
        for _ in range(300):
            ids = tokens()
            logits, hidden = model(ids)
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "norm": 0.1 * hidden.square().mean(),
            }
            optimizer.zero_grad()
            (4096 * session.total(terms)).backward()
            session.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), 1.0))
            for p in model.parameters():
                p.grad = None if p.grad is None else p.grad / 4096
            optimizer.step()


@faulty("generalisation", terms=("rating", "val_rating", "val/rating"), onset=60)
def factors_for_every_user(desk: Desk) -> None:
    """700 ratings by 100 users, 48 factors for each of them, and nothing that holds them."""
    model = nn.ModuleDict({"user": nn.Embedding(100, 48), "item": nn.Embedding(60, 48)})
    model["bias"] = nn.Embedding(60, 1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    taste, kind = torch.randn(100, 2), torch.randn(60, 2)

    def rated(size: int) -> tuple[Tensor, Tensor, Tensor]:
        user, item = torch.randint(0, 100, (size,)), torch.randint(0, 60, (size,))
        liked = (taste[user] * kind[item]).sum(1) + 0.7 * torch.randn(size)
        return user, item, liked

    def losses(user: Tensor, item: Tensor, liked: Tensor) -> Terms:
        bias = model["bias"](item)[:, 0]
        guess = (model["user"](user) * model["item"](item)).sum(1) / 7 + bias
        return {"rating": F.mse_loss(guess, liked), "bias": 1e-2 * bias.square().mean()}

    seen, held = rated(700), rated(700)

    def terms(_: int) -> Terms:
        rows = torch.randint(0, 700, (64,))
        return losses(*(part[rows] for part in seen))

    fit(
        desk, model, optimizer, terms, evaluate=lambda: losses(*held), eval_each=20, style="jsonl",
        steps=400, roles={"bias": "regulariser"},
    )  # fmt: skip


@faulty("data", "no-gradient", "no-effect", terms=("triplet",), onset=120)
def one_of_each_class(desk: Desk) -> None:
    """From step 120 on the sampler gives one image of each class: there are no triplets left."""
    model = nn.ModuleDict({"net": mlp(12, 48, 8), "size": nn.Linear(8, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for at in range(300):
            x, kind, numbers = mixture(32)
            if at >= 120:
                first = torch.stack([(kind == k).int().argmax() for k in range(4)])
                x, kind, numbers = x[first], torch.arange(4), numbers[first]
            z = model["net"](x)
            apart = torch.cdist(z, z)
            same = (kind[:, None] == kind) & ~torch.eye(len(x), dtype=torch.bool)
            other = kind[:, None] != kind
            pairs = same[:, :, None] & other[:, None]
            margin = F.relu(1 + apart[:, :, None] - apart[:, None]) * pairs
            terms = {
                "triplet": margin.sum() / pairs.sum().clamp(min=1),
                "size": F.mse_loss(model["size"](z)[:, 0], numbers[:, 0]),
            }
            optimizer.zero_grad()
            counts = {"triplet": int(pairs.sum()), "size": len(x)}
            session.total(terms, counts=counts).backward()
            optimizer.step()


@faulty("record", onset=130, least="note")
def counter_not_resumed(desk: Desk) -> None:
    """The job is stopped and goes on with all of its state, and counts its steps from 0 again."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(2):
        with desk.open(model, optimizer, style="csv") as session:
            for _ in range(130):
                x, kind, numbers = mixture()
                out = model(x)
                terms = {
                    "kind": F.cross_entropy(out["kind"], kind),
                    "numbers": F.mse_loss(out["numbers"], numbers),
                }
                optimizer.zero_grad()
                session.total(terms).backward()
                optimizer.step()
