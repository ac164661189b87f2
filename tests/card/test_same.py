"""poise.same: equal formulas are never told apart, and unequal ones never taken for equal."""

import math
import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from poise.card.same import same
from poise.errors import InspectError
from tests.losses_of_notes import Example, Loss, normal

PAIR = (normal(6, 5), normal(6, 5, seed=1))
LABELS = (normal(6, 5), torch.tensor([0, 3, 4, 1, 1, 2]))
BITS = (normal(6, 5), (normal(6, 5, seed=1) > 0).float())
SOFT = (normal(6, 5), normal(6, 5, seed=1).softmax(-1))
MASKED = (*PAIR, normal(6, 5, seed=2) > 0)
ROWS = (F.normalize(normal(6, 5), dim=-1), F.normalize(normal(6, 5, seed=1), dim=-1))

EQUAL: list[tuple[Loss, Loss, Example]] = [
    (F.mse_loss, lambda x, y: ((x - y) ** 2).mean(), PAIR),
    (F.mse_loss, lambda x, y: ((y - x) ** 2).mean(0).mean(), PAIR),
    (F.l1_loss, lambda x, y: (x - y).abs().sum() / x.numel(), PAIR),
    (F.smooth_l1_loss, F.huber_loss, PAIR),
    (
        lambda x, y: F.smooth_l1_loss(x, y, beta=0.5),
        lambda x, y: F.huber_loss(x, y, delta=0.5) / 0.5,
        PAIR,
    ),
    (F.cross_entropy, lambda x, y: F.nll_loss(x.log_softmax(-1), y), LABELS),
    (F.cross_entropy, lambda x, y: (x.logsumexp(-1) - x[range(len(y)), y]).mean(), LABELS),
    (
        F.binary_cross_entropy_with_logits,
        lambda x, y: (torch.logaddexp(x, 0 * x) - x * y).mean(),
        BITS,
    ),
    (F.cross_entropy, lambda x, p: -(p * x.log_softmax(-1)).sum(-1).mean(), SOFT),
    (
        lambda x, y, m: F.mse_loss(x[m], y[m], reduction="sum"),
        lambda x, y, m: (F.mse_loss(x, y, reduction="none") * m).sum(),
        MASKED,
    ),
    (F.logsigmoid, lambda x: -torch.logaddexp(-x, 0 * x), (normal(7),)),
]
"""Pairs of formulas for one function; none has an edge that the other lacks."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("row", range(len(EQUAL)))
def test_equal_formulas_are_identical(row: int, dtype: torch.dtype) -> None:
    """Rounding never makes two formulas of one function differ."""
    one, two, example = EQUAL[row]
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in example)
    found = same(one, two, inputs)
    assert found.verdict == "identical", str(found)
    assert found.factor == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_saturated_softmax_in_float64_is_still_the_same(seed: int) -> None:
    """Vanishing gradients and values are rounding: there nothing finer could measure it."""
    source = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, generator=source, dtype=torch.float64)
    labels = torch.randint(3, (2,), generator=source)

    def shifted(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = z - z.max(1, keepdim=True).values
        return (z.exp().sum(1).log() - z.gather(1, y[:, None])[:, 0]).mean()

    def plain(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (z.logsumexp(1) - z.gather(1, y[:, None])[:, 0]).mean()

    for other in (shifted, plain):
        found = same(F.cross_entropy, other, (logits, labels), seed=seed)
        assert found.verdict == "identical", str(found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype: torch.dtype) -> None:
    """A fused loss and its formula round differently in half precision, and are still the same."""
    inputs = tuple(x.to(dtype) for x in PAIR)
    found = same(F.l1_loss, lambda x, y: (x - y).abs().mean(), inputs)
    assert found.verdict == "identical", str(found)


@given(
    factor=st.floats(1e-6, 1e6).filter(lambda x: abs(x - 1) > 1e-3),
    offset=st.sampled_from([0.0, 0.5, -3.0]),
    row=st.sampled_from([0, 2, 3, 5, 7, 8]),
)
@settings(max_examples=15, deadline=None)
def test_factor_and_offset_are_recovered(factor: float, offset: float, row: int) -> None:
    """B = factor x A + offset comes back with its numbers."""
    one, _, example = EQUAL[row]
    inputs = tuple(x.double() if x.is_floating_point() else x for x in example)
    found = same(one, lambda *x: factor * one(*x) + offset, inputs)
    assert found.verdict == "scaled"
    assert found.factor == pytest.approx(factor, rel=1e-9)
    assert found.offset == pytest.approx(offset, rel=1e-6, abs=1e-6 * max(1.0, factor))


def test_offset() -> None:
    """A constant on top changes no gradient."""
    found = same(F.mse_loss, lambda x, y: F.mse_loss(x, y) + 2.5, PAIR)
    assert (found.verdict, found.factor) == ("offset", 1.0)
    assert found.offset == pytest.approx(2.5)


def test_same_direction() -> None:
    """A monotone function of a loss keeps the direction, and the span of factors is given."""
    found = same(F.mse_loss, lambda x, y: torch.log1p(F.mse_loss(x, y)), PAIR)
    assert (found.verdict, found.factor) == ("same direction", None)
    assert 0 < found.span[0] < 1e-3 < 0.5 < found.span[1] <= 1.001


UNEQUAL: list[tuple[str, Loss, Loss, Example]] = [
    ("angle", F.mse_loss, F.l1_loss, PAIR),
    ("1% of one term", F.mse_loss, lambda x, y: F.mse_loss(x, y) + 0.01 * F.l1_loss(x, y), PAIR),
    ("clamp", F.mse_loss, lambda x, y: F.mse_loss(x, y).clamp(max=1e3), PAIR),
    ("delta", F.huber_loss, lambda x, y: F.huber_loss(x, y, delta=1.01), PAIR),
    (
        "epsilon",
        lambda x, y: (x - y).norm() / y.norm(),
        lambda x, y: (x - y).norm() / (y.norm() + 1e-6),
        PAIR,
    ),
    (
        "smoothing",
        F.cross_entropy,
        lambda x, y: F.cross_entropy(x, y, label_smoothing=0.01),
        LABELS,
    ),
    ("detached", F.mse_loss, lambda x, y: F.mse_loss(x, y.detach()), PAIR),
    (
        "broadcast",
        lambda x, y: (x - y).abs().mean(),
        lambda x, y: (x - y[:, None]).abs().mean(),
        (normal(5), normal(5, seed=1)),
    ),
    ("opposed", F.mse_loss, lambda x, y: -F.mse_loss(x, y), PAIR),
    (
        "mask ignored",
        lambda x, y, m: ((x - y).square() * m).sum(),
        lambda x, y, m: ((x - y).square() + 0 * m).sum(),
        MASKED,
    ),
    (
        "all masked",
        lambda x, y, m: ((x - y).square() * m).sum() / m.sum(),
        lambda x, y, m: ((x - y).square() * m).sum() / m.sum().clamp(min=1),
        MASKED,
    ),
    ("overflow", F.cross_entropy, lambda x, y: F.nll_loss(x.softmax(-1).log(), y), LABELS),
    ("perfect prediction", F.mse_loss, lambda x, y: (x - y).square().mean().sqrt().square(), PAIR),
    ("shape", F.mse_loss, lambda x, y: F.mse_loss(x, y, reduction="none"), PAIR),
    ("batch", F.mse_loss, lambda x, y: F.mse_loss(x.view(6, 5), y), PAIR),
    (
        "small range",
        F.mse_loss,
        lambda x, y: F.huber_loss(x, y) * 2,
        (torch.rand(5), torch.rand(5)),
    ),
]


@pytest.mark.parametrize("row", UNEQUAL, ids=lambda row: row[0])
def test_unequal_losses_are_different_and_the_input_shows_it(
    row: tuple[str, Loss, Loss, Example],
) -> None:
    """The input that comes with the verdict reproduces the difference in plain torch."""
    _, one, two, example = row
    found = same(one, two, example)
    assert found.verdict == "different", str(found)
    assert found.difference is not None
    assert found.factor is None
    outcomes = [outcome(loss, found.difference.inputs) for loss in (one, two)]
    assert outcomes[0] != outcomes[1], str(found)
    assert all(len(line) <= 80 for line in str(found).splitlines())


def outcome(loss: Loss, inputs: tuple[object, ...]) -> object:
    """Value and gradients of a loss as text, or its exception."""
    leaves = [
        x.detach().clone().requires_grad_()
        if isinstance(x, Tensor) and x.is_floating_point()
        else x
        for x in inputs
    ]
    try:
        result = loss(*leaves)
        if not isinstance(result, Tensor):
            raise TypeError
        wrt = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
        found = torch.autograd.grad(result.sum(), wrt, allow_unused=True)
    except RuntimeError as error:
        return str(error)
    return str((result, [None if g is None else g.abs().max() for g in found], found))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_no_seed_makes_equal_formulas_differ(seed: int) -> None:
    """Whatever the numbers drawn, the verdict stays."""
    one, two, example = EQUAL[seed % 10]
    assert same(one, two, example, seed=seed).verdict == "identical"


def test_one_seed_gives_random_losses_the_same_numbers() -> None:
    """Dropout is compared with itself under one seed, and the answer says so."""

    def noisy(x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(F.dropout(x), y) * (1 + random.random())

    found = same(noisy, noisy, PAIR)
    assert found.verdict == "identical"
    assert len(found.remarks) == 2
    assert "draws random numbers" in found.remarks[0]


def test_a_loss_with_a_memory_is_refused() -> None:
    """A running mean gives another answer at each call; no comparison can be fair."""
    seen: list[float] = []

    def running(x: Tensor, y: Tensor) -> Tensor:
        loss = F.mse_loss(x, y)
        seen.append(loss.item() + len(seen))
        return loss / (sum(seen) / len(seen))

    with pytest.raises(InspectError, match=r"loss B gives .* keeps a state"):
        same(F.mse_loss, running, PAIR)


def test_what_the_user_has_stays_as_it_was() -> None:
    """Random state, buffers, modes, gradients and the example itself are untouched."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(5)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return F.mse_loss(self.norm(x), y.detach().mul_(2.0))

    torch.manual_seed(3)
    module, before = Normed(), torch.get_rng_state()
    example = (PAIR[0].clone(), PAIR[1].clone())
    same(module, F.mse_loss, example)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(example[0], PAIR[0])
    assert torch.equal(example[1], PAIR[1])
    assert not example[0].requires_grad
    assert module.norm.num_batches_tracked == 0


