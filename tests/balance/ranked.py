"""One training, run by one process on all rows, or by each of two on its own.

As a program it is one of the two: `python -m tests.balance.ranked RANK FILE`; what it found is then
in FILE.RANK.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from poise.balance import Balancer, Method, RunningMean, Scalarizer, Uncertainty
from poise.balance.share import GradientShare
from poise.errors import PoiseError

torch.set_num_threads(1)

NAMES = ("a", "b", "c")
SHARES = {"a": 0.1, "b": 0.3, "c": 0.6}
STEPS, RANKS = 4, 2

RULES: dict[str, Callable[..., Balancer]] = {
    "share": lambda **options: GradientShare(SHARES, **options),
    "sample": lambda **options: GradientShare(SHARES, per_sample=True, **options),
    "upgrad": lambda **options: Method("upgrad", NAMES, **options),
    "pcgrad": lambda **options: Method("pcgrad", NAMES, **options),
    "mean": lambda **options: RunningMean(dict.fromkeys(NAMES, 1.0), **options),
    "dwa": lambda **options: Scalarizer("dwa", NAMES, **options),
    "uncertainty": lambda **options: Uncertainty(NAMES, **options),
}
"""By norms, by norms of samples, by a Gramian, with random numbers, by values, with parameters."""

CASES = [
    ("share", "fork", ""),
    ("share", "fork", "missing"),
    ("share", "fork", "accumulated"),
    ("share", "bottleneck", ""),
    ("share", "bottleneck", "missing"),
    ("share", "bottleneck", "lone"),
    ("share", "passes", ""),
    ("share", "passes", "missing"),
    ("sample", "fork", ""),
    ("sample", "fork", "missing"),
    ("upgrad", "fork", ""),
    ("upgrad", "fork", "missing"),
    ("upgrad", "fork", "accumulated"),
    ("upgrad", "bottleneck", ""),
    ("upgrad", "fork", "nan"),
    ("upgrad", "bottleneck", "lone"),
    ("upgrad", "passes", ""),
    ("upgrad", "passes", "missing"),
    ("upgrad", "passes", "lone"),
    ("pcgrad", "fork", ""),
    ("pcgrad", "passes", ""),
    ("mean", "values", "nan"),
    ("mean", "values", "missing"),
    ("dwa", "values", ""),
    ("uncertainty", "values", "missing"),
]
"""Rule, where it balances, and what is odd about the batches."""


class Model(nn.Module):
    """A trunk and heads; `beside` lets a term look at a shared weight, so no tensor carries all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(5, 2) for name in NAMES})

    def forward(
        self, batches: Sequence[Tensor], has: Sequence[Sequence[str]], balance: Balancer, way: str
    ) -> dict[str, Tensor]:
        """Terms of the batches of one or several processes, with the terms that each has.

        As a data-parallel wrapper does it, a term is the sum of its means divided by how many
        batches there are, also where some do not have it.
        """
        z = self.trunk(torch.cat(list(batches)))
        parts = balance.fork(z) if way == "fork" else dict.fromkeys(NAMES, z)
        found: dict[str, Tensor] = {}
        for k, (name, head) in enumerate(self.heads.items()):
            pieces = head(parts[name]).split([len(one) for one in batches])
            there = [one for one, names in zip(pieces, has, strict=True) if name in names]
            own = [(one - k).square().mean() for one in there]
            if own:
                found[name] = sum(own[1:], own[0]) * (10.0 ** (k - 1) / len(batches))
        if way == "passes":
            found["a"] = found["a"] + 0.1 * self.trunk[2].weight.square().sum()
        return found


def batch(step: int, rank: int, micro: int = 0) -> Tensor:
    """The rows of one micro-batch of one process."""
    seed = 100 * step + 10 * rank + micro
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def present(odd: str, step: int, rank: int) -> tuple[str, ...]:
    """The terms that a process has in a step."""
    gone = rank == 1 and step % 2 == 1
    if gone and odd == "missing":
        return NAMES[:2]
    return NAMES[:1] if gone and odd == "lone" else NAMES


def passed(balance: Balancer, way: str, terms: dict[str, Tensor], model: nn.Module) -> None:
    """One balanced backward pass."""
    if way in {"fork", "values"}:
        balance.total(terms).backward()
    else:
        balance.backward(terms, model=model)


