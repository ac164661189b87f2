"""The tensor that the terms pass, in graphs of many shapes, against separate backward passes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from poise.probe import Bottleneck, Graph, at_bottleneck
from tests.probe.nets import alone, batch, net, products
from tests.probe.shapes import CASES, Case, Parts, Terms, lstm_state


def made(kind: Callable[[Parts, Tensor], Case]) -> tuple[Case, Graph, Bottleneck | None]:
    """A case with its graph and what is found in it."""
    torch.manual_seed(0)
    model = Parts()
    case = kind(model, batch(0, 6))
    graph = Graph(case.terms, model)
    return case, graph, graph.bottleneck()


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_expected_place(kind: Callable[[Parts, Tensor], Case]) -> None:
    """The place is the tensor that the shape of the graph says, and the rest is listed."""
    case, _, found = made(kind)
    if not case.place:
        assert found is None
        return
    assert found is not None
    assert found.ignored == case.ignored
    assert found.terms == tuple(name for name in case.terms if name not in case.ignored)
    assert found.beside == case.beside
    if kind is not lstm_state:  # what the user sees are rearranged outputs of the layer
        (edge,) = found.edges
        expected = torch.autograd.graph.get_gradient_edge(case.place[0])
        assert (edge.node, edge.output_nr) == (expected.node, expected.output_nr)
        assert found.shape == tuple(case.place[0].shape)


@pytest.mark.parametrize(
    "kind", [one for one in CASES if one is not lstm_state], ids=lambda kind: kind.__name__
)
def test_gradients_there_are_autograds_own(kind: Callable[[Parts, Tensor], Case]) -> None:
    """Bit for bit what `autograd.grad` gives each term at that tensor, and so are the products."""
    case, graph, found = made(kind)
    if found is None:
        return
    reading = at_bottleneck(graph, found)
    for name in found.terms:
        here = torch.autograd.grad(case.terms[name], found.edges, retain_graph=True)
        direct = torch.autograd.grad(case.terms[name], case.place, retain_graph=True)
        assert all(map(torch.equal, here, direct))
    assert reading.terms == found.terms
    assert reading.absent == found.ignored
    vectors = alone({name: case.terms[name] for name in found.terms}, case.place)
    torch.testing.assert_close(reading.products, products(vectors), rtol=1e-5, atol=1e-12)


def test_outputs_of_one_operation_against_autograd() -> None:
    """Where output and state of an LSTM are read, the gradients at both count as one vector."""
    case, graph, found = made(lstm_state)
    assert found is not None
    assert len(found.edges) == 3
    vectors = alone(case.terms, case.place)
    # the last output is the hidden state: torch adds them up on the way into the operation
    torch.testing.assert_close(
        at_bottleneck(graph, found).products, products(vectors), rtol=1e-5, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(60))
def test_on_random_graphs(seed: int) -> None:
    """The place is the last tensor that all other common ones lie before or wholly behind."""
    torch.manual_seed(seed)
    leaves = nn.ParameterDict({f"p{k}": nn.Parameter(torch.randn(3)) for k in range(4)})
    pool = [one * 1.0 for one in leaves.values()]
    for _ in range(9):
        recent = max(0, len(pool) - 2 - seed % 3)
        one, other = torch.randint(recent, len(pool), (2,)).tolist()
        pool.append(torch.sin(pool[one] + 1.5 * pool[other]))
    picks = torch.randint(len(pool) - 3, len(pool), (2,)).tolist()
    terms = {f"t{k}": (pool[at] * (k + 1)).sum() for k, at in enumerate(picks)}
    common = [one for one in pool if all(_slope(term, one) is not None for term in terms.values())]
    carrying = [one for one in common if all(_orders(one, terms, other) for other in common)]
    found = Graph(terms, leaves).bottleneck()
    if found is None:
        assert carrying == []
    else:
        expected = torch.autograd.graph.get_gradient_edge(carrying[-1])
        assert [edge.node for edge in found.edges] == [expected.node]


def _slope(value: Tensor, at: Tensor, by: Tensor | None = None) -> Tensor | None:
    return torch.autograd.grad(value, at, by, retain_graph=True, allow_unused=True)[0]


def _orders(place: Tensor, terms: Terms, other: Tensor) -> bool:
    """`place` lies behind `other`, or every term depends on `other` through `place` alone."""
    if _slope(other, place, torch.ones(3)) is not None:
        return True
    through = [_slope(place, other, _slope(term, place)) for term in terms.values()]
    whole = [_slope(term, other) for term in terms.values()]
    return all(
        one is not None and torch.allclose(one, two, rtol=1e-4, atol=1e-7)
        for one, two in zip(through, whole, strict=True)
    )


def test_without_a_model() -> None:
    """Without a model every leaf counts as a parameter, and the place is the same."""
    model = net(0)
    terms = model(batch())
    named, bare = Graph(terms, model).bottleneck(), Graph(terms).bottleneck()
    assert named is not None
    assert bare is not None
    assert named.edges == bare.edges
