"""Terms that pull against each other, or swing, because they are meant to."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import healthy
from zoo.data import blobs, mixture, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Average, Gan, Heads, Language, Reverse, Router, Vq, mlp, perplexity, ring


@healthy
def generator_and_critic(desk: Desk) -> None:
    """A GAN whose two losses swing against each other and lead nowhere, as they should."""
    gan = Gan()
    makes = torch.optim.Adam(gan.maker.parameters(), 1e-3, betas=(0.5, 0.9))
    tells = torch.optim.Adam(gan.critic.parameters(), 1e-3, betas=(0.5, 0.9))
    roles = {"critic": "adversary", "maker": "adversary"}
    with desk.open(
        gan, [tells, makes], roles=roles, terms=[*roles], each=1, style="jsonl"
    ) as session:
        for _ in range(300):
            fake = gan.maker(torch.randn(64, 4))
            tells.zero_grad()
            real, made = gan.critic(ring()), gan.critic(fake.detach())
            session.total({"critic": F.softplus(-real).mean() + F.softplus(made).mean()}).backward()
            tells.step()
            makes.zero_grad()
            session.total({"maker": F.softplus(-gan.critic(fake)).mean()}).backward()
            makes.step()


@healthy
def critic_with_gradient_penalty(desk: Desk) -> None:
    """A Wasserstein critic with its penalty: negative losses that stay where they are."""
    gan = Gan()
    makes = torch.optim.Adam(gan.maker.parameters(), 5e-4, betas=(0.0, 0.9))
    tells = torch.optim.Adam(gan.critic.parameters(), 1e-3, betas=(0.0, 0.9))
    roles = {"critic": "adversary", "maker": "adversary", "penalty": "constraint"}
    with desk.open(
        gan, [tells, makes], roles=roles, terms=[*roles], each=1, style="jsonl"
    ) as session:
        for _ in range(250):
            real, fake = ring(), gan.maker(torch.randn(64, 4))
            between = (real + torch.rand(64, 1) * (fake.detach() - real)).requires_grad_()
            (slope,) = torch.autograd.grad(gan.critic(between).sum(), between, create_graph=True)
            tells.zero_grad()
            gap = gan.critic(fake.detach()).mean() - gan.critic(real).mean()
            penalty = (slope.square().sum(1).add(1e-12).sqrt() - 1).square().mean()
            session.total(
                {"critic": gap, "penalty": penalty}, {"critic": 1.0, "penalty": 10.0}
            ).backward()
            tells.step()
            makes.zero_grad()
            session.total({"maker": -gan.critic(fake).mean()}).backward()
            makes.step()


@healthy
def domain_reversal(desk: Desk) -> None:
    """A domain classifier behind a reversal layer hovers at ln 2, which is the aim."""
    model = Heads({"kind": 4, "domain": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        domain = torch.randint(0, 2, (64,))
        z = model.trunk(x + 0.5 * domain[:, None] * torch.eye(12)[5])
        return {
            "kind": F.cross_entropy(model.heads["kind"](z), kind),
            "domain": F.cross_entropy(model.heads["domain"](Reverse.apply(z)), domain),
        }

    fit(
        desk, model, optimizer, terms, weights={"kind": 1.0, "domain": 0.3},
        roles={"domain": "adversary"},
    )  # fmt: skip


@healthy
def contrastive_from_ln_of_batch(desk: Desk) -> None:
    """InfoNCE starts at ln of the batch size and falls, beside a small decorrelation."""
    encoder = mlp(16, 64, 16)
    optimizer = torch.optim.Adam(encoder.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        one, two = (F.normalize(encoder(view), dim=1) for view in views(64))
        spread = one.T @ one / 64
        return {
            "nce": F.cross_entropy(one @ two.T / 0.2, torch.arange(64)),
            "decorrelate": (spread - spread.diag().diag()).square().sum(),
        }

    fit(
        desk, encoder, optimizer, terms, weights={"nce": 1.0, "decorrelate": 0.1},
        roles={"decorrelate": "regulariser"},
    )  # fmt: skip


@healthy
def codebook_in_use(desk: Desk) -> None:
    """A codebook that is used: its perplexity goes up and down and stays well above 1."""
    model = Vq(spread=0.3)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = blobs(64)
        out, z, code, index = model(x)
        seen["perplexity"] = perplexity(index)
        return {
            "recon": F.mse_loss(out.sigmoid(), x, reduction="none").sum(1).mean(),
            "commit": F.mse_loss(z, code.detach()),
            "codebook": F.mse_loss(code, z.detach()),
        }

    fit(
        desk, model, optimizer, terms, logs=lambda: seen, style="jsonl", steps=400,
        weights={"recon": 1.0, "commit": 0.25, "codebook": 1.0},
    )  # fmt: skip


@healthy
def router_in_balance(desk: Desk) -> None:
    """A mixture of experts with its balancing term at 0.01, declared as a regulariser."""
    model = Router()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x, kind, _ = mixture(64)
        out, gate, load = model(x)
        seen["expert_entropy"] = -(load * (load + 1e-9).log()).sum()
        return {"ce": F.cross_entropy(out, kind), "balance": 4 * (gate.mean(0) * load).sum()}

    fit(
        desk, model, optimizer, terms, weights={"ce": 1.0, "balance": 0.05}, logs=lambda: seen,
        roles={"balance": "regulariser"}, style="jsonl", steps=400,
    )  # fmt: skip


@healthy
def student_with_soft_targets(desk: Desk) -> None:
    """Distillation at temperature 2 with its T^2 beside the hard labels, both learned."""
    teacher, model = mlp(12, 64, 10), mlp(12, 32, 10)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def terms(_: int) -> Terms:
        x = torch.randn(64, 12)
        with torch.no_grad():
            wise = 8 * teacher(x)
        out = model(x)
        soft = F.kl_div((out / 2).log_softmax(1), (wise / 2).softmax(1), reduction="batchmean")
        return {"ce": F.cross_entropy(out, wise.argmax(1)), "kd": 4 * soft}

    fit(desk, model, optimizer, terms, weights={"ce": 0.5, "kd": 0.5}, steps=400)


@healthy
def bootstrapped_target(desk: Desk) -> None:
    """BYOL with an averaged target: a loss that falls to almost nothing, features keep apart."""
    encoder, predictor = mlp(16, 64, 16), mlp(16, 64, 16)
    average = Average(encoder, 0.97)
    model = nn.ModuleDict({"encoder": encoder, "predictor": predictor})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        one, two = views(64)
        z = encoder(one)
        with torch.no_grad():
            aim = F.normalize(average.net(two), dim=1)
        seen["std"] = F.normalize(z, dim=1).std(0).mean()
        guess = F.normalize(predictor(z), dim=1)
        return {"byol": 2 - 2 * (guess * aim).sum(1).mean(), "l2": z.square().mean()}

    fit(
        desk, model, optimizer, terms, logs=lambda: seen, after=lambda: average.update(encoder),
        weights={"byol": 1.0, "l2": 1e-4}, roles={"l2": "regulariser"}, style="jsonl",
    )  # fmt: skip


@healthy
def tasks_in_turns(desk: Desk) -> None:
    """Two data sets in turns: each batch has one of the two losses."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, terms=["kind", "numbers"], each=1, style="jsonl") as session:
        for at in range(400):
            x, kind, numbers = mixture()
            out = model(x)
            if at % 2:
                terms = {"kind": F.cross_entropy(out["kind"], kind)}
            else:
                terms = {"numbers": F.mse_loss(out["numbers"], numbers)}
            optimizer.zero_grad()
            session.total(terms).backward()
            optimizer.step()


