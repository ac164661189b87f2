"""Small trainings of many kinds: what seeds of one training differ by, and what changes do to it.

`CALIBRATION` fitted the constants of `poise.comparing.spread` (`python -m benchmarks.calibrate`);
`HELD_OUT` had no say in them. Models, optimizers, rates, schedules, data and lengths differ, and so
does what a seed draws: the model and the order of the batches always, the data set only where
`data` says so.
"""

import csv
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Terms = Mapping[str, Tensor]
Make = Callable[[int, bool], Iterator[Terms]]
"""Takes a seed and whether the change is made; yields the terms of every update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training.

    Attributes:
        make: Runs it.
        data: What a seed draws beside the model and the batches.
        change: What the changed training does otherwise.
    """

    make: Make
    data: str
    change: str

    def write(self, log: Path, seed: int, *, changed: bool = False) -> Path:
        """Trains, and logs every term of every update to a CSV file."""
        torch.manual_seed(seed)
        rows = [
            {"step": step, **{f"{name}_loss": one.item() for name, one in terms.items()}}
            for step, terms in enumerate(self.make(seed, changed))
        ]
        with log.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return log


def stepped(
    optimizer: torch.optim.Optimizer, updates: int, terms: Callable[[int], Terms],
    weights: Mapping[str, float], rate: Callable[[int], float] = lambda _: 1.0,
) -> Iterator[Terms]:  # fmt: skip
    """Updates with a weighted sum; `rate` multiplies the learning rate."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for update in range(updates):
        found = terms(update)
        optimizer.zero_grad()
        torch.stack([weights.get(name, 1.0) * one for name, one in found.items()]).sum().backward()
        optimizer.step()
        schedule.step()
        yield found


def net(*sizes: int, by: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for one, other in itertools.pairwise(sizes):
        layers += [nn.Linear(one, other), by()]
    return nn.Sequential(*layers[:-1])


def every(*modules: nn.Module) -> Iterable[nn.Parameter]:
    """Their parameters."""
    return nn.ModuleList(modules).parameters()


def fixed(seed: int = 0) -> torch.Generator:
    """Draws that no seed of the training changes."""
    return torch.Generator().manual_seed(seed)


def clusters(_: int, changed: bool) -> Iterator[Terms]:
    """Classes and their distance from the origin, SGD with momentum, constant rate."""
    draw = fixed()
    centres = torch.randn(8, 10, generator=draw)
    kind = torch.randint(8, (600,), generator=draw)
    inputs = centres[kind] + (0.6 if changed else 1.0) * torch.randn(600, 10, generator=draw)
    far = inputs.norm(dim=1)
    body, heads = net(10, 32, 32, by=nn.ReLU), (nn.Linear(32, 8), nn.Linear(32, 1))

    def terms(_: int) -> Terms:
        rows = torch.randint(600, (32,))
        z = body(inputs[rows])
        return {
            "class": F.cross_entropy(heads[0](z), kind[rows]),
            "distance": F.smooth_l1_loss(heads[1](z)[:, 0], far[rows]),
        }

    optimizer = torch.optim.SGD(every(body, *heads), lr=0.02, momentum=0.9)
    return stepped(optimizer, 400, terms, {})


def variational(_: int, changed: bool) -> Iterator[Terms]:
    """A variational autoencoder whose divergence is warmed up, Adam."""
    draw = fixed(1)
    inputs = torch.sin(
        torch.randn(500, 3, generator=draw) @ torch.randn(3, 20, generator=draw)
    ) + 0.05 * torch.randn(500, 20, generator=draw)
    encoder, decoder = net(20, 48, 8), net(4, 48, 20)
    most = 0.01 if changed else 0.1

    def terms(update: int) -> Terms:
        x = inputs[torch.randint(500, (50,))]
        mean, log = encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * log).exp() * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log.exp() - log - 1).sum(dim=1).mean()
        weight = most * min(update / 200, 1.0)
        # The divergence is logged as it is; its weight acts through the gradient alone.
        scaled = divergence * weight + (divergence * (1 - weight)).detach()
        return {"recon": F.mse_loss(decoder(z), x), "divergence": scaled}

    optimizer = torch.optim.Adam(every(encoder, decoder), lr=2e-3)
    return stepped(optimizer, 500, terms, {})


def distilled(_: int, changed: bool) -> Iterator[Terms]:
    """A student of a fixed teacher, labels with noise, AdamW, warm-up and cosine."""
    draw = fixed(2)
    inputs = torch.randn(800, 16, generator=draw)
    first, second = (torch.randn(*size, generator=draw) for size in ((16, 40), (40, 6)))
    hidden = torch.tanh(inputs @ first / 4)
    logits = hidden @ second / 2
    label = torch.distributions.Categorical(logits=logits).probs.cumsum(1)
    kind = (label < torch.rand(800, 1, generator=draw)).sum(1).clamp(max=5)
    width = 64 if changed else 12
    body, head, link = net(16, width, width, by=nn.GELU), nn.Linear(width, 6), nn.Linear(width, 40)

    def terms(_: int) -> Terms:
        rows = torch.randint(800, (64,))
        z = body(inputs[rows])
        said, wanted = F.log_softmax(head(z) / 2, -1), F.softmax(logits[rows] / 2, -1)
        return {
            "ce": F.cross_entropy(head(z), kind[rows]),
            "kd": 4 * F.kl_div(said, wanted, reduction="batchmean"),
            "feature": F.mse_loss(link(z), hidden[rows]),
        }

    def rate(update: int) -> float:
        return min(update / 30, 0.5 + 0.5 * math.cos(math.pi * update / 300))

    optimizer = torch.optim.AdamW(every(body, head, link), lr=5e-3)
    return stepped(optimizer, 300, terms, {"ce": 0.5, "kd": 0.5, "feature": 1.0}, rate)


def sequence(_: int, changed: bool) -> Iterator[Terms]:
    """A GRU on fresh sequences of a Markov chain: next symbol, and the count of one of them."""
    draw = fixed(3)
    chain = torch.distributions.Dirichlet(torch.full((12,), 0.3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        moves = chain.sample((12,)) + 1e-3
    moves = moves.cumsum(1) / moves.sum(1, keepdim=True)
    del draw
    table, body = nn.Embedding(12, 16), nn.GRU(16, 48 if changed else 24, batch_first=True)
    heads = [nn.Linear(body.hidden_size, size) for size in (12, 1)]

    def terms(_: int) -> Terms:
        symbols = [torch.randint(12, (16,))]
        for _ in range(20):
            symbols.append((moves[symbols[-1]] < torch.rand(16, 1)).sum(1).clamp(max=11))
        words = torch.stack(symbols, dim=1)
        z, _ = body(table(words[:, :-1]))
        count = (words[:, :-1] == 3).float().cumsum(1)
        return {
            "next": F.cross_entropy(heads[0](z).flatten(0, 1), words[:, 1:].flatten()),
            "count": F.mse_loss(heads[1](z)[..., 0], count),
        }

    optimizer = torch.optim.Adam(every(table, body, *heads), lr=3e-3)
    return stepped(optimizer, 250, terms, {})


def oscillator(_: int, changed: bool) -> Iterator[Terms]:
    """A physics-informed network: residual of u'' = -9u, its start, noisy data; Adam."""
    model = net(1, 32, 32, 1)
    draw = fixed(4)
    at = 2 * torch.rand(40, 1, generator=draw)
    seen = torch.cos(3 * at) + 0.05 * torch.randn(40, 1, generator=draw)

    def terms(_: int) -> Terms:
        t = (2 * torch.rand(32, 1)).requires_grad_()
        u = model(t)
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        return {
            "residual": (ddu + 9 * u).square().mean(),
            "start": (model(torch.zeros(1, 1)) - 1).square().mean(),
            "data": F.mse_loss(model(at), seen),
        }

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return stepped(optimizer, 400, terms, {"residual": 1.0 if changed else 0.01})


def contrast(seed: int, changed: bool) -> Iterator[Terms]:
    """Two views drawn together, others apart, and the views' variance; RMSprop, own data."""
    draw = fixed(seed)
    base = torch.randn(400, 6, generator=draw)
    mixing = torch.randn(6, 24, generator=draw)
    body = net(24, 64, 8, by=nn.ReLU)
    noise = 0.3 if changed else 0.8

    def terms(_: int) -> Terms:
        rows = torch.randperm(400)[:40]
        views = [base[rows] @ mixing + noise * torch.randn(40, 24) for _ in range(2)]
        one, two = (F.normalize(body(view), dim=1) for view in views)
        return {
            "contrast": F.cross_entropy(one @ two.T / 0.2, torch.arange(40)),
            "align": (one - two).square().sum(1).mean(),
        }

    optimizer = torch.optim.RMSprop(body.parameters(), lr=5e-4)
    return stepped(optimizer, 300, terms, {"align": 0.5})


