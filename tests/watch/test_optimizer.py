"""What becomes of gradients: counted, used, skipped or discarded."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import poise
from poise.run import Kind
from poise.watch import Watch
from poise.watch.optimizer import GradientNorm, Steps, steps_in_state
from tests.watch.loops import WEIGHTS, batches, lines, made

X = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


def pair() -> tuple[nn.ModuleDict, torch.optim.Optimizer, torch.optim.Optimizer]:
    """Two layers with an optimizer each."""
    torch.manual_seed(0)
    net = nn.ModuleDict({"g": nn.Linear(4, 4), "d": nn.Linear(4, 1)})
    one, two = (torch.optim.SGD(net[name].parameters(), 0.01) for name in ("d", "g"))
    return net, one, two


def size(parameters: Iterable[Tensor]) -> float:
    """Norm of the gradients that are there."""
    grads = [one.grad for one in parameters if one.grad is not None]
    return sum(one.double().square().sum().item() for one in grads) ** 0.5


def fates(run: Path) -> list[str]:
    """What the record says of each micro-batch."""
    return ["".join({"skipped", "discarded"} & one.keys()) for one in lines(run)]


# Counting.


def test_one_optimizer_after_the_other(tmp_path: Path) -> None:
    """A second optimizer that takes over goes on counting where the first one stopped."""
    net, _ = made()
    several = [torch.optim.Adam(net.parameters(), 0.01), torch.optim.SGD(net.parameters(), 0.01)]
    with Watch(tmp_path, optimizer=several) as watch:
        for optimizer in several:
            for x in batches(5):
                watch.total(net(x), WEIGHTS).backward()
                optimizer.step()
                optimizer.zero_grad()
    assert watch.steps == 10
    assert [one["step"] for one in lines(tmp_path)] == list(range(10))
    assert fates(tmp_path) == [""] * 10


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([(1, 0), (0, 1), (1, 0), (0, 1)], 4),  # a micro-batch each
        ([(1, 1), (1, 1)], 2),  # both in one
        ([(3, 1), (0, 0), (0, 2)], 5),  # one of them more often
        ([], 0),
    ],
)
def test_steps_of_several_optimizers(turns: list[tuple[int, int]], expected: int) -> None:
    """In each micro-batch those of the one that took most count."""
    net, *several = pair()
    steps = Steps(several, before=lambda _: None, after=lambda: None)
    steps.start_at(100)
    for turn in turns:
        steps.begin()
        for optimizer, times in zip(several, turn, strict=True):
            for _ in range(times):
                optimizer.step()
    assert steps.done == 100 + expected
    steps.close()
    several[0].step()
    assert steps.done == 100 + expected
    assert not any(one._post_accumulate_grad_hooks for one in net.parameters())


def test_steps_that_a_state_tells_of() -> None:
    """A parameter without a gradient steps less often; several optimizers may take turns."""
    net, *_ = pair()
    optimizer = torch.optim.Adam(net.parameters())
    for name in ("d", "g", "g"):
        optimizer.zero_grad()
        net[name](X).sum().backward()
        optimizer.step()
    assert steps_in_state([optimizer]) == 2
    assert steps_in_state([optimizer, torch.optim.Adam(net.parameters())]) is None


# What becomes of gradients that no step used.


def test_closures_are_no_skipped_steps(tmp_path: Path) -> None:
    """What an optimizer does with its gradients while it steps is its own affair."""
    net, _ = made()
    optimizer = torch.optim.LBFGS(net.trunk.parameters(), lr=0.1, max_iter=4)
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        for x in batches(4):

            def closure(x: Tensor = x) -> Tensor:
                optimizer.zero_grad()
                total = watch.total(net(x), WEIGHTS)
                total.backward()
                return total

            optimizer.step(closure)
    assert watch.steps == 4
    assert watch.failures == 0
    assert len(lines(tmp_path)) > 8
    assert set(fates(tmp_path)) == {""}
    assert not any("grad_norm" in one for one in lines(tmp_path))


def test_discarded_gradients(tmp_path: Path) -> None:
    """Where a loop throws gradients away the record says so, and not that precision was mixed."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(4)):
            terms = net(x)
            terms["a"] = terms["a"] * (float("nan") if index == 2 else 1.0)
            watch.total(terms, WEIGHTS).backward()
            if index in (1, 3):
                optimizer.step()
            optimizer.zero_grad()
    assert fates(tmp_path) == ["discarded", "", "discarded", ""]
    series = poise.read_run(tmp_path).train.series
    assert series["discarded"].values.tolist() == [1.0, 1.0]
    assert series["discarded"].kind is Kind.POSITION
    assert "skipped" not in series


@pytest.mark.parametrize("start", [0, 1, 5])
def test_skipped_and_discarded_under_a_loss_scale(tmp_path: Path, start: int) -> None:
    """A finite gradient that is thrown away was not skipped by mixed precision."""
    net, optimizer = made()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(8)):
            terms = net(x)
            if index == start:
                terms["a"] = terms["a"] * float("inf")
            scaler.scale(watch.total(terms, WEIGHTS)).backward()
            if index != start + 2:
                scaler.step(optimizer)
                scaler.update()
            optimizer.zero_grad()
    expected = [""] * 8
    expected[start], expected[start + 2] = "skipped", "discarded"
    assert fates(tmp_path) == expected


def test_an_overflow_behind_the_head(tmp_path: Path) -> None:
    """It is seen although the parameters that the backward pass reaches first stay finite."""
    net, *_ = pair()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for index in range(4):
            z = net["g"](X)
            z.register_hook(lambda g, k=index: g * float("inf") if k == 3 else g)
            (watch.total({"a": net["d"](z).mean()}) * 1024.0).backward()
            if index != 3:
                optimizer.step()
            optimizer.zero_grad()
    assert fates(tmp_path) == ["", "", "", "skipped"]


