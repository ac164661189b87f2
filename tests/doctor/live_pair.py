"""A fault and its near miss as small trainings under a real watch, and what must be found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from poise.doctor.diagnose import diagnose
from poise.doctor.finding import Finding, Severity
from poise.watch import Watch
from tests.doctor.live_runs import Batch, Net, batch, terms_of
from tests.doctor.rules_of import all_rules
from tests.watch.loops import measuring_always

Train = Callable[[Path, int], None]
"""Trains under a watch that writes to a directory, from a seed."""
Terms = Callable[[nn.Module, Batch, int], Mapping[str, Tensor]]
"""Losses of a model on a batch, given the number of the batch."""
Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Logged = Callable[[nn.Module, Batch], Mapping[str, Tensor | float]]


@contextmanager
def one_thread() -> Iterator[None]:
    """Tiny nets are slower with several threads, and far slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A rule, a training in which it must fire, and a near miss in which it must not.

    Attributes:
        rule: Name of the rule.
        faulty: The training with the fault.
        near: One that looks much the same and is healthy.
        severity: The least severe that the fault may be told with.
        spared: What the near miss may be told with at most; None: the rule is silent.
    """

    rule: str
    faulty: Train
    near: Train
    severity: Severity = Severity.WARNING
    spared: Severity | None = None


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW at 3e-3."""
    return torch.optim.AdamW(parameters, 3e-3)


def sgd(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Plain SGD at 0.05."""
    return torch.optim.SGD(parameters, 0.05)


def plain(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The two tasks of `live_runs`."""
    return terms_of(model, one)


@one_thread()
def train(
    run: Path,
    seed: int,
    terms: Terms = plain,
    *,
    make: Make = adam,
    net: Callable[[], nn.Module] = Net,
    batches: int = 120,
    weights: Callable[[nn.Module, int], Mapping[str, Tensor | float]] | None = None,
    counts: Callable[[int], Mapping[str, float]] | None = None,
    before_step: Callable[[nn.Module, int], object] | None = None,
    log: Logged | None = None,
    roles: Mapping[str, str] | None = None,
    every: int = 5,
    evaluate: bool = False,
) -> None:
    """A plain loop under a watch that measures often, so that little depends on the machine."""
    torch.manual_seed(seed)
    model = net()
    optimizer = make(model.parameters())
    with Watch(
        run, model=model, optimizer=optimizer, every=every, budget=0.5, roles=roles
    ) as watch:
        measuring_always(watch)
        for at in range(batches):
            one = batch()
            told = None if counts is None else counts(at)
            factors = None if weights is None else weights(model, at)
            total = watch.total(terms(model, one, at), factors, counts=told)
            if log is not None:
                watch.log(**log(model, one))
            optimizer.zero_grad()
            total.backward()
            if before_step is not None:
                before_step(model, at)
            optimizer.step()
            if evaluate and at % 20 == 19:
                with watch.evaluation(), torch.no_grad():
                    watch.total(terms(model, batch(), at), factors)
    assert not watch.failures


def told(run: Path, rule: str) -> list[Finding]:
    """What one rule says of a run that all rules examine."""
    return [one for one in diagnose(run, rules=all_rules()).findings if one.rule == rule]


def assert_fires(pair: Pair, run: Path, seed: int) -> None:
    """The fault is found, at its severity or worse, and with numbers."""
    pair.faulty(run, seed)
    found = told(run, pair.rule)
    assert found, [one.rule for one in diagnose(run, rules=all_rules()).findings]
    assert found[0].severity.rank <= pair.severity.rank, found[0].summary
    assert all(one.evidence for one in found)


def assert_spares(pair: Pair, run: Path, seed: int) -> None:
    """The rule could run, and says nothing of the near miss, or no more than is allowed."""
    pair.near(run, seed)
    outcome = diagnose(run, rules=all_rules())
    assert pair.rule not in [one.rule for one in outcome.not_checked]
    found = [one for one in outcome.findings if one.rule == pair.rule]
    most = 3 if pair.spared is None else pair.spared.rank
    assert all(one.severity.rank >= most for one in found), [one.summary for one in found]