def boxes(seed: int, changed: bool) -> Iterator[Terms]:
    """Objects and boxes from small images by convolutions, SGD with a stepped rate, own data."""
    draw = fixed(seed)
    corner = torch.randint(0, 8, (160, 2), generator=draw)
    size = torch.randint(2, 5, (160, 2), generator=draw)
    there = torch.rand(160, generator=draw) < 0.7
    x, y = torch.arange(12.0)[None, :, None], torch.arange(12.0)[None, None, :]
    low, high = corner[..., None, None], (corner + size)[..., None, None]
    inside = (x >= low[:, 0]) & (x < high[:, 0]) & (y >= low[:, 1]) & (y < high[:, 1])
    images = inside * there[:, None, None] + 0.3 * torch.randn(160, 12, 12, generator=draw)
    wanted = torch.cat([corner, size], dim=1) / 12
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()
    )
    heads = nn.Linear(144, 1), nn.Linear(144, 4)

    def terms(_: int) -> Terms:
        rows = torch.randperm(160)[:32]
        z = body(images[rows, None])
        error = F.smooth_l1_loss(heads[1](z), wanted[rows], beta=0.1, reduction="none").sum(1)
        return {
            "object": F.binary_cross_entropy_with_logits(heads[0](z)[:, 0], there[rows].float()),
            "box": (error * there[rows]).sum() / there[rows].sum().clamp(min=1),
        }

    def rate(update: int) -> float:
        return 1.0 if update < 150 else 0.1

    optimizer = torch.optim.SGD(every(body, *heads), lr=0.02 if changed else 0.005, momentum=0.9)
    return stepped(optimizer, 240, terms, {"box": 2.0}, rate)


