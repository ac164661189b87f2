"""Which term is not finite, and where that began."""

import math

import pytest
import torch
from torch import Tensor, nn

from poise.probe import Graph, at_bottleneck, at_shared, check_finite, first_module
from tests.probe.nets import batch, net


class Broken(nn.Module):
    """Passes its input on, and something else in one direction."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        """Forward: divides by zero. Backward: the slope of a root at zero."""
        return x / 0 if self.way == "forward" else x + (x * 0).clamp(min=0).sqrt() * 0


@pytest.mark.parametrize("place", ["shared", "edge", None])
def test_healthy(place: str | None) -> None:
    """Everything finite is True for every term."""
    model = net()
    graph = Graph(model(batch()), model)
    reading = {
        "shared": lambda: at_shared(graph).gradients,
        "edge": lambda: at_bottleneck(graph, graph.bottleneck()),
        None: lambda: None,
    }[place]()
    found = check_finite(graph, reading)
    assert found.all
    assert found.to_record() == {"finite": {"a": True, "b": True}}


def test_backward_names_the_operation_and_module() -> None:
    """A root at zero in one head: the other term is fine, the place is named."""
    model = net()
    model.heads["b"] = nn.Sequential(nn.Linear(5, 3), Broken("backward"))
    graph = Graph(model(batch()), model)
    found = check_finite(graph, at_bottleneck(graph, graph.bottleneck()))
    assert found.values == {"a": True, "b": True}
    assert found.gradients == {"a": True, "b": False}
    assert found.to_record()["finite"]["a"] is True
    assert found.backward["b"].startswith("SqrtBackward0 ")
    assert "'heads.b.0'" in found.backward["b"]
    assert not found.all


def test_forward_names_the_module() -> None:
    """A division by zero is found in the module that does it."""
    model = net()
    model.heads["a"] = nn.Sequential(model.heads["a"])
    model.trunk.insert(1, Broken("forward"))
    terms = model(batch())
    graph = Graph(terms, model)
    found = check_finite(graph, closure=lambda: model(batch()), model=model)
    assert found.forward == "trunk.1"
    assert found.backward["a"] == "DivBackward0 after 'trunk.0'"
    assert check_finite(graph).forward is None
    model.heads["a"].append(Broken("forward"))
    model.heads["a"].append(Broken("forward"))
    values = check_finite(Graph(model(batch()), model), closure=lambda: model(batch()), model=model)
    assert values.values == {"a": False, "b": True}
    assert values.to_record()["finite"]["a"] == "trunk.1"
    assert first_module(net(), lambda: None) is None


def test_constant_terms_and_infinite_values() -> None:
    """A constant has no gradient to be wrong; an infinite one is False."""
    p = torch.ones(2, requires_grad=True)
    graph = Graph({"fine": p.sum(), "inf": torch.tensor(math.inf), "one": torch.tensor(1.0)})
    found = check_finite(graph)
    assert found.to_record() == {"finite": {"fine": True, "inf": False, "one": True}}
    assert found.gradients == {"fine": True}


def test_hooks_are_removed() -> None:
    """Looking for the origin leaves no hook behind: the training's pass is as before."""
    model = net()
    model.heads["b"] = nn.Sequential(nn.Linear(5, 3), Broken("backward"))
    terms = model(batch())
    graph = Graph(terms, model)
    check_finite(graph)
    terms["a"].backward()
    assert all(not one._forward_hooks for one in model.modules())
