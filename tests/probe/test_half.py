"""Gradients of float16."""

import math

import pytest
import torch
from torch import Tensor, nn

from poise.probe import Graph, at_bottleneck, at_shared, weight_followed
from poise.probe.half import has_half, passed_scaled, scale_for


def terms_of(model: nn.ModuleDict, half: bool, small: float = 1e-6) -> dict[str, Tensor]:
    """Two heads; the gradient of the first vanishes in float16 without a scale."""
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=torch.float16, enabled=half):
        z = model["trunk"](x).tanh()
        a, b = model["a"](z), model["b"](z)
    return {"a": a.float().square().mean() * small, "b": b.float().square().mean()}


def net() -> nn.ModuleDict:
    """The same every time."""
    torch.manual_seed(0)
    return nn.ModuleDict({name: nn.Linear(8, 8) for name in ("trunk", "a", "b")})


@pytest.mark.parametrize("weight", [1.0, 1e6, 1e-6])
def test_norms_are_those_of_float32(weight: float) -> None:
    """At both places, whatever the weight."""
    model, weights = net(), {"a": weight}
    found = []
    for half in (False, True):
        graph = Graph(terms_of(model, half), model)
        assert has_half(graph.nodes()) is half
        place = graph.bottleneck()
        assert place is not None
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        shared = at_shared(graph, weights=weights, optimizer=optimizer)
        assert shared.update is not None
        edge = at_bottleneck(graph, place, weights=weights)
        assert shared.gradients.weights == {"a": weight, "b": 1.0}
        found.append((shared.gradients.norms, edge.norms, shared.update.shares))
    for one, two in zip(*found, strict=True):
        assert two == pytest.approx(one, rel=1e-2, abs=1e-6)
        assert two["a"] != 0


def test_a_gradient_that_overflows_lowers_the_scale() -> None:
    """It is found with a smaller one; what is infinite without a scale stays so."""
    p = torch.ones(1, requires_grad=True)
    (row,), scale = passed_scaled("big", (p.half() * 1000).float().sum(), [p])
    assert scale < 2**16
    assert row is not None
    assert row.item() / scale == 1000
    (row,), scale = passed_scaled("endless", (p.half() * 60000).float().sum() * 10, [p])
    assert scale == 1
    assert row is not None
    assert math.isinf(row.item())


def test_a_gradient_that_is_zero_stays_zero() -> None:
    """It is looked at with the largest scale before it is called so."""
    p = torch.ones(1, requires_grad=True)
    (row,), _ = passed_scaled("zero", (p.half() * 0).float().sum(), [p])
    assert row is not None
    assert row.item() == 0


def test_a_term_in_float16_itself() -> None:
    """The scale is a number that it can hold."""
    assert scale_for(torch.tensor(1.0).half(), 1e9) == 2**15
    assert scale_for(torch.tensor(1.0), math.inf) == 2**16
    assert scale_for(torch.tensor(1.0), 0.0) == 2**16
    assert scale_for(torch.tensor(1.0), 1e-30) == 1


def test_weights_are_followed_where_the_plain_gradient_underflows() -> None:
    """With a scale rounding is the same on both sides; one that overflows is lowered."""
    model = net()
    graph = Graph(terms_of(model, half=True, small=3e-5), model)
    places = list(model["a"].parameters())
    term = {"a": graph.terms["a"]}
    assert weight_followed(term, places).deviation["a"] > 0
    for scale in (2.0**16, 2.0**40):
        assert weight_followed(term, places, scale=scale).deviation == {"a": 0.0}