def heavy_tails(seed: int, changed: bool) -> Iterator[Terms]:
    """Three regressions whose targets have outliers, batches of 4, long; Adagrad, own data."""
    draw = fixed(seed)
    inputs = torch.randn(300, 5, generator=draw)
    wanted = torch.stack([inputs[:, 0] * inputs[:, 1], inputs[:, 2].abs(), inputs.sum(1)], dim=1)
    odd = torch.distributions.StudentT(3.0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        wanted = wanted + (0.1 if changed else 0.3) * odd.sample((300, 3))
    model = net(5, 40, 3)

    def terms(_: int) -> Terms:
        rows = torch.randint(300, (4,))
        error = (model(inputs[rows]) - wanted[rows]).square().mean(0)
        return {"product": error[0], "absolute": error[1], "linear": error[2].abs().sqrt()}

    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.02)
    return stepped(optimizer, 800, terms, {})


def rates(_: int, changed: bool) -> Iterator[Terms]:
    """Four targets of one trunk on tabular data, weighted by learned uncertainty; Adam."""
    draw = fixed(6)
    inputs = torch.randn(1000, 12, generator=draw)
    wanted = inputs @ torch.randn(12, 4, generator=draw)
    wanted = torch.stack(
        [wanted[:, 0].exp().clamp(max=20), wanted[:, 1].sin(), wanted[:, 2], wanted[:, 3].sign()], 1
    )
    body = net(12, 64, 64, by=nn.SiLU)
    heads, log = nn.Linear(64, 4), nn.Parameter(torch.zeros(4))
    names = ("large", "wave", "line", "side")

    def terms(_: int) -> Terms:
        rows = torch.randint(1000, (64,))
        out = heads(body(inputs[rows]))
        return {
            name: F.huber_loss(out[:, k], wanted[rows, k], delta=1.0)
            for k, name in enumerate(names)
        }

    optimizer = torch.optim.Adam([*every(body, heads), log], lr=1e-2 if changed else 1e-3)
    for update in range(300):
        found = terms(update)
        optimizer.zero_grad()
        parts = [found[name] * (-one).exp() + one for name, one in zip(names, log, strict=True)]
        torch.stack(parts).sum().backward()
        optimizer.step()
        yield found


