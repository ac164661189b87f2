"""Whatever runs under a guard leaves no trace."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from poise.probe import Fork, RandomState, guard, probing
from tests.probe.nets import batch, net


def disturb(model: nn.Module) -> None:
    """Changes everything that a guard restores, and fails."""
    with guard(model, copy_gradients=True):
        assert probing()
        torch.rand(9), random.random(), np.random.rand()
        model.train()
        model(batch(3))
        model.trunk[1].running_mean = torch.full((8,), 9.0)
        model.zero_grad(set_to_none=False)
        sum(model.eval()(batch(4)).values()).backward()
        _ = 1 / 0


def test_everything_is_restored_bit_for_bit() -> None:
    """Random generators, modes, buffers and gradients are what they were, also after an error."""
    model = net(0, norm=True)
    model.heads.eval()
    sum(model(batch()).values()).backward()
    model.heads["a"].weight.grad = None
    state = {name: one.clone() for name, one in model.named_buffers()}
    objects = {name: id(one) for name, one in model.named_buffers()}
    gradients = [
        (one.grad, None if one.grad is None else one.grad.clone()) for one in model.parameters()
    ]
    modes = [one.training for one in model.modules()]
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    wanted = (torch.rand(3), random.random(), np.random.rand())
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    with pytest.raises(ZeroDivisionError, match="division"):
        disturb(model)
    assert not probing()
    found = (torch.rand(3), random.random(), np.random.rand())
    assert torch.equal(found[0], wanted[0])
    assert found[1:] == wanted[1:]
    assert [one.training for one in model.modules()] == modes
    for name, one in model.named_buffers():
        assert id(one) == objects[name]
        assert torch.equal(one, state[name])
    for one, (gradient, content) in zip(model.parameters(), gradients, strict=True):
        assert one.grad is gradient
        assert content is None or torch.equal(gradient, content)


def test_a_graph_that_saved_buffers_survives() -> None:
    """Restoring a buffer does not disturb a backward pass that has saved it."""
    model = nn.BatchNorm1d(3).eval()
    x = torch.randn(4, 3, requires_grad=True)
    out = model(x).square().sum()
    with guard(model):
        model.train()(torch.randn(4, 3))
    out.backward()
    assert x.grad is not None


def test_a_graph_that_saved_a_changing_buffer_survives() -> None:
    """A forward pass of a probe does not change a buffer that the training's graph has saved."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("size", torch.ones(3))
            self.alias = self.size

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.size.mul_(0.5)
            return x * self.size

    model, x = Scaled(), torch.ones(3, requires_grad=True)
    out = model(x).sum()
    with guard(model):
        model(x)
        model.alias.data.zero_()
    out.backward()
    assert torch.equal(x.grad, torch.full((3,), 0.5))
    assert model.size is model.alias
    assert torch.equal(model.size, torch.full((3,), 0.5))


def test_sparse_gradients_come_back() -> None:
    """A sparse gradient that was cleared in place is what it was."""
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1, 1, 3])).sum().backward()
    kept, gradient = table.weight.grad.to_dense().clone(), table.weight.grad
    with guard(table, copy_gradients=True):
        table.zero_grad(set_to_none=False)
        assert not table.weight.grad.to_dense().any()
    assert table.weight.grad is gradient
    assert torch.equal(gradient.to_dense(), kept)


def test_retained_gradients_can_be_named() -> None:
    """A retained gradient that a probe's pass adds to is restored if it is named."""
    w = torch.ones(2, requires_grad=True)
    z = w * 2
    z.retain_grad()
    loss = z.square().sum()
    with guard(tensors=[z]):
        torch.autograd.grad(loss, w, retain_graph=True)
    assert z.grad is None
    loss.backward(retain_graph=True)
    kept = z.grad.clone()
    with guard(tensors=[z, w]):
        torch.autograd.grad(loss, w, retain_graph=True)
    assert torch.equal(z.grad, kept)


def test_aliased_and_missing_buffers() -> None:
    """A buffer that two modules share and one that is None come through."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    model[1].running_mean = model[0].running_mean
    model[0].register_buffer("nothing", None)
    with guard(model):
        model(torch.randn(3, 2))
    assert model[1].running_mean is model[0].running_mean
    assert torch.equal(model[0].running_mean, torch.zeros(2))
    assert model[0].nothing is None


def test_forks_keep_quiet_and_nesting_works() -> None:
    """No fork records inside a guard, and an inner guard does not end the outer one."""
    model, split = net(), Fork(["a", "b"])
    with guard(model):
        with guard():
            pass
        assert probing()
        sum(model(batch(), split).values()).backward()
    assert split.last is None
    assert all(one.grad is None for one in model.parameters())


def test_random_state_repeats_dropout() -> None:
    """The same state gives the same mask."""
    layer = nn.Dropout(0.5)
    state = RandomState.now()
    first = layer(torch.ones(100))
    state.restore()
    assert torch.equal(layer(torch.ones(100)), first)