def trained(rule: str, way: str, odd: str, rank: int | None) -> dict[str, Any]:
    """What a training ends with; `rank` None does it in one process.

    With micro-batches the weights come from the step before, and in the first step from its first
    micro-batch.
    """
    bare = Model()
    optimizer = torch.optim.SGD(bare.parameters(), lr=0.05)
    micros = 2 if odd == "accumulated" else 1
    balance = RULES[rule](optimizer=optimizer) if micros > 1 else RULES[rule]()
    if own := list(balance.parameters()):
        optimizer.add_param_group({"params": own})
    model: nn.Module = bare
    if rank is not None:
        model = DistributedDataParallel(bare, find_unused_parameters=odd in {"missing", "lone"})
    ranks = range(RANKS) if rank is None else [rank]
    held, gradients = [], []
    for step in range(STEPS):
        for micro in range(micros):
            last = micro == micros - 1
            quiet = contextlib.nullcontext() if rank is None or last else model.no_sync()
            with quiet:
                has = [present(odd, step, one) for one in ranks]
                terms = model([batch(step, one, micro) for one in ranks], has, balance, way)
                terms = {name: one / micros for name, one in terms.items()}
                if odd == "nan" and step == 1 and 1 in ranks:
                    terms["b"] = terms["b"] * torch.nan
                passed(balance, way, terms, bare)
            held.append(list(balance.weights.values()))
        gradients = [one.grad.tolist() for one in bare.parameters()]
        if odd != "nan" or step != 1:  # as GradScaler does it
            optimizer.step()
        optimizer.zero_grad()
        if rule == "dwa":
            balance.rule.epoch()
    return {
        "skipped": balance.skipped,
        "weights": held,
        "gradients": gradients,
        "parameters": [one.tolist() for one in bare.parameters()],
        "state": {k: v.tolist() for k, v in balance.state_dict().items() if isinstance(v, Tensor)},
    }


def sharded(rule: str, rank: int | None, *, again: bool) -> dict[str, Any]:
    """The same with a fork in a model under `fully_shard`."""
    model, balance = Model(), RULES[rule]()
    if rank is not None:
        mesh = init_device_mesh("cpu", (RANKS,))
        for one in (model.trunk, model):
            fully_shard(one, mesh=mesh, reshard_after_forward=again)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    ranks = range(RANKS) if rank is None else [rank]
    held = []
    for step in range(STEPS):
        batches = [batch(step, one) for one in ranks]
        terms = model(batches, [NAMES] * len(batches), balance, "fork")
        balance.total(terms).backward()
        held.append(list(balance.weights.values()))
        optimizer.step()
        optimizer.zero_grad()
    whole = [one if rank is None else one.full_tensor() for one in model.parameters()]
    return {"weights": held, "parameters": [one.tolist() for one in whole]}


def refused(act: Callable[[], object]) -> str:
    """What an error says."""
    try:
        act()
    except PoiseError as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def errors(rank: int) -> dict[str, str]:
    """What cannot work is told on every process, and none is left waiting."""
    model, balance = Model(), RULES["share"]()
    terms = model([batch(0, rank)], [NAMES], balance, "passes")
    nameless = refused(lambda: balance.backward(terms))
    fully_shard(model, mesh=init_device_mesh("cpu", (RANKS,)))
    terms = model([batch(0, rank)], [NAMES], balance, "bottleneck")
    return {"nameless": nameless, "sharded": refused(lambda: balance.backward(terms, model=model))}


def main(rank: int, place: str) -> None:
    """One of two processes."""
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=RANKS)
    if rank == 0:  # one process evaluates alone, before anything else
        for rule, way in (("share", "fork"), ("mean", "values")):
            model, balance = Model(), RULES[rule]()
            with torch.no_grad():
                balance.total(model([batch(0, rank)], [NAMES], balance, way))
    found: dict[str, Any] = {"/".join(case): trained(*case, rank) for case in CASES}
    for again in (True, False):
        for rule in ("share", "upgrad"):
            found[f"sharded/{rule}/{again}"] = sharded(rule, rank, again=again)
    found["errors"] = errors(rank)
    Path(f"{place}.{rank}").write_text(json.dumps(found))
    dist.barrier()  # neither leaves while the other is still in a collective
    dist.destroy_process_group()
    os._exit(
        0
    )  # a thread of torch that wants the interpreter while it ends would abort the process


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what is not finite, and RunningMean, are told
    main(int(sys.argv[1]), sys.argv[2])
