"""Where a term's own part of the graph ends."""

import torch

from poise.probe import Graph, fork
from tests.probe.nets import batch, net


def test_all_borders_of_heads_lead_into_the_trunks_output() -> None:
    """One border a head: the gradient that its layer passes on to the trunk's output."""
    model = net(terms=("a", "b", "c"))
    graph = Graph(model(batch()), model)
    found, inside = graph.borders()
    place = graph.bottleneck()
    assert place is not None
    assert inside == ()
    assert [one.term for one in found] == ["a", "b", "c"]
    assert {one.into for one in found} == {(edge.node, edge.output_nr) for edge in place.edges}


def test_a_fork_is_a_border_that_hands_on() -> None:
    """At a fork a term's gradient is alone only before the fork's own backward pass."""
    model = net()
    graph = Graph(model(batch(), split=lambda z: fork(z, ["a", "b"])), model)
    found, _ = graph.borders()
    assert [(one.term, one.at, one.handing) for one in found] == [("a", 0, True), ("b", 1, True)]


def test_a_shared_leaf_is_inside() -> None:
    """A parameter that two terms use directly is what they share."""
    p, q = (torch.ones(2, requires_grad=True) for _ in range(2))
    found, inside = Graph({"a": (p * q).sum(), "b": p.sum()}).borders()
    assert sorted((one.term, one.at) for one in found) == [("a", 0), ("b", 0)]
    assert inside == ()


def test_a_term_made_into_another_has_no_part_of_its_own() -> None:
    """All that it uses the other uses, too."""
    p = torch.ones(2, requires_grad=True)
    first = p.sum()
    found, inside = Graph({"a": first, "b": first.square()}).borders()
    assert inside == ("a",)
    assert {one.term for one in found} == {"b"}
