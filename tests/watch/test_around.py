"""The step response of a watched training."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import poise
from poise.errors import PoiseWarning, WatchError
from poise.run import Kind
from poise.watch import Watch
from tests.watch.loops import WEIGHTS, Net, batches, lines, made


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


def responses(run: Path) -> dict[int, dict[str, float]]:
    """Step responses by micro-batch."""
    found = [one for one in lines(run, "probe") if "response" in one]
    return {one["micro"]: one["response"] for one in found}


def test_the_response_is_that_of_the_step(tmp_path: Path) -> None:
    """It is the difference of two forward passes by hand, and a column by term."""
    net, optimizer = made()
    net.trunk[3] = nn.Identity()  # no dropout
    by_hand = {}
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for index, x in enumerate(batches(10)):
            terms = net(x)
            watch.total(terms, WEIGHTS, again=partial(net, x)).backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                after = Net.forward(net, x)
            by_hand[index] = {name: (after[name] - one).item() for name, one in terms.items()}
    found = responses(tmp_path)
    assert list(found) == [1, 2, 4, 7]
    for index, one in found.items():
        assert one == pytest.approx(by_hand[index], rel=1e-4, abs=1e-6)
    table = next(one for one in poise.read_run(tmp_path).tables if one.grain == "probe")
    assert table.series["response/a"].kind is Kind.RESPONSE
    assert watch.failures == 0


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_training_is_the_same_bit_for_bit(
    tmp_path: Path, kind: type[torch.optim.Optimizer], dropout: bool
) -> None:
    """Parameters, buffers, modes, gradients and random numbers are those of a training without."""
    ends = []
    for asked in (False, True):
        torch.manual_seed(3)
        net = Net()
        if not dropout:
            net.trunk[3] = nn.Identity()
        optimizer = kind(net.parameters(), lr=0.05)
        gradients = []

        def again(
            x: Tensor, net: Net = net, optimizer: torch.optim.Optimizer = optimizer
        ) -> dict[str, Any]:
            optimizer.zero_grad(set_to_none=False)
            net.eval()
            torch.rand(7)
            return net.train()(x)

        with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
            for x in batches(30):
                rerun = partial(again, x) if asked else None
                watch.total(net(x), WEIGHTS, again=rerun).backward()
                optimizer.step()
                gradients += [one.grad.clone() for one in net.parameters() if one.grad is not None]
                optimizer.zero_grad()
        assert watch.failures == 0
        assert (watch.budget.accounts["response"].uses > 10) is asked
        ends.append([*net.state_dict().values(), *gradients, torch.rand(3)])
        assert net.training
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_accumulation(tmp_path: Path) -> None:
    """It waits for the micro-batch that steps, and compares on that one."""
    net, optimizer = made()
    calls: list[int] = []

    def again(x: Tensor) -> dict[str, Any]:
        calls.append(1)
        return net(x)

    with Watch(tmp_path, model=net, optimizer=optimizer, every=10) as watch:
        for index, x in enumerate(batches(40)):
            watch.total(net(x), WEIGHTS, again=partial(again, x)).backward()
            if index % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    assert list(responses(tmp_path)) == [7, 15, 23, 39]
    assert len(calls) < 20


def test_an_optimizer_that_never_steps_is_not_asked_for_ever(tmp_path: Path) -> None:
    """Without a step only candidates are looked at, and nothing is told."""
    net, optimizer = made()
    calls: list[int] = []

    def again(x: Tensor) -> dict[str, Any]:
        calls.append(1)
        return net(x)

    with Watch(tmp_path, model=net, optimizer=optimizer, every=20) as watch:
        for x in batches(100):
            watch.total(net(x), WEIGHTS, again=partial(again, x)).backward()
    assert len(calls) <= 10
    assert responses(tmp_path) == {}


def test_two_optimizers(tmp_path: Path) -> None:
    """The response is that of all steps of the micro-batch together."""
    net, _ = made()
    net.trunk[3] = nn.Identity()
    both = [torch.optim.SGD(one.parameters(), lr=0.1) for one in (net.trunk, net.heads)]
    with Watch(tmp_path, model=net, optimizer=both) as watch:
        for x in batches(3):
            terms = net(x)
            watch.total(terms, WEIGHTS, again=partial(net, x)).backward()
            for one in both:
                one.step()
                one.zero_grad()
    with torch.no_grad():
        after = net(x)
    expected = {name: (after[name] - one).item() for name, one in terms.items()}
    assert responses(tmp_path)[2] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_forward_pass_that_fails_is_tried_once(tmp_path: Path) -> None:
    """One warning, and the training goes on."""
    net, optimizer = made()

    def again() -> dict[str, Any]:
        raise KeyError("gone")

    def trained() -> Watch:
        with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
            for x in batches(20):
                watch.total(net(x), WEIGHTS, again=again).backward()
                optimizer.step()
                optimizer.zero_grad()
        return watch

    with pytest.warns(PoiseWarning, match="gone"):
        watch = trained()
    assert watch.failures == 1
    assert len(lines(tmp_path)) == 20


def test_wrong_use_raises(tmp_path: Path) -> None:
    """Terms in place of a function, at the first total already."""
    net, optimizer = made()
    terms = net(next(batches(1)))
    with (
        Watch(tmp_path, model=net, optimizer=optimizer) as watch,
        pytest.raises(WatchError, match="again: expected a function"),
    ):
        watch.total(terms, WEIGHTS, again=terms)


def test_nothing_is_repeated_without_a_budget_or_steps(tmp_path: Path) -> None:
    """A budget of 0 and a watch without an optimizer never call it."""
    net, optimizer = made()

    def again() -> dict[str, Any]:
        raise AssertionError("called")

    for name, given in (("a", {"budget": 0.0, "optimizer": optimizer}), ("b", {})):
        with Watch(tmp_path / name, model=net, every=1, **given) as watch:  # type: ignore[arg-type]  # either
            for x in batches(3):
                watch.total(net(x), WEIGHTS, again=again).backward()
                optimizer.step()
        assert watch.failures == 0
