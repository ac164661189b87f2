"""Rules on counts and on the course of a watched training: floors, spreads, log-variances."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poise.doctor.finding import Severity
from poise.reduce import masked_mean
from tests.doctor.live_pair import Pair, assert_fires, assert_spares, sgd, told, train
from tests.doctor.live_runs import Batch, Net, terms_of


def frames(model: nn.Module, one: Batch) -> Tensor:
    """Squared errors of half the numbers over 100 frames, shape (b, 200), each a noisy copy."""
    numbers = model(one[0])[1]
    targets = 0.5 * one[2].repeat(1, 100) + 0.1 * torch.randn(len(numbers), 200)
    return (numbers.repeat(1, 100) - targets).square()


def summed(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A sum over the 200 numbers of a sample beside a mean over samples."""
    return {"kind": terms_of(model, one)["kind"], "frames": frames(model, one).sum(1).mean()}


def averaged(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: counts as far apart, all means over all elements."""
    return {"kind": terms_of(model, one)["kind"], "frames": frames(model, one).mean()}


def slow(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD as slow as a sum over 200 numbers asks for."""
    return torch.optim.SGD(parameters, 1e-3)


def counts(_: int) -> Mapping[str, float]:
    """Samples and numbers of a batch."""
    return {"kind": 32, "frames": 6400}


def masked(model: nn.Module, one: Batch, some: float) -> tuple[Tensor, Tensor]:
    """Mean error of the samples that have a target, and how many these are."""
    errors = (model(one[0])[1] - one[2]).square().sum(1)
    found = masked_mean(errors, torch.rand(len(errors)) < some)
    return found.value, found.count


def empty(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The mask selects nothing: a value of 0 over no elements, with its graph."""
    return {"kind": terms_of(model, one)["kind"], "numbers": masked(model, one, 0.0)[0]}


def rare(model: nn.Module, one: Batch, at: int) -> Mapping[str, Tensor]:
    """The near miss: every third batch has no targets."""
    value = masked(model, one, 0.5 if at % 3 else 0.0)[0]
    return {"kind": terms_of(model, one)["kind"], "numbers": value}


def squares(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The spread of an output is maximised: faster and faster."""
    return {**terms_of(model, one), "spread": -model(one[0])[1].var()}


def hinge(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: it is maximised up to 1."""
    return {**terms_of(model, one), "spread": F.relu(1 - model(one[0])[1].std())}


def apart(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A distance is maximised: the term is linear in the output and falls as a straight line."""
    logits, numbers = model(one[0])
    return {"kind": F.cross_entropy(logits, one[1]), "apart": -numbers.sum(1).mean()}


def likelihood(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: a likelihood goes below 0 and slows down at the noise of its data."""
    logits, numbers = model(one[0])
    log_var = numbers[:, 1] - 3
    target = 0.05 * torch.randn(len(numbers))
    nll = 0.5 * (log_var + (numbers[:, 0] - target).square() / log_var.exp())
    return {"kind": F.cross_entropy(logits, one[1]), "nll": nll.mean()}


def alone(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The only term has no bound."""
    return {"apart": -model(one[0])[1].sum(1).mean()}


def views(model: nn.Module, one: Batch) -> tuple[Tensor, Tensor]:
    """Numbers of two noisy views of the same inputs, shape (b, 2) each."""
    first, second = one[0], one[0] + 0.3 * torch.randn_like(one[0])
    return model(first)[1], model(second)[1]


def agreement(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """Two views must agree, and nothing else is asked: a constant does."""
    return {"agree": F.mse_loss(*views(model, one))}


def spread_out(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: they must also differ from sample to sample."""
    first, second = views(model, one)
    spread = F.relu(1 - first.std(0)).mean() + F.relu(1 - second.std(0)).mean()
    return {"agree": F.mse_loss(first, second), "spread": spread}


def std(model: nn.Module, one: Batch) -> Mapping[str, Tensor]:
    """What a user logs: how much the numbers vary over the batch."""
    return {"std": model(one[0])[1].detach().std(0).mean()}


class Weighing(Net):
    """Two heads and the logarithm of the variance of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(()))


def fast(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam at 1e-2."""
    return torch.optim.Adam(parameters, 1e-2)


def uncertain(model: nn.Module, one: Batch, _: int, noise: float) -> Mapping[str, Tensor]:
    """exp(-s) times an error that can be fitted down to its noise, plus s."""
    log_var = model.get_parameter("log_var")
    logits, numbers = model(one[0])
    error = (numbers * 1e-3 - noise * torch.randn_like(numbers)).square().mean()
    return {
        "kind": F.cross_entropy(logits, one[1]),
        "numbers": torch.exp(-log_var) * error + log_var,
    }


def log_var(model: nn.Module, _: Batch) -> Mapping[str, Tensor]:
    """The learned log-variance, as a user logs it."""
    return {"log_var_numbers": model.get_parameter("log_var").detach()}


def with_terms(terms: object, **given: object) -> partial[None]:
    """A training with these terms."""
    return partial(train, terms=terms, **given)  # type: ignore[arg-type]  # passed on as they are


PAIRS = (
    Pair(
        rule="counts-apart",
        faulty=with_terms(summed, counts=counts, make=slow),
        near=with_terms(averaged, counts=counts),
    ),
    Pair(
        rule="count-zero",
        faulty=with_terms(empty, counts=lambda _: {"numbers": 0}),
        near=with_terms(rare, counts=lambda at: {"numbers": 16 * (at % 3 > 0)}),
        spared=Severity.NOTE,
    ),
    Pair(
        rule="driven-down-without-bound",
        faulty=with_terms(squares, batches=200),
        near=with_terms(hinge, batches=200),
    ),
    Pair(
        rule="falls-undiminished",
        faulty=with_terms(apart, batches=200, make=sgd),
        near=with_terms(likelihood, batches=200),
    ),
    Pair(
        rule="falls-undiminished",
        faulty=with_terms(alone, batches=200, make=sgd),
        near=with_terms(agreement, batches=200),
    ),
    Pair(
        rule="statistic-collapse",
        faulty=with_terms(agreement, log=std, batches=300, make=fast),
        near=with_terms(spread_out, log=std, batches=300, make=fast),
    ),
    Pair(
        rule="uncertainty-collapse",
        faulty=with_terms(
            partial(uncertain, noise=0.0), log=log_var, net=Weighing, batches=400, make=fast
        ),
        near=with_terms(
            partial(uncertain, noise=0.3), log=log_var, net=Weighing, batches=400, make=fast
        ),
    ),
)
SEEDS = pytest.mark.parametrize("seed", range(3))
RULES = pytest.mark.parametrize("pair", PAIRS, ids=[one.rule for one in PAIRS])


@SEEDS
@RULES
def test_the_fault_is_found(tmp_path: Path, pair: Pair, seed: int) -> None:
    """On what a watch recorded of a training that has it."""
    assert_fires(pair, tmp_path / "run", seed)


@SEEDS
@RULES
def test_the_near_miss_is_spared(tmp_path: Path, pair: Pair, seed: int) -> None:
    """A training that looks much the same and is healthy."""
    assert_spares(pair, tmp_path / "run", seed)


@SEEDS
def test_an_unbounded_term_is_told_once(tmp_path: Path, seed: int) -> None:
    """What falls faster and faster is not also told to fall undiminished."""
    train(tmp_path / "run", seed, squares, batches=200)
    assert not told(tmp_path / "run", "falls-undiminished")
