"""The second blind set: losses that run away, oppose each other or die, and books not right."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, speech, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Heads, Language, Policy, mlp


@faulty(
    "explosion", "dominance", "starvation", "conflict",
    terms=("budget", "numbers"), onset=100,
)  # fmt: skip
def constraint_that_cannot_hold(desk: Desk) -> None:
    """A multiplier grows by 4% while its constraint is broken, and no network can satisfy it."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    multiplier = 0.02
    last: Terms = {}

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        out = model(x)
        last.update(
            kind=F.cross_entropy(out["kind"], kind),
            numbers=F.mse_loss(out["numbers"], numbers),
            budget=out["numbers"].square().mean() + 0.1,
        )
        return dict(last)

    def weights(_: int) -> dict[str, float]:
        return {"kind": 1.0, "numbers": 1.0, "budget": multiplier}

    def ascend() -> None:
        nonlocal multiplier
        multiplier *= 1.04 if last["budget"] > 0 else 0.96

    fit(
        desk, model, optimizer, terms, steps=400, weights=weights, after=ascend,
        roles={"budget": "constraint"}, style="jsonl",
    )  # fmt: skip


@faulty("nonfinite", "data", onset=110)
def row_of_padding_alone(desk: Desk) -> None:
    """One text is empty: attention over padding alone is a softmax over -inf, which is NaN."""
    model = nn.ModuleDict({"embed": nn.Embedding(16, 32), "query": nn.Linear(32, 1)})
    model["topic"], model["length"] = nn.Linear(32, 5), nn.Linear(32, 1)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)

    def terms(at: int) -> Terms:
        ids = tokens(32, 12)
        long = torch.randint(4, 13, (32,))
        if at == 110:
            long[7] = 0
        padding = torch.arange(12) >= long[:, None]
        z = model["embed"](ids)
        score = model["query"](z)[:, :, 0].masked_fill(padding, -torch.inf)
        pooled = (score.softmax(1)[:, :, None] * z).sum(1)
        most = (F.one_hot(ids % 5, 5) * ~padding[:, :, None]).sum(1).argmax(1)
        return {
            "topic": F.cross_entropy(model["topic"](pooled), most),
            "length": F.mse_loss(model["length"](pooled)[:, 0], long / 12),
        }

    fit(desk, model, optimizer, terms, steps=180, style="csv")


@faulty("nonfinite", "data", terms=("log_depth",), onset=120)
def zero_times_infinity(desk: Desk) -> None:
    """Invalid depths are multiplied by 0 after their logarithm, which is minus infinity for 0.

    Until step 120 all depths are well above 0; then a sensor arrives that reports 0 for the sky.
    """
    model = Heads({"depth": 1, "kind": 4})
    nn.init.constant_(model.heads["depth"].bias, 1.0)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        x, kind, numbers = mixture(64)
        depth = (3 + 0.5 * numbers[:, 0]).clamp(min=1)
        depth = depth.masked_fill((x[:, 4] > 1) & (at >= 120), 0.0)
        out = model(x)
        valid = (depth > 0).float()
        gap = out["depth"][:, 0] - depth.log()
        return {
            "log_depth": (gap.square() * valid).sum() / valid.sum(),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, steps=220)


