"""The second blind set: plans, weights and optimizers that look odd and do what they should."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, mixture, speech, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Heads, Language, Policy, Speech, mlp, ring


def class_and_numbers(model: nn.Module, size: int = 32) -> Terms:
    """A class and two numbers from one network."""
    x, kind, numbers = mixture(size)
    out = model(x)
    return {
        "kind": F.cross_entropy(out["kind"], kind),
        "numbers": F.mse_loss(out["numbers"], numbers),
    }


@healthy
def weights_from_last_rates(desk: Desk) -> None:
    """Dynamic weight averaging: every 25 steps weights follow how fast each loss fell of late."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    seen: dict[str, list[float]] = {"kind": [], "numbers": []}
    given = {"kind": 1.0, "numbers": 1.0}

    def terms(at: int) -> Terms:
        if at >= 50 and at % 25 == 0:
            rates = [sum(all_[-25:]) / sum(all_[-50:-25]) for all_ in seen.values()]
            parts = 2 * torch.tensor(rates).div(2.0).softmax(0)
            given.update(kind=float(parts[0]), numbers=float(parts[1]))
        now = class_and_numbers(model)
        for name, one in now.items():
            seen[name].append(float(one.detach()))
        return now

    fit(desk, model, optimizer, terms, steps=400, weights=lambda _: dict(given), style="pairs")


@healthy
def sharpness_aware(desk: Desk) -> None:
    """SAM: a first gradient moves the weights uphill, a second one is taken there and used."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    params = [*model.parameters()]
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(300):
            x, kind, numbers = mixture(64)

            def losses(x: Tensor = x, kind: Tensor = kind, numbers: Tensor = numbers) -> Terms:
                out = model(x)
                return {
                    "kind": F.cross_entropy(out["kind"], kind),
                    "numbers": F.mse_loss(out["numbers"], numbers),
                }

            first = torch.autograd.grad(sum(losses().values(), start=torch.zeros(())), params)
            norm = torch.stack([g.norm() for g in first]).norm()
            with torch.no_grad():
                for p, g in zip(params, first, strict=True):
                    p.add_(g, alpha=0.05 / float(norm))
            optimizer.zero_grad()
            session.total(losses()).backward()
            with torch.no_grad():
                for p, g in zip(params, first, strict=True):
                    p.sub_(g, alpha=0.05 / float(norm))
            optimizer.step()


@healthy
def penalty_every_eighth_step(desk: Desk) -> None:
    """A critic's gradient penalty is computed every eighth step, times eight: else it is 0."""
    maker, critic = mlp(4, 32, 32, 2), mlp(2, 48, 48, 1, act=nn.LeakyReLU)
    makes = torch.optim.Adam(maker.parameters(), 1e-3, betas=(0.0, 0.99))
    tells = torch.optim.Adam(critic.parameters(), 2e-3, betas=(0.0, 0.99))
    with desk.open(critic, tells, style="jsonl", roles={"r1": "regulariser"}, each=1) as session:
        for at in range(400):
            real, made = ring().requires_grad_(True), maker(torch.randn(64, 4))
            told = critic(real)
            r1 = torch.zeros(())
            if at % 8 == 0:
                (slope,) = torch.autograd.grad(told.sum(), real, create_graph=True)
                r1 = 8 * 0.5 * slope.square().sum(1).mean()
            terms = {
                "real": F.softplus(-told).mean(),
                "made": F.softplus(critic(made.detach())).mean(),
                "r1": r1,
            }
            tells.zero_grad()
            session.total(terms, {"real": 1.0, "made": 1.0, "r1": 0.2}).backward()
            tells.step()
            makes.zero_grad()
            F.softplus(-critic(made)).mean().backward()
            makes.step()


@healthy
def teacher_fades_out(desk: Desk) -> None:
    """Distillation's weight goes from 1 to 0 over two thirds of the run, as it was declared."""
    model, teacher = Heads({"kind": 4}), Heads({"kind": 4})
    first = torch.optim.Adam(teacher.parameters(), 3e-3)
    for _ in range(200):
        x, kind, _ = mixture(64)
        first.zero_grad()
        F.cross_entropy(teacher(x)["kind"], kind).backward()
        first.step()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def weight(step: float) -> float:
        return max(0.0, 1 - step / 240)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture()
        logits = model(x)["kind"]
        with torch.no_grad():
            soft = (teacher(x)["kind"] / 2).softmax(1)
        kd = 4 * F.kl_div((logits / 2).log_softmax(1), soft, reduction="batchmean")
        return {"hard": F.cross_entropy(logits, kind), "kd": kd}

    fit(
        desk, model, optimizer, terms, steps=360, total_steps=360, style="csv",
        weights=lambda at: {"hard": 1.0, "kd": weight(at)}, schedules={"hard": 1.0, "kd": weight},
    )  # fmt: skip


@healthy
def task_made_harder(desk: Desk) -> None:
    """The noise to be removed grows through the run: losses rise slowly, and all is learned."""
    model = nn.ModuleDict({"net": mlp(65, 128, 64), "bright": mlp(65, 32, 1)})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        x = blobs(64)
        level = 0.05 + 0.75 * at / 500
        noisy = torch.cat([x + level * torch.randn_like(x), torch.full((64, 1), level)], dim=1)
        return {
            "denoise": F.mse_loss(model["net"](noisy), x),
            "bright": F.mse_loss(model["bright"](noisy)[:, 0], x.mean(1) * 10),
        }

    fit(desk, model, optimizer, terms, steps=500, weights={"denoise": 1.0, "bright": 0.1})


