"""The ways to train that `benchmarks/balance.py` compares."""

import importlib.util
import sys
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from fork import losses_of, net_of, timed
from poise.balance import Balancer, GradientShare, GradNorm, Method, methods
from poise.balance.method_rule import MethodRule

OURS = "`upgrad`, `backward(terms)`"
THEIRS = ("TorchJD `mtl_backward`, UPGrad", "the same, one term at a time")


@dataclass(slots=True)
class Engine:
    """One way to train, on a net of its own.

    Attributes:
        step: One training step.
        solver_ms: What the method's own solver took, by step.
        steps: How many steps are timed together.
        ratios: Of a step without the solver to the plain step of the same round.
        whole: The same with the solver.
    """

    step: Callable[[], None]
    solver_ms: list[float] = field(default_factory=list)
    steps: int = 1
    ratios: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def take(self) -> tuple[float, float]:
        """CPU milliseconds of a step, without and with the solver."""
        before = len(self.solver_ms)
        took = timed(lambda: [self.step() for _ in range(self.steps)])
        solver = sum(self.solver_ms[before:])
        return (took - solver) / self.steps, took / self.steps


Make = Callable[[int], Engine]


class TwoParts(nn.Module):
    """A trunk whose terms meet in no single tensor: every head reads a deep and a wide part."""

    def __init__(self, terms: int) -> None:
        super().__init__()
        net, self.batch, self.targets = net_of(terms)
        self.trunk, self.wide = net["trunk"], nn.Linear(512, 64)
        self.heads = nn.ModuleDict({name: nn.Linear(576, 10) for name in self.targets})

    def losses(self) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The shared tensors, and the terms."""
        shared = [self.trunk(self.batch), self.wide(self.batch)]
        return shared, {
            name: nn.functional.cross_entropy(self.heads[name](torch.cat(shared, 1)), target)
            for name, target in self.targets.items()
        }


def stepper(net: nn.Module, passed_back: Callable[[], None]) -> Callable[[], None]:
    """A step of AdamW around what fills the gradients."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def step() -> None:
        passed_back()
        optimizer.step()
        optimizer.zero_grad()

    return step


def plain(terms: int, *, parted: bool = False) -> Engine:
    """The plain sum."""
    if parted:
        two = TwoParts(terms)
        return Engine(stepper(two, lambda: sum(two.losses()[1].values()).backward()))
    net, batch, targets = net_of(terms)

    def passed_back() -> None:
        z = net["trunk"](batch)
        sum(losses_of(net, dict.fromkeys(targets, z), targets).values()).backward()

    return Engine(stepper(net, passed_back))


def at_fork(terms: int, of: Callable[[Mapping[str, Tensor]], Balancer]) -> Engine:
    """Balanced at a fork."""
    net, batch, targets = net_of(terms)
    balance = of(targets)

    def passed_back() -> None:
        parts = balance.fork(net["trunk"](batch))
        balance.total(losses_of(net, parts, targets)).backward()

    return Engine(stepper(net, passed_back), solver_ms=solver_of(balance))


def from_graph(
    terms: int, of: Callable[[Mapping[str, Tensor]], Balancer], *, parted: bool = False
) -> Engine:
    """Balanced at the place that is found from the graph."""
    if parted:
        two = TwoParts(terms)
        balance = of(two.targets)
        step = stepper(two, lambda: balance.backward(two.losses()[1], model=two))
        return Engine(step, solver_of(balance), steps=balance.keeper.every)
    net, batch, targets = net_of(terms)
    balance = of(targets)

    def passed_back() -> None:
        z = net["trunk"](batch)
        balance.backward(losses_of(net, dict.fromkeys(targets, z), targets), model=net)

    return Engine(stepper(net, passed_back), solver_of(balance))


def solver_of(balance: Balancer) -> list[float]:
    """CPU milliseconds that a published method takes for its weights; grows with every step.

    Rules of our own are part of the step: nothing is taken off.
    """
    rule, took = balance.rule, []
    if not isinstance(rule, MethodRule):
        return took
    ask = rule.forward

    def forward(*given: Any) -> Tensor:  # noqa: ANN401 -- whatever the rule takes
        start = time.process_time()
        found = ask(*given)
        took.append((time.process_time() - start) * 1e3)
        return found

    rule.forward = forward
    return took


def torchjd(terms: int, *, parted: bool = False, chunk: int | None = None) -> Engine:
    """TorchJD's gradients at the shared parameters, combined by UPGrad."""
    from torchjd.aggregation import UPGrad
    from torchjd.autojac import jac_to_grad, mtl_backward

    aggregator = UPGrad()
    if parted:
        two = TwoParts(terms)
        net, shared = two, [*two.trunk.parameters(), *two.wide.parameters()]
    else:
        net, batch, targets = net_of(terms)
        shared = list(net["trunk"].parameters())

    def passed_back() -> None:
        if parted:
            features, losses = two.losses()
        else:
            features = net["trunk"](batch)
            losses = losses_of(net, dict.fromkeys(targets, features), targets)
        mtl_backward(list(losses.values()), features, parallel_chunk_size=chunk)
        jac_to_grad(shared, aggregator)

    return Engine(stepper(net, passed_back))


