"""Rules on the terms' gradients, each on a faulty training and on a near miss."""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from poise.doctor.finding import Severity
from tests.doctor.live_pair import Pair, adam, assert_fires, assert_spares, sgd, told, train
from tests.doctor.live_runs import Batch, IgnoresWeight, Net, terms_of


def two(model: nn.Module, one: Batch, numbers: Tensor) -> dict[str, Tensor]:
    """The first task as it is, the second as given."""
    return {"kind": terms_of(model, one)["kind"], "numbers": numbers}


def detached(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The error is taken of a copy without a graph."""
    return two(model, one, F.mse_loss(model(one[0])[1].detach(), one[2]))


def stopped(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: only the trunk is cut off, the head still learns."""
    features = model.get_submodule("trunk")(one[0]).detach()
    return two(model, one, F.mse_loss(model.get_submodule("numbers")(features), one[2]))


def clamped(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A clamp where its gradient is exactly 0."""
    return two(model, one, (terms_of(model, one)["numbers"] + 5).clamp(max=2.0))


def margin(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: a margin that is satisfied later, when its value is 0 too."""
    return two(model, one, (terms_of(model, one)["numbers"] - 0.9).clamp(min=0.0))


def vanishing(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A constant with next to nothing on top: 1e-14 of the other gradient, but not 0."""
    return two(model, one, 1 + 1e-14 * terms_of(model, one)["numbers"])


def tiny(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: a millionth, which is small and nothing worse."""
    return two(model, one, 1 + 1e-6 * terms_of(model, one)["numbers"])


def ignores(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A hand-written backward that forgets the weight."""
    return two(model, one, IgnoresWeight.apply(model(one[0])[1] - one[2]))


class Reversal(torch.autograd.Function):
    """Gradient reversal: the sign is turned, the factor kept."""

    @staticmethod
    def forward(_: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:  # type: ignore[override]  # torch types it with *args
        """The input as it is."""
        return x.view_as(x)

    @staticmethod
    def backward(_: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:  # type: ignore[override]  # torch types it with Any
        """Minus the gradient."""
        return -grad


def reversed_(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: a hand-written backward that follows its weight."""
    features = Reversal.apply(model.get_submodule("trunk")(one[0]))
    return two(model, one, F.mse_loss(model.get_submodule("numbers")(features), one[2]))


def distances(model: nn.Module, one: Batch, at: int, floor: float) -> Mapping[str, Tensor]:
    """From batch 8 on a prediction meets its target exactly: the root of 0 has no derivative."""
    numbers = model(one[0])[1]
    target = torch.where(torch.tensor(at >= 8), numbers.detach(), one[2])
    return two(model, one, ((numbers - target).square().sum(1) + floor).sqrt().mean())


def saturated(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """A sigmoid far on the wrong side, with a squared error behind it."""
    return two(model, one, torch.sigmoid(model(one[0])[1] + 12).square().mean())


def with_logits(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """The near miss: as wrong, but the form that takes logits."""
    logits = model(one[0])[1] + 12
    return two(model, one, F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)))


def opposed(model: nn.Module, one: Batch, _: int) -> Mapping[str, Tensor]:
    """One output, two opposite targets."""
    numbers, far = model(one[0])[1], 3 * torch.sign(one[2])
    return {"up": F.mse_loss(numbers, far), "down": F.mse_loss(numbers, -far)}


def late(_: nn.Module, at: int) -> Mapping[str, float]:
    """The second task begins at batch 60 at a hundred times the first."""
    return {"kind": 1.0, "numbers": 100.0 * (at >= 60)}


def ramped(_: nn.Module, at: int) -> Mapping[str, float]:
    """The near miss: the same start and a gentle ramp to the same weight as the first."""
    return {"kind": 1.0, "numbers": min(1.0, max(0.0, (at - 60) / 50))}


def with_terms(terms: object, **given: object) -> partial[None]:
    """A training with these terms."""
    return partial(train, terms=terms, **given)  # type: ignore[arg-type]  # passed on as they are


PAIRS = (
    Pair(
        rule="term-reaches-nothing",
        faulty=with_terms(detached),
        near=with_terms(stopped),
        severity=Severity.ERROR,
    ),
    Pair(
        rule="term-gradient-zero",
        faulty=with_terms(clamped),
        near=with_terms(margin),
        severity=Severity.ERROR,
    ),
    Pair(
        rule="term-gradient-zero",
        faulty=with_terms(vanishing),
        near=with_terms(tiny),
        severity=Severity.ERROR,
    ),
    Pair(
        rule="weight-ignored",
        faulty=with_terms(ignores),
        near=with_terms(reversed_),
        severity=Severity.ERROR,
    ),
    Pair(
        rule="term-gradient-nonfinite",
        faulty=with_terms(partial(distances, floor=0.0), batches=20, every=1),
        near=with_terms(partial(distances, floor=1e-8), batches=20, every=1),
        severity=Severity.ERROR,
    ),
    Pair(rule="gradient-vanishes", faulty=with_terms(saturated), near=with_terms(with_logits)),
    Pair(
        rule="gradient-conflict",
        faulty=with_terms(opposed, every=2),
        near=partial(train, make=sgd, every=2),
    ),
    Pair(
        rule="gradient-jump",
        faulty=partial(train, weights=late),
        near=partial(train, weights=ramped),
    ),
)
SEEDS = pytest.mark.parametrize("seed", range(3))
RULES = pytest.mark.parametrize("pair", PAIRS, ids=[one.rule for one in PAIRS])


@SEEDS
@RULES
def test_the_fault_is_found(tmp_path: Path, pair: Pair, seed: int) -> None:
    """On what a watch recorded of a training that has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gradients that are not finite
        assert_fires(pair, tmp_path / "run", seed)


@SEEDS
@RULES
def test_the_near_miss_is_spared(tmp_path: Path, pair: Pair, seed: int) -> None:
    """A training that looks much the same and is healthy."""
    assert_spares(pair, tmp_path / "run", seed)


@SEEDS
def test_the_first_bad_gradient_comes_before_the_value(tmp_path: Path, seed: int) -> None:
    """The finding names the step, the operation, and the finite value of that step."""
    train(tmp_path / "run", seed, partial(distances, floor=0.0), batches=20, every=1)
    (one,) = told(tmp_path / "run", "term-gradient-nonfinite")
    assert one.steps[0] == 8
    assert "SqrtBackward" in one.summary or "first in" in one.summary
    assert "while its value is 0" in one.summary
    assert not one.caused_by


@SEEDS
def test_opposed_terms_state_their_interval(tmp_path: Path, seed: int) -> None:
    """How many probes the claim rests on, and how sure it is."""
    train(tmp_path / "run", seed, opposed, every=2)
    (one,) = told(tmp_path / "run", "gradient-conflict")
    assert "95% interval" in one.evidence[0].text
    assert "n=" in one.evidence[0].text
    assert one.evidence[0].value < -0.3


class Hidden(Net):
    """The trunk runs inside a checkpoint, reentrant or not."""

    def __init__(self, *, reentrant: bool, everything: bool = False) -> None:
        super().__init__()
        self.reentrant, self.everything = reentrant, everything

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As `Net`; the input needs a gradient, or a reentrant checkpoint has none."""
        inputs = inputs.requires_grad_()
        inside = super().forward if self.everything else self.trunk
        found = checkpoint(inside, inputs, use_reentrant=self.reentrant)
        return found if self.everything else (self.kind(found), self.numbers(found))


@SEEDS
@pytest.mark.parametrize("everything", [False, True], ids=["trunk", "model"])
def test_checkpointed_parameters_are_not_called_untrained(
    tmp_path: Path, seed: int, *, everything: bool
) -> None:
    """A reentrant checkpoint hides parameters from the graph: nothing is claimed of them."""
    net = partial(Hidden, reentrant=True, everything=everything)
    train(tmp_path / "run", seed, net=net, make=adam, batches=60)
    for rule in ("parameters-untrained", "term-reaches-nothing", "term-gradient-zero"):
        assert not told(tmp_path / "run", rule)


@SEEDS
def test_forgotten_parameters_are_told_without_a_reentrant_checkpoint(
    tmp_path: Path, seed: int
) -> None:
    """The other side: a checkpoint that keeps the graph, and a head that no term uses."""
    net = partial(Hidden, reentrant=False)
    train(tmp_path / "run", seed, lambda m, b, _: {"kind": terms_of(m, b)["kind"]}, net=net)
    (one,) = told(tmp_path / "run", "parameters-untrained")
    assert one.terms == ("numbers",)