@healthy
def value_rises_with_the_reward(desk: Desk) -> None:
    """The policy gets better, so returns spread and the value loss rises before it falls."""
    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(128, 8)
        logp, value = model(x)
        action = torch.multinomial(logp.exp().detach(), 1)
        right = action[:, 0] == (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
        reward = right.float() * (1 + x[:, 2].clamp(min=0))
        seen["reward"] = reward.mean()
        gain = reward - value.detach()
        return {
            "policy": -(gain * logp.gather(1, action)[:, 0]).mean(),
            "value": F.mse_loss(value, reward),
            "entropy": (logp.exp() * logp).sum(1).mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=500, logs=lambda: seen, style="jsonl",
        weights={"policy": 1.0, "value": 0.5, "entropy": 0.01}, roles={"entropy": "regulariser"},
    )  # fmt: skip


@healthy
def blanks_come_first(desk: Desk) -> None:
    """CTC rests near its blanks and attention at ln 5 for 70 steps, then both learn in turn."""
    model = Speech()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)

    def terms(_: int) -> Terms:
        frames, symbols = speech(16)
        ctc, attended = model(frames, 6)
        logp = ctc.log_softmax(2).transpose(0, 1)
        return {
            "ctc": F.ctc_loss(logp, symbols, torch.full((16,), 24), torch.full((16,), 6)),
            "att": F.cross_entropy(attended.flatten(0, 1), symbols.flatten()),
        }

    fit(desk, model, optimizer, terms, steps=400, weights={"ctc": 0.3, "att": 0.7}, clip=5.0)


@healthy
def labels_smoothed_in_training(desk: Desk) -> None:
    """Labels are smoothed in training and not in evaluation, which is far below and rightly so."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def losses(size: int = 64) -> Terms:
        x, kind, numbers = mixture(size)
        out = model(x)
        soft = 0.3 if model.training else 0.0
        return {
            "kind": F.cross_entropy(out["kind"], kind, label_smoothing=soft),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(
        desk, model, optimizer, lambda _: losses(), steps=400, style="jsonl",
        evaluate=lambda: losses(256),
    )  # fmt: skip


@healthy
def critic_held_in_a_box(desk: Desk) -> None:
    """The first Wasserstein GAN: four critic steps for one, and its weights are cut at 0.2."""
    maker, critic = mlp(4, 48, 48, 2), mlp(2, 64, 64, 1, act=nn.LeakyReLU)
    makes = torch.optim.RMSprop(maker.parameters(), 1e-3)
    tells = torch.optim.RMSprop(critic.parameters(), 2e-3)
    roles = {"adversary": "adversary"}
    with desk.open(maker, makes, roles=roles, style="pairs") as session:
        for _ in range(400):
            for _ in range(4):
                gap = critic(maker(torch.randn(64, 4)).detach()).mean() - critic(ring()).mean()
                tells.zero_grad()
                gap.backward()
                tells.step()
                with torch.no_grad():
                    for p in critic.parameters():
                        p.clamp_(-0.2, 0.2)
            out = maker(torch.randn(64, 4))
            terms = {
                "adversary": -critic(out).mean(),
                "middle": out.mean(0).square().sum(),
            }
            makes.zero_grad()
            session.total(terms, {"adversary": 1.0, "middle": 0.2}).backward()
            makes.step()
            session.log(wasserstein=-gap)


@healthy
def rare_words_rarely_move(desk: Desk) -> None:
    """An embedding of 2000 words, of which a batch has a hundred: most rows stay put."""
    model = nn.ModuleDict({"embed": nn.Embedding(2000, 16), "topic": mlp(16, 32, 4)})
    model["mood"] = nn.Linear(16, 1)
    optimizer = torch.optim.Adagrad(model.parameters(), 0.1)
    often = 1 / torch.arange(1, 2001)
    topic, mood = torch.randint(0, 4, (2000,)), torch.randn(2000)

    def terms(_: int) -> Terms:
        words = torch.multinomial(often, 160, replacement=True).view(16, 10)
        z = model["embed"](words).mean(1)
        most = F.one_hot(topic[words], 4).sum(1).argmax(1)
        return {
            "topic": F.cross_entropy(model["topic"](z), most),
            "mood": F.mse_loss(model["mood"](z)[:, 0], mood[words].mean(1)),
        }

    fit(desk, model, optimizer, terms, steps=500, style="csv")


@healthy
def tokens_with_little_before_them(desk: Desk) -> None:
    """Short texts have a higher loss by token than long ones: first tokens cannot be guessed."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    with desk.open(model, optimizer, style="jsonl", roles={"z": "regulariser"}) as session:
        for _ in range(350):
            ids = tokens(16, int(torch.randint(4, 33, ())))
            logits, _ = model(ids)
            told = logits[:, :-1].flatten(0, 1)
            terms = {
                "lm": F.cross_entropy(told, ids[:, 1:].flatten()),
                "z": told.logsumexp(-1).square().mean(),
            }
            optimizer.zero_grad()
            counts = {"lm": len(told), "z": len(told)}
            session.total(terms, {"lm": 1.0, "z": 1e-3}, counts=counts).backward()
            optimizer.step()
