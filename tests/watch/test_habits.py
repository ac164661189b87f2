"""Healthy trainings with habits of their own: nothing is told of them, and nothing is left."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import poise
from poise.watch import Watch
from tests.watch.loops import WEIGHTS, Net, batches, lines, made, measuring_always

Training = tuple[Watch, Net, torch.optim.Optimizer]


def renamed(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same terms under other names."""
    return {f"{name}2": one for name, one in terms.items()}


def two_micro_batches(training: Training, x: Tensor) -> None:
    """Two totals of one kind, one backward pass."""
    watch, net, _ = training
    first = watch.total(net(x), WEIGHTS)
    (first + watch.total(net(x.flip(1)), WEIGHTS)).backward()


def two_kinds(training: Training, x: Tensor) -> None:
    """Two totals of different names, one backward pass."""
    watch, net, _ = training
    first = watch.total(net(x), WEIGHTS)
    (first + watch.total(renamed(net(x.flip(1))))).backward()


def looks_around(training: Training, x: Tensor, *, to_none: bool = True) -> None:
    """Sharpness-aware: the gradient of the first pass only finds the point of the second."""
    watch, net, optimizer = training
    watch.total(net(x), WEIGHTS).backward()
    with torch.no_grad():
        away = [0.5 * one.grad / (one.grad.norm() + 1e-6) for one in net.parameters()]
        torch._foreach_add_(list(net.parameters()), away)
    optimizer.zero_grad(set_to_none=to_none)
    terms = net(x)
    (terms["a"] + 0.25 * terms["b"]).backward()
    with torch.no_grad():
        torch._foreach_sub_(list(net.parameters()), away)


def looks_around_with_zeros(training: Training, x: Tensor) -> None:
    """The same with gradients that are set to 0."""
    looks_around(training, x, to_none=False)


@pytest.mark.parametrize(
    "backward", [two_micro_batches, two_kinds, looks_around, looks_around_with_zeros]
)
def test_gradients_of_other_passes_are_not_unexplained(
    backward: Callable[[Training, Tensor], None], tmp_path: Path
) -> None:
    """What arrives is not that of the one total, and nothing was added behind the record's back."""
    net, optimizer = made()
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(24):
            backward((watch, net, optimizer), x)
            optimizer.step()
            optimizer.zero_grad()
    assert not watch.failures
    probes = lines(tmp_path, "probe")
    assert any(one.get("where") == "shared" for one in probes)
    assert not any("unexplained" in one for one in probes)


def test_what_is_compared_is_told_before_the_next_forward_pass(tmp_path: Path) -> None:
    """The gradients that were kept for it do not lie beside the next batch's graph."""
    net, optimizer = made()
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(8):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            assert watch._probing._unexplained is None
            optimizer.zero_grad()
    assert any("unexplained" in one for one in lines(tmp_path, "probe"))


def test_calls_of_a_closure_are_no_accumulation(tmp_path: Path) -> None:
    """Each begins without gradients: one micro-batch a step, whatever the line search needs."""
    net, _ = made()
    net.eval()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=6)
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(8):

            def closure(x: Tensor = x) -> Tensor:
                optimizer.zero_grad()
                total = watch.total(net(x), WEIGHTS)
                total.backward()
                return total

            optimizer.step(closure)
    probes = lines(tmp_path, "probe")
    assert any("motion" in one for one in probes)
    assert not any("accumulated" in one for one in probes)


@pytest.mark.parametrize("several", [True, False])
def test_totals_of_several_kinds_are_no_parts_of_a_mean(several: bool, tmp_path: Path) -> None:
    """Two data sets a step; two micro-batches of one kind are counted."""
    net, optimizer = made()
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(24):
            watch.total(net(x)).backward()
            terms = net(x.flip(1))
            watch.total(renamed(terms) if several else terms).backward()
            optimizer.step()
            optimizer.zero_grad()
    counts = {one.get("accumulated") for one in lines(tmp_path, "probe") if "motion" in one}
    assert counts == ({None} if several else {2})