def denoiser(seed: int, changed: bool) -> Iterator[Terms]:
    """Images and their edges by convolutions, AdamW, one-cycle rate, own data."""
    draw = fixed(seed)
    waves = torch.randn(120, 2, generator=draw) * 1.5
    grid = torch.linspace(-1, 1, 16)
    clean = torch.sin(3 * (waves[:, :1, None] * grid[None, :, None] + waves[:, 1:, None] * grid))
    body = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.GELU(), nn.Conv2d(12, 12, 3, padding=1), nn.GELU(),
        nn.Conv2d(12, 1, 3, padding=1),
    )  # fmt: skip
    noise = 0.2 if changed else 0.4

    def terms(_: int) -> Terms:
        x = clean[torch.randint(120, (12,))][:, None]
        out = body(x + noise * torch.randn_like(x))
        return {
            "pixel": F.l1_loss(out, x),
            "edge": F.mse_loss(out.diff(dim=-1), x.diff(dim=-1)),
        }

    def rate(update: int) -> float:
        return min((update + 1) / 60, (220 - update) / 160)

    optimizer = torch.optim.AdamW(body.parameters(), lr=1e-2)
    return stepped(optimizer, 200, terms, {}, rate)


def causal(seed: int, changed: bool) -> Iterator[Terms]:
    """A transformer layer on sums modulo 7: next digit, and whether the sum is even; AdamW."""
    draw = fixed(seed)
    digits = torch.randint(7, (256, 12), generator=draw)
    sums = digits.cumsum(1) % 7
    width = 32
    table, place = nn.Embedding(7, width), nn.Parameter(0.02 * torch.randn(12, width))
    layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True)
    heads = nn.Linear(width, 7), nn.Linear(width, 1)
    mask = nn.Transformer.generate_square_subsequent_mask(12)

    def terms(_: int) -> Terms:
        rows = torch.randint(256, (16,))
        z = layer(table(digits[rows]) + place, src_mask=mask, is_causal=True)
        even = (sums[rows] % 2 == 0).float()
        return {
            "digit": F.cross_entropy(heads[0](z).flatten(0, 1), sums[rows].flatten()),
            "even": F.binary_cross_entropy_with_logits(heads[1](z)[..., 0], even),
        }

    optimizer = torch.optim.AdamW(
        [*every(table, layer, *heads), place], lr=1e-2 if changed else 3e-3
    )
    return stepped(optimizer, 200, terms, {})


def parity(_: int, changed: bool) -> Iterator[Terms]:
    """Parities of two and three of ten bits: plateaus that seeds leave at very different times."""
    body, heads = net(10, 64, 64, by=nn.ReLU), nn.Linear(64, 2)

    def terms(_: int) -> Terms:
        bits = torch.randint(2, (64, 10)).float()
        out = heads(body(2 * bits - 1))
        two, three = bits[:, :2].sum(1) % 2, bits[:, 2:5].sum(1) % 2
        return {
            "two": F.binary_cross_entropy_with_logits(out[:, 0], two),
            "three": F.binary_cross_entropy_with_logits(out[:, 1], three),
        }

    optimizer = torch.optim.Adam(every(body, heads), lr=1e-2 if changed else 2e-3)
    return stepped(optimizer, 250, terms, {})


CALIBRATION: Mapping[str, Training] = {
    "clusters": Training(make=clusters, data="nothing", change="less noise in the inputs"),
    "variational": Training(make=variational, data="nothing", change="a tenth of the divergence"),
    "distilled": Training(make=distilled, data="nothing", change="five times as wide"),
    "sequence": Training(make=sequence, data="fresh batches", change="twice as wide"),
    "oscillator": Training(make=oscillator, data="fresh points", change="100 times the residual"),
    "contrast": Training(make=contrast, data="the data set", change="less noise in the views"),
    "boxes": Training(make=boxes, data="the data set", change="four times the rate"),
    "heavy_tails": Training(make=heavy_tails, data="the data set", change="smaller outliers"),
}
HELD_OUT: Mapping[str, Training] = {
    "rates": Training(make=rates, data="nothing", change="ten times the rate"),
    "denoiser": Training(make=denoiser, data="the data set", change="less noise"),
    "causal": Training(make=causal, data="the data set", change="three times the rate"),
    "parity": Training(make=parity, data="fresh batches", change="five times the rate"),
}
