"""Rules on steps, scales and weights, each on a faulty training and on a near miss."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from poise.doctor.finding import Severity
from tests.doctor.live_pair import Pair, adam, assert_fires, assert_spares, sgd, told, train
from tests.doctor.live_runs import (
    Batch,
    Net,
    accumulated,
    balanced,
    fast_schedule,
    never_steps,
    terms_of,
    warm_up,
    zero_rate,
)


def clip(model: nn.Module, _: int, norm: float) -> None:
    """Gradient clipping by the norm of all parameters."""
    nn.utils.clip_grad_norm_(model.parameters(), norm)


def scale(model: nn.Module, _: int) -> None:
    """A tenth of every gradient."""
    for one in model.parameters():
        if one.grad is not None:
            one.grad.mul_(0.1)


class Apart(nn.Module):
    """Two nets that share nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Net(), Net()


def separate(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """Each term has parameters of its own."""
    first = terms_of(model.get_submodule("first"), one)["kind"]
    return {"kind": first, "numbers": terms_of(model.get_submodule("second"), one)["numbers"]}


def tenth(_: nn.Module, __: int) -> Mapping[str, float]:
    """A weight that only the second net could feel."""
    return {"kind": 1.0, "numbers": 0.1}


class Weighing(Net):
    """Learned weights of the two terms, as log-variances."""

    def __init__(self) -> None:
        super().__init__()
        self.log_vars = nn.Parameter(torch.zeros(2))


def learned(model: nn.Module, _: int) -> Mapping[str, Tensor]:
    """exp(-s) for each term."""
    kind, numbers = torch.exp(-model.get_parameter("log_vars"))
    return {"kind": kind, "numbers": numbers}


def without_weights(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Leaves the log-variances out: they are the model's own parameter and come first."""
    return torch.optim.AdamW([*parameters][1:], 3e-3)


def half_still(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Updates of the second layer of the trunk are below the resolution of its weights."""
    found = [*parameters]
    groups = [{"params": found[:2] + found[4:]}, {"params": found[2:4], "lr": 1e-12}]
    return torch.optim.SGD(groups, 0.05)


def half_slow(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The near miss: the same layer at a hundredth of the rate."""
    found = [*parameters]
    groups = [{"params": found[:2] + found[4:]}, {"params": found[2:4], "lr": 5e-4}]
    return torch.optim.SGD(groups, 0.05)


def without_head(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The last head was made after the optimizer."""
    return torch.optim.AdamW([*parameters][:-2], 3e-3)


def averaging(decay: float) -> partial[None]:
    """A training that logs the decay of its averaged weights and evaluates these."""
    return partial(train, log=lambda *_: {"ema_decay": decay}, evaluate=True)


PAIRS = (
    Pair(
        rule="clipping-always",
        faulty=partial(train, make=sgd, before_step=partial(clip, norm=0.05)),
        near=partial(train, make=sgd, before_step=partial(clip, norm=1.5)),
    ),
    Pair(
        rule="clipping-always",
        faulty=partial(train, make=sgd, before_step=partial(clip, norm=0.05)),
        near=partial(train, make=adam, before_step=partial(clip, norm=0.05)),
        spared=Severity.NOTE,
    ),
    Pair(
        rule="scale-undone",
        faulty=partial(train, before_step=scale),
        near=partial(train, make=sgd, before_step=scale),
        severity=Severity.NOTE,
    ),
    Pair(
        rule="scale-undone",
        faulty=partial(train, terms=separate, net=Apart, weights=tenth),
        near=partial(train, weights=tenth),
        severity=Severity.NOTE,
    ),
    Pair(
        rule="weight-constant",
        faulty=partial(train, net=Weighing, make=without_weights, weights=learned),
        near=partial(train, net=Weighing, weights=learned),
    ),
    Pair(
        rule="weight-constant",
        faulty=partial(
            train,
            net=Weighing,
            weights=lambda m, _: {k: v.detach() for k, v in learned(m, 0).items()},
        ),
        near=partial(train, weights=tenth),
    ),
    Pair(
        rule="parameters-still",
        faulty=partial(train, make=half_still),
        near=partial(train, make=half_slow),
    ),
    Pair(rule="parameters-still", faulty=zero_rate, near=warm_up, severity=Severity.ERROR),
    Pair(rule="optimizer-never-steps", faulty=never_steps, near=accumulated),
    Pair(
        rule="parameters-untrained",
        faulty=partial(train, make=without_head),
        near=partial(train, net=Weighing, weights=learned),
        severity=Severity.NOTE,
    ),
    Pair(rule="average-cannot-move", faulty=averaging(0.9999), near=averaging(0.95)),
    Pair(rule="scheduler-per-micro-batch", faulty=fast_schedule, near=accumulated),
    Pair(rule="lr-zero", faulty=zero_rate, near=balanced, severity=Severity.ERROR),
)
# torch's remark when a watch reads a learned weight for the header.
pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")
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
def test_the_term_that_sets_the_clip_is_named(tmp_path: Path, seed: int) -> None:
    """A term with 30 times the weight owns the gradient, so its size clips all others."""
    train(
        tmp_path / "run",
        seed,
        make=sgd,
        weights=lambda *_: {"kind": 1.0, "numbers": 30.0},
        before_step=partial(clip, norm=0.1),
    )
    (one,) = told(tmp_path / "run", "clipping-always")
    assert one.terms == ("numbers",)