def test_a_checkpointed_loss_runs_no_more_often_than_without_a_watch(tmp_path: Path) -> None:
    """Its batch norm counts batches: looking into the graph must not run it once more."""

    def trained(run: Path | None) -> dict[str, Tensor]:
        net, optimizer = made()
        watch = None if run is None else Watch(run, model=net, optimizer=optimizer, every=4)
        for x in batches(6):
            targets = x.argmax(1) % 2

            def loss(x: Tensor, targets: Tensor = targets) -> Tensor:
                z = net.trunk(x)
                return F.cross_entropy(
                    torch.cat([one(z) for one in net.heads.values()], 1), targets
                )

            terms = {"ce": checkpoint(loss, x, use_reentrant=False), "l2": net.trunk[0].bias.norm()}
            total = terms["ce"] + terms["l2"]
            if watch is not None:
                total = measuring_always(watch).total(terms)
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
        if watch is not None:
            watch.close()
            assert not watch.failures
        return net.state_dict()

    plain, watched = trained(None), trained(tmp_path)
    assert all(torch.equal(one, watched[name]) for name, one in plain.items())
    assert any("weight_deviation" in one for one in lines(tmp_path, "probe"))


def test_a_watch_that_ends_at_once_leaves_no_hook(tmp_path: Path) -> None:
    """One batch: modules that no term reaches were listened to until the next one."""
    net, optimizer = made()
    net.add_module("idle", nn.Linear(2, 2))
    watch = measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4))
    for x in batches(2):
        watch.total(net(x), WEIGHTS).backward()
    watch.close()
    assert not any(one._forward_hooks for one in net.modules())


def test_lazy_modules_that_never_run(tmp_path: Path) -> None:
    """Their parameters have no size yet: everything else is recorded and measured."""
    net, _ = made()
    net.add_module("later", nn.LazyLinear(2))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(8):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not watch.failures
    declared = poise.read_run(tmp_path).declared
    assert declared["unreached"] == ["later.weight", "later.bias"]
    assert not declared.get("unreached_numbers")
    probes = lines(tmp_path, "probe")
    assert any("motion" in one for one in probes)
    assert any("grad_norm" in one for one in lines(tmp_path))


def test_modules_that_are_removed_on_the_way(tmp_path: Path) -> None:
    """A net that grows and sheds layers, with a term that comes later."""
    net, optimizer = made()
    net.add_module("old", nn.Linear(2, 2))
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for index, x in enumerate(batches(16)):
            terms = net(x)
            if index == 8:
                del net.old
            if index >= 8:
                terms["l2"] = net.trunk[0].weight.norm()
            watch.total(terms).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not watch.failures


@pytest.mark.parametrize("period", [2, 8])
def test_branches_that_take_turns_are_reached(period: int, tmp_path: Path) -> None:
    """Terms of the same names through one branch or the other: none is unreached or cut off."""
    torch.manual_seed(0)
    net = nn.ModuleDict({"x": nn.Linear(4, 4), "y": nn.Linear(4, 4), "head": nn.Linear(4, 2)})
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for index, x in enumerate(batches(64)):
            z = net["head"](net["y" if index % period == 0 else "x"](x))
            watch.total({"a": z[:, 0].square().mean(), "b": z[:, 1].abs().mean()}).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not any(one.get("unreached_ran") for one in lines(tmp_path, "probe"))
    assert not poise.read_run(tmp_path).declared.get("unreached")


def test_clamps_on_gradients_are_no_fault_of_a_term(tmp_path: Path) -> None:
    """Hooks of parameters clamp what arrives; the terms follow their weights all the same."""
    net, optimizer = made()
    for one in net.parameters():
        one.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))
    with measuring_always(Watch(tmp_path, model=net, optimizer=optimizer, every=4)) as watch:
        for x in batches(8):
            watch.total(net(x), WEIGHTS).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = [
        one["weight_deviation"] for one in lines(tmp_path, "probe") if "weight_deviation" in one
    ]
    assert not any(value for one in found for value in one.values())