@faulty("conflict", "stuck", terms=("box", "corner"))
def rows_before_columns(desk: Desk) -> None:
    """One loss has its points as (x, y), the other as (y, x): both move the same prediction."""
    body = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(432, 48), nn.ReLU(), nn.Linear(48, 2),
    )  # fmt: skip
    optimizer = torch.optim.Adam(body.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        images, _, box, _ = boxes(32)
        centre = body(images)
        rows = (box[:, [1, 0]] * 4).floor() / 4 + 0.125
        return {"box": F.l1_loss(centre, box[:, :2]), "corner": F.l1_loss(centre, rows)}

    fit(desk, body, optimizer, terms, steps=400, style="pairs")


@faulty("collapse", "stuck", terms=("entropy", "policy"))
def entropy_of_the_wrong_sign(desk: Desk) -> None:
    """The entropy is added to the loss, not subtracted: one action is left before any is tried."""
    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(64, 8)
        logp, value = model(x)
        action = torch.multinomial(logp.exp().detach(), 1)
        reward = (action[:, 0] == (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()).float()
        seen["reward"] = reward.mean()
        gain = reward - value.detach()
        return {
            "policy": -(gain * logp.gather(1, action)[:, 0]).mean(),
            "value": F.mse_loss(value, reward),
            "entropy": -(logp.exp() * logp).sum(1).mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=400, logs=lambda: seen, style="jsonl",
        weights={"policy": 1.0, "value": 0.5, "entropy": 1.0}, roles={"entropy": "regulariser"},
    )  # fmt: skip


@faulty("collapse", terms=("assign", "cluster_entropy"))
def clusters_without_balance(desk: Desk) -> None:
    """Assignments to 8 clusters are made sharp and nothing keeps them even: one takes all."""
    model = nn.ModuleDict({"code": mlp(12, 48, 6), "back": mlp(6, 48, 12)})
    model["clusters"] = nn.Linear(6, 8)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = mixture(64)[0]
        z = model["code"](x)
        part = model["clusters"](z).softmax(1)
        with torch.no_grad():
            target = part**2 / (part**2).sum(1, keepdim=True)
            even = part.mean(0)
            seen["cluster_entropy"] = -(even * (even + 1e-9).log()).sum()
        return {
            "recon": F.mse_loss(model["back"](z), x),
            "assign": -(target * (part + 1e-9).log()).sum(1).mean(),
        }

    fit(desk, model, optimizer, terms, steps=500, logs=lambda: seen, style="jsonl")


@faulty("stuck", "reduction", "data", terms=("price",))
def column_minus_row(desk: Desk) -> None:
    """(64, 1) minus (64,): the squared error is over all pairs, and the mean is the best answer."""
    model = Heads({"price": 1, "kind": 4}, hidden=64)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture(64)
        out = model(x)
        return {
            "price": F.mse_loss(out["price"], numbers[:, 0]),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, steps=350, style="csv")


@faulty("stuck", "data", terms=("lm",))
def view_for_transpose(desk: Desk) -> None:
    """Logits (b, t, v) are brought to (b, v, t) with `view`: classes and places are mixed up."""
    model = nn.ModuleDict({"lm": Language(), "sum": nn.Linear(32, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def terms(_: int) -> Terms:
        ids = tokens(16, 20)
        logits, hidden = model["lm"](ids[:, :-1])
        two = (ids[:, :-1] + ids[:, :-1].roll(1, 1))[:, 1:] / 15
        return {
            "lm": F.cross_entropy(logits.reshape(16, 16, 19), ids[:, 1:]),
            "sum": F.mse_loss(model["sum"](hidden)[:, 1:, 0], two),
        }

    fit(desk, model, optimizer, terms, style="bracket")


@faulty("unaccounted", "conflict", terms=("total", "loss", "recon", "adv"))
def critic_in_the_same_total(desk: Desk) -> None:
    """The critic's loss is added before the one backward pass: it undoes the generator's own.

    It is not among the losses that are written down.
    """
    model, critic = mlp(64, 64, 64), mlp(64, 48, 1, act=nn.LeakyReLU)
    makes = torch.optim.Adam(model.parameters(), 1e-3)
    tells = torch.optim.Adam(critic.parameters(), 5e-4)
    with desk.open(model, [makes, tells], roles={"adv": "adversary"}, style="pairs") as session:
        for _ in range(300):
            x = blobs()
            out = model(x + 0.4 * torch.randn_like(x))
            told = critic(out)
            terms = {"recon": F.mse_loss(out, x), "adv": F.softplus(-told).mean()}
            own = F.softplus(-critic(x)).mean() + F.softplus(told).mean()
            total = session.total(terms, {"recon": 5.0, "adv": 0.5}) + own
            session.prints(loss=total)
            makes.zero_grad()
            tells.zero_grad()
            total.backward()
            makes.step()
            tells.step()


@faulty("eval-mismatch", "data")
def channels_swapped_in_validation(desk: Desk) -> None:
    """Training reads images as RGB; the validation's reader gives BGR, and nobody turns them."""
    body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten())
    model = nn.ModuleDict({"body": body, "kind": nn.Linear(144, 3), "place": nn.Linear(144, 2)})
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int = 0) -> Terms:
        images, _, box, tall = boxes(32)
        kind = torch.randint(0, 3, (32,))
        colour = torch.tensor([[1.0, 0.2, 0.1], [0.2, 0.9, 0.2], [0.1, 0.3, 1.0]])[kind]
        shown = images * colour[:, :, None, None] + 0.2 * torch.randn(32, 3, 12, 12)
        z = model["body"](shown if model.training else shown.flip(1))
        return {
            "kind": F.cross_entropy(model["kind"](z), kind),
            "place": F.mse_loss(model["place"](z), box[:, :2] + 0.2 * tall[:, None]),
        }

    fit(
        desk, model, optimizer, terms, evaluate=terms, eval_each=20, style="jsonl",
        weights={"kind": 1.0, "place": 5.0},
    )  # fmt: skip


@faulty("clipping", "reduction")
def clipped_at_every_micro_batch(desk: Desk) -> None:
    """What has been accumulated is clipped after each of 8 micro-batches, and 8 are summed up.

    The last ones keep the whole norm, and the first ones next to nothing.
    """
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    with desk.open(model, optimizer, style="pairs", each=4) as session:
        for at in range(800):
            x, kind, numbers = mixture(8)
            out = model(x)
            terms = {
                "kind": F.cross_entropy(out["kind"], kind),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            session.total(terms).backward()
            session.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), 0.1))
            if at % 8 == 7:
                optimizer.step()
                optimizer.zero_grad()


@faulty("clipping", "dominance", "starvation", terms=("value", "policy"))
def returns_in_the_hundreds(desk: Desk) -> None:
    """The usual clip at 0.5 and value weight of 0.5, and returns of 100 to 300 that nobody scaled.

    The clip is set by the value loss, and the policy gets next to nothing of each step.
    """
    model = Policy()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(64, 8)
        logp, value = model(x)
        action = torch.multinomial(logp.exp().detach(), 1)
        right = (action[:, 0] == (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()).float()
        returns = 200 * right + 100 * torch.rand(64)
        seen["reward"] = right.mean()
        gain = returns - value.detach()
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        return {
            "policy": -(gain * logp.gather(1, action)[:, 0]).mean(),
            "value": F.mse_loss(value, returns),
        }

    fit(
        desk, model, optimizer, terms, steps=400, weights={"policy": 1.0, "value": 0.5}, clip=0.5,
        logs=lambda: seen,
    )  # fmt: skip


@faulty("generalisation", onset=60)
def too_many_frequencies(desk: Desk) -> None:
    """A coordinate network with frequencies up to 2^5 is shown 60 noisy points: it learns those."""
    body = nn.Sequential(mlp(24, 128, 128), nn.ReLU())
    model = nn.ModuleDict({"body": body, "colour": nn.Linear(128, 3), "density": nn.Linear(128, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    mix = torch.randn(2, 3)

    def shown(size: int) -> tuple[Tensor, Tensor, Tensor]:
        at = 2 * torch.rand(size, 2) - 1
        colour = (2 * at @ mix).sin() + 0.4 * torch.randn(size, 3)
        return at, colour, (-4 * at.square().sum(1)).exp() + 0.2 * torch.randn(size)

    def losses(at: Tensor, colour: Tensor, density: Tensor) -> Terms:
        turns = at[:, :, None] * 2.0 ** torch.arange(6)
        z = model["body"](torch.cat([turns.sin(), turns.cos()], dim=1).flatten(1))
        return {
            "colour": F.mse_loss(model["colour"](z), colour),
            "density": F.mse_loss(model["density"](z)[:, 0], density),
        }

    few, held = shown(60), shown(400)

    def terms(_: int) -> Terms:
        rays = torch.randperm(60)[:16]
        return losses(*(part[rays] for part in few))

    fit(
        desk, model, optimizer, terms, evaluate=lambda: losses(*held),
        eval_each=15, steps=300, style="jsonl",
    )  # fmt: skip


@faulty("data", "no-gradient", "no-effect", terms=("answer",), onset=140)
def template_not_found(desk: Desk) -> None:
    """From step 140 on chats have another template, in which the answer is not found.

    All of its labels are ignored, and the loss is a sum over none of them.
    """
    model = nn.ModuleDict({"lm": Language(), "more": nn.Linear(32, 16)})
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    with desk.open(model, optimizer, style="csv") as session:
        for at in range(320):
            ids = tokens(16, 20)
            logits, hidden = model["lm"](ids)
            labels = ids[:, 1:].clone()
            labels[:, : 8 if at < 140 else 19] = -100
            known = int((labels != -100).sum())
            each = logits[:, :-1].flatten(0, 1)
            answer = F.cross_entropy(each, labels.flatten(), reduction="sum") / max(known, 1)
            again = model["more"](hidden).flatten(0, 1)
            terms = {"answer": answer, "copy": F.cross_entropy(again, ids.flatten())}
            optimizer.zero_grad()
            counts = {"answer": known, "copy": ids.numel()}
            session.total(terms, {"answer": 1.0, "copy": 0.2}, counts=counts).backward()
            optimizer.step()


@faulty("record", onset=60, least="note")
def log_opened_in_every_epoch(desk: Desk) -> None:
    """The log is opened in the function that runs an epoch: five times it counts from 0 again."""
    model = nn.ModuleDict({"ear": nn.GRU(8, 32, batch_first=True), "ctc": nn.Linear(32, 6)})
    model["loud"] = nn.Linear(32, 1)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(5):
        with desk.open(model, optimizer, style="jsonl") as session:
            for _ in range(60):
                frames, symbols = speech()
                hidden, _ = model["ear"](frames)
                logp = model["ctc"](hidden).log_softmax(2).transpose(0, 1)
                terms = {
                    "ctc": F.ctc_loss(logp, symbols, torch.full((8,), 24), torch.full((8,), 6)),
                    "loud": F.mse_loss(model["loud"](hidden)[..., 0], frames.square().mean(2)),
                }
                optimizer.zero_grad()
                session.total(terms).backward()
                optimizer.step()