def test_keywords_and_a_single_tensor() -> None:
    """An example may name the arguments, or be the only one."""
    found = same(F.mse_loss, F.mse_loss, {"target": PAIR[0], "input": PAIR[1]})
    assert found.verdict == "identical"
    assert found.wrt == ("target", "input")
    assert same(torch.mean, lambda x: x.sum() / x.numel(), PAIR[0]).verdict == "identical"


def test_gradients_that_count_can_be_chosen() -> None:
    """By name, by position, or by requires_grad in the example."""

    def cut(input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target.detach())

    assert same(cut, F.mse_loss, PAIR).verdict == "different"
    assert same(cut, F.mse_loss, PAIR, wrt=["input"]).verdict == "identical"
    assert same(cut, F.mse_loss, PAIR, wrt=[0]).verdict == "identical"
    chosen = (PAIR[0].clone().requires_grad_(), PAIR[1])
    assert same(cut, F.mse_loss, chosen).verdict == "identical"


def test_a_difference_beyond_the_range_of_the_target_is_a_note() -> None:
    """Positive masses may be meant: the verdict holds for them, and the note says where it ends."""
    mass = torch.rand(6) + 1

    def relative(x: Tensor, m: Tensor) -> Tensor:
        return (x / m).mean()

    def absolute(x: Tensor, m: Tensor) -> Tensor:
        return (x / m.abs()).mean()

    found = same(relative, absolute, (normal(6), mass))
    assert found.verdict == "identical"
    assert "outside the range" in found.remarks[0]


