"""Small trainings under a real watch, faulty and healthy: `from tests.doctor.live_runs import ...`.

All learn to read a class and two numbers from noisy features; each is over in about a second.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.watch import Watch

Terms = Mapping[str, Tensor]
Batch = tuple[Tensor, Tensor, Tensor]


def batch(size: int = 32) -> Batch:
    """Features (b, 8), a class of 4 (b,), and two numbers (b, 2)."""
    z = torch.randn(size, 8)
    kind = 2 * (z[:, 0] > 0).long() + (z[:, 1] > 0).long()
    numbers = torch.stack([z[:, 2] * z[:, 0], z[:, 3] + 0.5 * z[:, 1]], dim=1)
    return z + 0.1 * torch.randn(size, 8), kind, numbers


class Net(nn.Module):
    """One trunk and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.kind = nn.Linear(32, 4)
        self.numbers = nn.Linear(32, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, 4) and numbers (b, 2)."""
        z = self.trunk(inputs)
        return self.kind(z), self.numbers(z)


def terms_of(model: nn.Module, one: Batch) -> dict[str, Tensor]:
    """Cross-entropy and squared error."""
    logits, numbers = model(one[0])
    return {"kind": F.cross_entropy(logits, one[1]), "numbers": F.mse_loss(numbers, one[2])}


class DoubleCounter:
    """The incident's accumulation: asking whether to step advances the count."""

    def __init__(self, accumulation: int) -> None:
        self.accumulation, self.count = accumulation, 0

    def should_step(self) -> bool:
        """True once the count is a multiple of the accumulation."""
        self.count += 1
        return self.count % self.accumulation == 0


def never_steps(run: Path, seed: int, batches: int = 20) -> None:
    """`should_step` is asked twice a batch, so that with accumulation 8 it is never true."""
    torch.manual_seed(seed)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    counter = DoubleCounter(8)
    with Watch(run, model=model, optimizer=optimizer) as watch:
        for _ in range(batches):
            (watch.total(terms_of(model, batch())) / 8).backward()
            if counter.should_step():  # sees odd counts only
                optimizer.step()
                optimizer.zero_grad()
            counter.should_step()  # the monitor asks too


def zero_rate(run: Path, seed: int, batches: int = 20) -> None:
    """A warm-up from 0 whose scheduler is never stepped."""
    torch.manual_seed(seed)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 2000))
    loop(run, model, optimizer, batches)


def loop(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: int,
    *,
    weights: Callable[[int], Mapping[str, float]] | None = None,
    after: Callable[[], object] | None = None,
    terms: Callable[[nn.Module, Batch], dict[str, Tensor]] = terms_of,
    roles: Mapping[str, str] | None = None,
) -> None:
    """A plain loop under a watch with its defaults."""
    with Watch(run, model=model, optimizer=optimizer, total_steps=batches, roles=roles) as watch:
        for at in range(batches):
            found = terms(model, batch())
            total = watch.total(found, None if weights is None else weights(at))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            if after is not None:
                after()


def balanced(run: Path, seed: int, batches: int = 300) -> None:
    """Two tasks of like size."""
    torch.manual_seed(seed)
    model = Net()
    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-3), batches)


def ramped(run: Path, seed: int, batches: int = 300) -> None:
    """The second term is ramped up over the middle third."""
    torch.manual_seed(seed)
    model = Net()

    def weights(at: int) -> dict[str, float]:
        return {"kind": 1.0, "numbers": min(1.0, max(0.0, at / 100 - 1))}

    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-3), batches, weights=weights)


def frozen_backbone(run: Path, seed: int, batches: int = 300) -> None:
    """Only the heads train: the trunk has requires_grad=False, the optimizer only heads."""
    torch.manual_seed(seed)
    model = Net()
    model.trunk.requires_grad_(False)
    heads = [*model.kind.parameters(), *model.numbers.parameters()]
    loop(run, model, torch.optim.AdamW(heads, 3e-3), batches)


def warm_up(run: Path, seed: int, batches: int = 300) -> None:
    """From a learning rate of 0 over 50 steps, then a cosine to 0; accumulation is 1."""
    torch.manual_seed(seed)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def rate(at: int) -> float:
        return at / 50 if at < 50 else 0.5 * (1 + math.cos(math.pi * (at - 50) / 250))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    loop(run, model, optimizer, batches, after=schedule.step)


def accumulated(run: Path, seed: int, batches: int = 400) -> None:
    """Accumulation over 4, gradients clipped at 1.0, one step of the schedule a step."""
    torch.manual_seed(seed)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    with Watch(run, model=model, optimizer=optimizer) as watch:
        for at in range(batches):
            (watch.total(terms_of(model, batch())) / 4).backward()
            if at % 4 == 3:
                watch.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), 1.0))
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()


