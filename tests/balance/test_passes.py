"""One pass a term, where no one tensor carries all."""

import pytest
import torch

from poise.balance.passes import reading_of_passes
from poise.errors import GraphError
from poise.probe import Graph
from tests.balance.nets import Net, alone, batch


def test_the_reading_is_that_of_the_shared_parameters() -> None:
    """Against autograd's own gradients."""
    net = Net()
    terms = net.terms(batch())
    side = torch.stack(list(alone(terms, net.shared()).values()))
    reading, joint = reading_of_passes(Graph(terms, net), None, net)
    assert joint
    assert reading.where == "shared"
    assert reading.places == ("trunk.0.weight", "trunk.0.bias")
    torch.testing.assert_close(reading.products, side @ side.T, rtol=1e-5, atol=1e-9)
    assert all(one.grad is None for one in net.parameters())


def test_at_a_bottleneck_each_process_has_its_own() -> None:
    """There the samples of the processes are different rows, so their readings add up."""
    net = Net()
    graph = Graph(net.terms(batch()), net)
    reading, joint = reading_of_passes(graph, graph.bottleneck(), net)
    assert not joint
    assert reading.where == "edge"


def test_half_precision_keeps_small_gradients() -> None:
    """A gradient that float16 cannot hold is passed back with a scale, which is divided out."""
    p = torch.ones(1, requires_grad=True)
    small = (p.half() * 1e-5).float().sum() * 1e-3
    reading, _ = reading_of_passes(Graph({"a": small, "b": p.sum()}), None, None)
    assert reading.norms == pytest.approx({"a": 1e-8, "b": 1.0}, rel=1e-2)


def test_a_freed_graph_is_told() -> None:
    """After the training's own pass there is nothing to measure."""
    p = torch.ones(2, requires_grad=True)
    terms = {"a": p.square().sum(), "b": p.square().sum()}
    sum(terms.values()).backward()
    with pytest.raises(GraphError, match="term 'a': expected a graph"):
        reading_of_passes(Graph(terms), None, None)