def test_large_and_sparse_gradients_are_looked_at(tmp_path: Path) -> None:
    """Where no parameter is small a part of one is looked at; sparse gradients have elements."""
    table = nn.Embedding(3000, 2, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), 0.01)
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for index in range(2):
            total = watch.total({"a": table(torch.tensor([5])).sum()})
            (total * (float("inf") if index else 8.0)).backward()
            if not index:
                optimizer.step()
            optimizer.zero_grad()
    assert watch.failures == 0
    assert fates(tmp_path) == ["", "skipped"]


def test_a_leaf_keeps_no_hook(tmp_path: Path) -> None:
    """A total that is a parameter itself is left without hooks."""
    value = torch.ones((), requires_grad=True)
    optimizer = torch.optim.SGD([value], 0.01)
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for _ in range(3):
            watch.total({"a": value}).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not value._backward_hooks


# Norms.


def test_norms_of_two_optimizers(tmp_path: Path) -> None:
    """Each step has the norm of its own parameters; what the other one left lying is not in it."""
    net, first, second = pair()
    expected = []
    with Watch(tmp_path, model=net, optimizer=[first, second], every=3) as watch:
        for _ in range(12):
            first.zero_grad()
            fake = net["g"](X).detach()
            watch.total({"d": net["d"](fake).square().mean() * 1e-3}).backward()
            expected.append(size(net["d"].parameters()))
            first.step()
            second.zero_grad()
            watch.total({"g": net["d"](net["g"](X) - 5).square().mean()}).backward()
            expected.append(size(net["g"].parameters()))
            second.step()
    found = [one for one in lines(tmp_path) if "grad_norm_used" in one]
    assert {one["micro"] % 2 for one in found} == {0, 1}
    for one in found:
        assert one["grad_norm"] == pytest.approx(expected[one["micro"]], rel=1e-5)
        assert one["grad_norm_used"] == pytest.approx(expected[one["micro"]], rel=1e-5)


@pytest.mark.parametrize(
    ("scale", "divisor", "accumulate", "told"),
    [
        (1.0, 1, 1, True),
        (1.0, 4, 4, True),
        (1.0, 3, 3, True),
        (1.0, 1, 4, True),
        (8.0, 16, 1, False),  # a small loss scale behind a division
        (8.0, 1, 1, False),
        (1024.0, 4, 4, False),
        (1.0, 16, 1, False),
    ],
)
def test_norms_are_comparable_or_one_is_missing(
    tmp_path: Path, scale: float, divisor: int, accumulate: int, told: bool
) -> None:
    """Without clipping both norms are the same, or only what the optimizer gets is told."""
    net, optimizer = made()
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=scale > 1, growth_interval=999)
    expected = {}
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(12)):
            scaler.scale(watch.total(net(x), WEIGHTS) / divisor).backward()
            if (index + 1) % accumulate == 0:
                scaler.unscale_(optimizer)
                expected[index] = size(net.parameters())
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
    found = [one for one in lines(tmp_path) if "grad_norm_used" in one]
    assert len(found) >= 2
    for one in found:
        assert one["grad_norm_used"] == pytest.approx(expected[one["micro"]], rel=1e-5)
        assert ("grad_norm" in one) == told
        assert one.get("grad_norm", one["grad_norm_used"]) == pytest.approx(one["grad_norm_used"])


def test_gradients_from_before(tmp_path: Path) -> None:
    """Where the optimizer gets gradients that were not seen, only the norm of all is told."""
    net, *_ = pair()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    expected = 0.0
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for name in ("g", "d"):
            watch.total({"a": net[name](X).square().mean()}).backward()
        expected = size(net.parameters())
        optimizer.step()
    record = lines(tmp_path)[1]
    assert record["grad_norm_used"] == pytest.approx(expected, rel=1e-5)
    assert "grad_norm" not in record


def test_a_total_that_is_not_descended(tmp_path: Path) -> None:
    """Who sums up by himself may scale too, so only the norm that the optimizer gets is told."""
    net, optimizer = made()
    with Watch(tmp_path, optimizer=optimizer) as watch:
        for x in batches(3):
            terms = net(x)
            watch.total(terms, WEIGHTS)
            (100 * terms["a"]).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert any("grad_norm_used" in one for one in lines(tmp_path))
    assert not any("grad_norm" in one for one in lines(tmp_path))


def test_norms_under_several_ranks(tmp_path: Path) -> None:
    """The norm of one rank's own gradient is not that of the training."""
    net, optimizer = made()
    with Watch(tmp_path, optimizer=optimizer) as watch:
        watch._ranks.size = 2
        for x in batches(3):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert any("grad_norm_used" in one for one in lines(tmp_path))
    assert not any("grad_norm" in one for one in lines(tmp_path))


@pytest.mark.parametrize("act", [lambda _: None, lambda one: one.mul_(3.0)])
def test_norm_of_a_sparse_gradient(act: Callable[[Tensor], Any]) -> None:
    """Duplicate rows are added up first."""
    table = nn.Embedding(5, 1, sparse=True)
    total = table(torch.tensor([1, 1, 2])).sum()
    norm = GradientNorm(table.parameters(), total)
    total.backward()
    assert table.weight.grad is not None
    act(table.weight.grad)
    before, after = norm.result(table.parameters())
    assert before is not None
    assert after is not None
    assert before.item() == pytest.approx(5**0.5)
    assert after.item() == pytest.approx(table.weight.grad.to_dense().norm().item())