def regularised(run: Path, seed: int, batches: int = 300) -> None:
    """A tiny penalty with its declared role beside two tasks."""
    torch.manual_seed(seed)
    model = Net()

    def terms(net: nn.Module, one: Batch) -> dict[str, Tensor]:
        found = terms_of(net, one)
        return {**found, "decay": sum(p.square().sum() for p in net.parameters())}  # type: ignore[dict-item]  # a tensor

    loop(
        run,
        model,
        torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        batches,
        weights=lambda _: {"kind": 1.0, "numbers": 1.0, "decay": 1e-6},
        terms=terms,
        roles={"decay": "regulariser"},
    )


class Gan(nn.Module):
    """A generator of two numbers and its critic."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
        self.critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))


def adversarial(run: Path, seed: int, batches: int = 400) -> None:
    """Two optimizers that take turns inside every batch, one total a batch, declared roles."""
    torch.manual_seed(seed)
    gan = Gan()
    makes = torch.optim.Adam(gan.generator.parameters(), 1e-3, betas=(0.5, 0.9))
    tells = torch.optim.Adam(gan.critic.parameters(), 1e-3, betas=(0.5, 0.9))
    roles = {"generator": "adversary", "critic": "adversary"}
    with Watch(run, model=gan, optimizer=[makes, tells], roles=roles) as watch:
        for _ in range(batches):
            real = torch.randn(64, 2) * torch.tensor([0.5, 1.0]) + 1.0
            fake = gan.generator(torch.randn(64, 4))
            told_real, told_fake = gan.critic(real), gan.critic(fake.detach())
            # The critic's parameters stay out of the generator's loss, as with two backward passes.
            fixed = {name: p.detach() for name, p in gan.critic.named_parameters()}
            fooled = torch.func.functional_call(gan.critic, fixed, (fake,))
            critic = F.softplus(-told_real).mean() + F.softplus(told_fake).mean()
            total = watch.total({"generator": F.softplus(-fooled).mean(), "critic": critic})
            makes.zero_grad()
            tells.zero_grad()
            total.backward()
            makes.step()
            tells.step()


HEALTHY = (
    balanced,
    ramped,
    frozen_backbone,
    warm_up,
    accumulated,
    regularised,
    adversarial,
)


class IgnoresWeight(torch.autograd.Function):
    """A square whose backward forgets the gradient that it is handed."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:  # type: ignore[override]  # torch types it with *args
        """Half the mean square."""
        ctx.save_for_backward(x)
        return 0.5 * x.square().mean()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *_: Tensor) -> Tensor:  # type: ignore[override]  # torch types it with Any
        """The gradient of the square alone."""
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]  # made by torch
        return x / x.numel()


def detached(run: Path, seed: int) -> None:
    """The second term is detached."""
    torch.manual_seed(seed)
    model = Net()

    def terms(net: nn.Module, one: Batch) -> dict[str, Tensor]:
        found = terms_of(net, one)
        return found | {"numbers": found["numbers"].detach()}

    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-3), 40, terms=terms)


def clamped(run: Path, seed: int) -> None:
    """The second term is clamped where its gradient is exactly zero."""
    torch.manual_seed(seed)
    model = Net()

    def terms(net: nn.Module, one: Batch) -> dict[str, Tensor]:
        found = terms_of(net, one)
        return found | {"numbers": (found["numbers"] + 5).clamp(max=2.0)}

    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-3), 120, terms=terms)


def weight_ignored(run: Path, seed: int) -> None:
    """The second term ignores its weight on the way back."""
    torch.manual_seed(seed)
    model = Net()

    def terms(net: nn.Module, one: Batch) -> dict[str, Tensor]:
        logits, numbers = net(one[0])
        told = IgnoresWeight.apply(numbers - one[2])
        return {"kind": F.cross_entropy(logits, one[1]), "numbers": told}

    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-3), 40, terms=terms)


def fast_schedule(run: Path, seed: int) -> None:
    """Accumulation over 4 with a scheduler that is stepped every micro-batch."""
    torch.manual_seed(seed)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    with Watch(run, model=model, optimizer=optimizer) as watch:
        for at in range(80):
            (watch.total(terms_of(model, batch())) / 4).backward()
            if at % 4 == 0:  # torch warns of a scheduler that is stepped first
                optimizer.step()
                optimizer.zero_grad()
            schedule.step()


def owned(run: Path, seed: int) -> None:
    """One term owns the gradient: a weight of 1000 on the squared error of large targets."""
    torch.manual_seed(seed)
    model = Net()

    def terms(net: nn.Module, one: Batch) -> dict[str, Tensor]:
        logits, numbers = net(one[0])
        return {
            "kind": F.cross_entropy(logits, one[1].roll(1)),  # cannot be learned
            "numbers": F.mse_loss(numbers, 100 * one[2]),
        }

    loop(run, model, torch.optim.AdamW(model.parameters(), 3e-2), 300, terms=terms)


FAULTY = {
    "term-reaches-nothing": detached,
    "term-gradient-zero": clamped,
    "weight-ignored": weight_ignored,
    "scheduler-per-micro-batch": fast_schedule,
    "gradient-dominance": owned,
}
