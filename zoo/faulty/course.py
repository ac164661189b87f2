"""Losses that run away: without a bound, in a jump, out of range, into NaN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, mixture, speech, tokens, views
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Gan, Heads, Language, Speech, Vae, kl_of, mlp, ring


@faulty("unbounded", "explosion", terms=("spread",))
def spread_without_bound(desk: Desk) -> None:
    """Two views are pulled together while the variance of the features is maximised, unbounded."""
    model = mlp(16, 48, 8)
    optimizer = torch.optim.SGD(model.parameters(), 2e-2)

    def terms(_: int) -> Terms:
        one, two = (model(view) for view in views(64))
        return {
            "invariance": F.mse_loss(one, two),
            "spread": -(one.var(0).mean() + two.var(0).mean()),
        }

    fit(desk, model, optimizer, terms, weights={"invariance": 1.0, "spread": 1.0})


@faulty("unbounded", "collapse", terms=("nll", "log_sigma"))
def likelihood_of_exact_data(desk: Desk) -> None:
    """A Gaussian likelihood with a free sigma on targets without noise: sigma goes to 0."""
    model = nn.ModuleDict({"net": mlp(4, 64, 1), "sigma": nn.ParameterDict()})
    model["sigma"]["log"] = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    mix = torch.randn(4, 1)

    def terms(_: int) -> Terms:
        x = torch.randn(64, 4)
        log = model["sigma"]["log"]
        error = (model["net"](x) - x @ mix).square().mean()
        return {"nll": 0.5 * error * (-2 * log).exp() + log, "l2": 1e-4 * error}

    fit(desk, model, optimizer, terms, logs=lambda: {"log_sigma": model["sigma"]["log"]})


@faulty("unbounded", "explosion", terms=("critic", "maker"))
def critic_without_constraint(desk: Desk) -> None:
    """A Wasserstein critic whose weight clipping was lost: its gap may grow without end."""
    gan = Gan()
    tells = torch.optim.Adam(gan.critic.parameters(), 2e-3)
    makes = torch.optim.Adam(gan.maker.parameters(), 2e-4)
    roles = {"critic": "adversary", "maker": "adversary"}
    names = ["critic", "maker"]
    with desk.open(gan, [tells, makes], roles=roles, terms=names, each=1, style="jsonl") as session:
        for _ in range(250):
            real, fake = ring() + 2, gan.maker(torch.randn(64, 4))
            tells.zero_grad()
            gap = gan.critic(fake.detach()).mean() - gan.critic(real).mean()
            session.total({"critic": gap}).backward()
            tells.step()
            makes.zero_grad()
            session.total({"maker": -gan.critic(fake).mean()}).backward()
            makes.step()


@faulty("jump", "explosion", onset=200)
def third_stage_times_ten(desk: Desk) -> None:
    """At stage 3 the loss is added up over 10 unrolled steps; the weights are the same."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        ids = tokens()
        logits, hidden = model(ids)
        lm = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        unrolled = 10 if at >= 200 else 1
        return {"lm": unrolled * lm, "norm": 0.01 * hidden.square().mean()}

    fit(desk, model, optimizer, terms)


@faulty("jump", "dominance", "explosion", "starvation", terms=("mass",), onset=200)
def mass_term_switched_on(desk: Desk) -> None:
    """100 log(1 + ppm / 100) enters at weight 0.1 at step 200, at once."""
    model = Heads({"residue": 4, "mass": 1})
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        mass = 1000 + 100 * numbers[:, 0]
        guess = 1000 + 100 * (out["residue"].softmax(1)[:, 0] - out["residue"].softmax(1)[:, 3])
        ppm = 1e6 * ((guess - mass) / mass).abs()
        return {
            "ce": F.cross_entropy(out["residue"], kind),
            "mass": (100 * (ppm / 100).log1p()).mean(),
        }

    def weights(at: int) -> dict[str, float]:
        return {"ce": 1.0, "mass": 0.1 if at >= 200 else 0.0}

    fit(desk, model, optimizer, terms, weights=weights, clip=1.0, steps=400)


@faulty("jump", "dominance", "explosion", "starvation", terms=("gan",), onset=150)
def adversary_with_huge_weight(desk: Desk) -> None:
    """The adaptive weight of the discriminator is not capped: |grad recon| / |grad adv| x 100."""
    model = nn.ModuleDict({"vae": Vae(), "critic": mlp(64, 32, 1)})
    makes = torch.optim.Adam(model["vae"].parameters(), 1e-3)
    tells = torch.optim.Adam(model["critic"].parameters(), 1e-5)
    last = model["vae"].decoder[-1].weight
    roles = {"gan": "adversary"}
    with desk.open(model, [makes, tells], roles=roles, terms=["recon", "kl", "gan"]) as session:
        for at in range(350):
            x = blobs()
            logits, mean, logvar = model["vae"](x)
            recon = F.l1_loss(logits.sigmoid(), x)
            gan = -model["critic"](logits.sigmoid()).mean()
            (ours,) = torch.autograd.grad(recon, last, retain_graph=True)
            (theirs,) = torch.autograd.grad(gan, last, retain_graph=True)
            weight = 100 * float(ours.norm() / (theirs.norm() + 1e-6)) if at >= 150 else 0.0
            weights = {"recon": 1.0, "kl": 1e-3, "gan": weight}
            terms = {"recon": recon, "kl": kl_of(mean, logvar).sum(1).mean(), "gan": gan}
            makes.zero_grad()
            session.total(terms, weights).backward()
            makes.step()
            tells.zero_grad()
            real, fake = model["critic"](x), model["critic"](logits.sigmoid().detach())
            (F.relu(1 - real).mean() + F.relu(1 + fake).mean()).backward()
            tells.step()