@healthy
def means_over_different_counts(desk: Desk) -> None:
    """A mean over tokens and a mean over sequences, both of them heard; counts told."""
    model = nn.ModuleDict({"lm": Language(), "topic": nn.Linear(32, 4)})
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    with desk.open(model, optimizer, style="pairs") as session:
        for _ in range(250):
            ids = tokens()
            logits, hidden = model["lm"](ids)
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "topic": F.cross_entropy(model["topic"](hidden[:, -1]), ids[:, -1] // 4),
            }
            optimizer.zero_grad()
            counts = {"lm": ids[:, 1:].numel(), "topic": len(ids)}
            session.total(terms, counts=counts).backward()
            optimizer.step()


@healthy
def physics_in_balance(desk: Desk) -> None:
    """A PINN with weights that suit it: equation, boundary and data all fall, not at one speed."""
    model = mlp(1, 32, 32, 1, act=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)

    def terms(_: int) -> Terms:
        x = torch.rand(64, 1, requires_grad=True)
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        edge = model(torch.tensor([[0.0], [1.0]]))
        spot = torch.rand(16, 1)
        return {
            "pde": (bend / 9.87 + (3.1416 * x).sin()).square().mean(),
            "boundary": edge.square().mean(),
            "data": (model(spot) - (3.1416 * spot).sin()).square().mean(),
        }

    fit(
        desk, model, optimizer, terms, steps=400, weights={"pde": 0.3, "boundary": 1.0, "data": 1.0}
    )