def two_stage(terms: int) -> Engine:
    """Each term passed back to the trunk's output; their sum, normalised, from there on."""
    net, batch, targets = net_of(terms)
    norms = dict.fromkeys(targets, 0.0)

    def passed_back() -> None:
        z = net["trunk"](batch)
        cut = z.detach().requires_grad_()
        joint = torch.zeros_like(cut)
        for name, one in losses_of(net, dict.fromkeys(targets, cut), targets).items():
            cut.grad = None
            one.backward()
            norms[name] = 0.99 * norms[name] + 0.01 * cut.grad.norm().item()
            joint += cut.grad / (norms[name] * terms)
        z.backward(joint)

    return Engine(stepper(net, passed_back))


class Repeated(nn.Module):
    """What LibMTL wants of an encoder whose output it is to balance at: that output K times."""

    def __init__(self, inner: nn.Module, terms: int) -> None:
        super().__init__()
        self.inner, self.terms = inner, terms

    def forward(self, given: Tensor) -> list[Tensor]:
        """The output of the encoder, K times."""
        return [self.inner(given)] * self.terms


def libmtl(terms: int, method: str, *, features: bool) -> Engine:
    """A weighting of LibMTL on the same net, which is rebuilt around it."""
    weightings = weightings_of_libmtl()
    hps = import_module("LibMTL.architecture.HPS").HPS
    net, batch, targets = net_of(terms)
    both = type("Both", (hps, getattr(weightings, method)), {})
    made = both(
        task_name=list(targets),
        encoder_class=lambda: Repeated(net["trunk"], terms) if features else net["trunk"],
        decoders=net["heads"],
        rep_grad=features,
        multi_input=False,
        device=torch.device("cpu"),
    )
    made.epoch, made.train_loss_buffer = 1, torch.ones(terms, 2).numpy()
    made.init_param()
    # torch's default since 2.0 leaves None, on which LibMTL fails
    made.zero_grad_share_params = partial(made.encoder.zero_grad, set_to_none=False)

    def passed_back() -> None:
        outputs = made(batch)
        losses = [nn.functional.cross_entropy(outputs[k], one) for k, one in targets.items()]
        made.backward(torch.stack(losses), alpha=1.5, mgda_gn="none")

    return Engine(stepper(made, passed_back))


def weightings_of_libmtl() -> types.ModuleType:
    """LibMTL's weightings without its models, which need a torchvision that fits."""
    if "LibMTL" not in sys.modules:
        spec = importlib.util.find_spec("LibMTL")
        if spec is None:
            raise ModuleNotFoundError("LibMTL is not installed")
        bare = types.ModuleType("LibMTL")
        bare.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["LibMTL"] = bare
        for part in ("weighting", "architecture"):
            inner = types.ModuleType(f"LibMTL.{part}")
            inner.__path__ = [f"{bare.__path__[0]}/{part}"]
            sys.modules[f"LibMTL.{part}"] = inner
    found = types.ModuleType("weightings")
    for name in ("GradNorm", "PCGrad", "MGDA"):
        setattr(found, name, getattr(import_module(f"LibMTL.weighting.{name}"), name))
    return found


def equal(names: Mapping[str, Tensor]) -> Balancer:
    """Equal shares."""
    return GradientShare(dict.fromkeys(names, 1.0))


def method(names: Mapping[str, Tensor], *, which: str, **options: Any) -> Balancer:  # noqa: ANN401
    """A published method."""
    return Method(which, names, **options)


def published() -> list[str]:
    """Every method that works on inner products of gradients."""
    return [name for name, one in methods().items() if one.make.startswith("Method(")]


def engines(quick: bool) -> tuple[dict[str, Make], dict[str, Make]]:
    """Those of the usual net, and those of the net without a single shared tensor."""
    upgrad = partial(method, which="upgrad")
    usual: dict[str, Make] = {
        "plain sum": plain,
        "`GradientShare` at a fork": partial(at_fork, of=equal),
        "`GradNorm` at a fork": partial(at_fork, of=lambda names: GradNorm(list(names))),
    }
    for name in ["upgrad", "nash"] if quick else published():
        usual[f"`{name}` at a fork"] = partial(at_fork, of=partial(method, which=name))
    usual |= {
        "`GradientShare`, `backward(terms)`": partial(from_graph, of=equal),
        OURS: partial(from_graph, of=upgrad),
        "two-stage balancer, written out": two_stage,
        THEIRS[0]: torchjd,
        THEIRS[1]: partial(torchjd, chunk=1),
        "LibMTL GradNorm at features": partial(libmtl, method="GradNorm", features=True),
        "LibMTL MGDA at features": partial(libmtl, method="MGDA", features=True),
        "LibMTL PCGrad at parameters": partial(libmtl, method="PCGrad", features=False),
    }
    parted: dict[str, Make] = {
        "plain sum": partial(plain, parted=True),
        OURS: partial(from_graph, of=upgrad, parted=True),
        "the same with `every=10`": partial(
            from_graph, of=partial(method, which="upgrad", every=10), parted=True
        ),
        THEIRS[0]: partial(torchjd, parted=True),
        THEIRS[1]: partial(torchjd, parted=True, chunk=1),
    }
    return usual, parted