@faulty("explosion", "nonfinite", onset=150)
def rate_with_a_typo(desk: Desk) -> None:
    """The second phase's rate is 5 instead of 5e-3."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 5e-2, momentum=0.9)

    def terms(at: int) -> Terms:
        if at == 150:
            optimizer.param_groups[0]["lr"] = 5.0
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.smooth_l1_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, rate=False)


@faulty("explosion", "nonfinite", "dominance", "unbounded", terms=("kl",))
def divergence_of_wide_variances(desk: Desk) -> None:
    """The log-variance head starts at 20, so the KL is e^20."""
    model = Vae()
    with torch.no_grad():
        model.encoder[-1].bias[6:] = 20.0
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        recon = F.binary_cross_entropy_with_logits(logits.clamp(-30, 30), x)
        return {"recon": recon, "kl": kl_of(mean, logvar).sum(1).mean()}

    fit(desk, model, optimizer, terms, style="csv")


@faulty("explosion", "unbounded", "nonfinite", terms=("td", "q"))
def values_without_target_network(desk: Desk) -> None:
    """Q-learning against its own moving maximum, undiscounted: the values feed themselves."""
    model = nn.ModuleDict({"q": mlp(8, 48, 4), "aux": nn.Linear(8, 4)})
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def terms(_: int) -> Terms:
        x = torch.randn(64, 8)
        action = torch.randint(0, 4, (64, 1))
        reward = (action[:, 0] == (x[:, 0] > 0).long()).float()
        follows = model["q"](x + 0.1 * torch.randn_like(x)).max(1).values
        target = reward + 1.05 * follows.detach()
        q = model["q"](x).gather(1, action)[:, 0]
        aux = F.cross_entropy(model["aux"](x), (x[:, 0] > 0).long())
        return {"td": F.mse_loss(q, target), "aux": aux}

    fit(desk, model, optimizer, terms, steps=500, style="jsonl")


@faulty("nonfinite", terms=("smooth",), onset=120)
def norm_of_a_silent_frame(desk: Desk) -> None:
    """The norm of a difference of two frames that are equal: finite, with a gradient of NaN."""
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def terms(at: int) -> Terms:
        frames, _ = speech()
        if at >= 120:
            frames[0, 1] = frames[0, 0]
        out = model(frames)
        step = out.diff(dim=1).square().sum(-1).sqrt()
        return {"recon": F.mse_loss(out, frames), "smooth": step.mean()}

    fit(desk, model, optimizer, terms, steps=200, weights={"recon": 1.0, "smooth": 0.1})


@faulty("nonfinite", "data", terms=("ctc",), onset=90)
def transcript_longer_than_speech(desk: Desk) -> None:
    """One utterance has more symbols than frames; CTC is infinite without `zero_infinity`."""
    model = Speech()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(at: int) -> Terms:
        frames, symbols = speech()
        size, length = symbols.shape
        ctc, attention = model(frames, length)
        heard = torch.full((size,), 4 * length)
        if at >= 90:
            heard[0] = 3
        logs = ctc.log_softmax(-1).transpose(0, 1)
        return {
            "ctc": F.ctc_loss(logs, symbols, heard, torch.full((size,), length)),
            "att": F.cross_entropy(attention.flatten(0, 1), symbols.flatten()),
        }

    fit(desk, model, optimizer, terms, steps=160, weights={"ctc": 0.3, "att": 0.7}, style="pairs")


@faulty("nonfinite", "data", terms=("tags",), onset=100)
def batch_of_padding(desk: Desk) -> None:
    """A batch has no labelled token at all: the cross-entropy is 0 / 0."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    tagger = nn.Linear(32, 3)
    both = nn.ModuleList([model, tagger])
    optimizer.add_param_group({"params": tagger.parameters()})

    def terms(at: int) -> Terms:
        ids = tokens()
        logits, hidden = model(ids)
        tags = ids % 3
        tags[torch.rand(tags.shape) < 0.5] = -100
        if at == 100:
            tags[:] = -100
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "tags": F.cross_entropy(tagger(hidden).flatten(0, 1), tags.flatten()),
        }

    fit(desk, both, optimizer, terms, steps=160, style="jsonl")


@faulty("nonfinite", terms=("offset", "depth", "total", "loss"), onset=66)
def log_of_a_learned_weight(desk: Desk) -> None:
    """`log(weight)` with a weight that is learned directly and crosses 0."""
    model = nn.ModuleDict({"net": Heads({"seg": 4, "depth": 1}), "w": nn.ParameterDict()})
    model["w"]["weight"] = nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = torch.optim.SGD(
        [
            {"params": model["net"].parameters(), "lr": 0.01},
            {"params": model["w"].parameters(), "lr": 1e-3},
        ]
    )

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model["net"](x)
        weight = model["w"]["weight"]
        return {
            "seg": weight[0] * F.cross_entropy(out["seg"], kind),
            "depth": weight[1] * F.l1_loss(out["depth"][:, 0], 20 * numbers[:, 0]),
            "offset": -0.1 * weight.log().sum(),
        }

    fit(desk, model, optimizer, terms, steps=200)


@faulty("nonfinite", terms=("contrast",), onset=0)
def half_precision_temperature(desk: Desk) -> None:
    """Similarities over a temperature of 1e-3 are exponentiated in half precision: infinite."""
    model = mlp(16, 32, 8)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)

    def terms(_: int) -> Terms:
        one, two = (F.normalize(model(view), dim=1) for view in views())
        logits: Tensor = (one @ two.T).half() / 1e-3
        weight = logits.exp().float()
        return {
            "contrast": -(weight.diagonal() / weight.sum(1)).log().mean(),
            "l2": 1e-4 * one.square().sum(),
        }

    fit(desk, model, optimizer, terms, steps=80, style="csv")