BAD: list[tuple[Callable[..., object], object, str]] = [
    (lambda x, y: float((x + y).sum()), PAIR, "returns float; expected one real floating tensor"),
    (lambda x, y: (x - y).argmax(), PAIR, r"returns a torch.int64 tensor"),
    (lambda x: x, PAIR, "neither loss takes the example: A raises TypeError"),
    (F.mse_loss, (torch.tensor([1]), torch.tensor([2])), "no input of the example is a floating"),
]


@pytest.mark.parametrize(("loss", "example", "message"), BAD)
def test_misuse(loss: Callable[..., object], example: Example, message: str) -> None:
    """A loss or an example that cannot be compared gets a line that says what was expected."""
    with pytest.raises(InspectError, match=message):
        same(loss, loss, example)


def test_wrt_names_what_there_is() -> None:
    """A misspelt input gets the names of the floating ones."""
    with pytest.raises(InspectError, match="of the example: input, target"):
        same(F.mse_loss, F.mse_loss, PAIR, wrt=["prediction"])


def test_length_and_batch_vary() -> None:
    """Factors of other lengths and batch sizes are measured, not assumed."""

    def summed(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).square().sum(1).mean()

    found = same(F.mse_loss, summed, PAIR)
    assert found.factor == 5.0
    assert {shape[1]: round(factor, 4) for shape, factor in found.factors} == {
        5: 5.0,
        1: 1.0,
        2: 2.0,
        10: 10.0,
    }


def test_text() -> None:
    """The printed answer, word for word."""
    found = same(F.mse_loss, lambda x, y: math.pi * F.mse_loss(x, y), PAIR)
    assert repr(found).splitlines() == [
        "scaled: B = 3.14159 x A",
        "  compared    values and gradients at 95 inputs",
        "  inputs      input real; target real; scales 1e-04 to 1e+04, 8 shapes",
        "  gradients   to input, target",
    ]
