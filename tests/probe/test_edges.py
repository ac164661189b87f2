"""Walking a graph, against what autograd says."""

import pytest
import torch
from torch import Tensor

from poise.probe.edges import (
    ancestors,
    children,
    leaf,
    reachable,
    straight,
    topological,
    vertex,
    vertex_of,
    width,
)
from poise.probe.fork import fork


def edge_of(one: Tensor) -> torch.autograd.graph.GradientEdge:
    """Where a tensor is in its graph."""
    return torch.autograd.graph.get_gradient_edge(one)


@pytest.mark.parametrize("seed", range(10))
def test_order_and_dependence(seed: int) -> None:
    """Every vertex comes before those behind it; what lies behind is what has a gradient."""
    torch.manual_seed(seed)
    pool = [torch.randn(2, requires_grad=True) for _ in range(3)]
    for _ in range(8):
        one, other = torch.randint(len(pool), (2,)).tolist()
        pool.append(torch.sin(pool[one]) * pool[other])
    order = topological([vertex_of(edge_of(pool[-1]))])
    at = {one: k for k, one in enumerate(order)}
    assert len(at) == len(order)
    assert all(at[vertex(*child)] > at[one] for one in order for child in children(one))
    total = pool[-1].sum()
    for one in pool[:3]:
        (found,) = torch.autograd.grad(total, one, retain_graph=True, allow_unused=True)
        ends = {vertex_of(edge_of(one))}
        assert (order[0] in ancestors(order, ends)) == (found is not None)
        assert any(leaf(place) is one for place in order) == (found is not None)


def test_ways_around_a_tensor() -> None:
    """What is reached without a tensor is what also hangs on something beside it."""
    p, q = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    z = p * 2
    edge = edge_of(z)
    total = edge_of((z * q).sum())
    around = reachable([(total.node, total.output_nr)], frozenset({(edge.node, edge.output_nr)}))
    assert {id(one) for place in around if (one := leaf(place)) is not None} == {id(q)}


def test_weights_that_are_laid_out_anew_and_forks() -> None:
    """A transposed weight leads straight to it; each output of a fork has its own vertex."""
    weight = torch.ones(2, 3, requires_grad=True)
    assert leaf(straight(vertex_of(edge_of(weight.t())))) is weight
    parts = fork(weight.exp(), ["a", "b"])
    first, second = (edge_of(one) for one in parts.values())
    assert width(first.node) == 2
    assert vertex_of(first) != vertex_of(second)
    assert children(vertex_of(first)) == children(vertex_of(second))
