"""Weights at the borders of what a term uses alone."""

import pytest
import torch
from torch import Tensor, nn

from poise.balance import Fixed
from poise.balance.crossing import gathered, weighed
from poise.probe import Fork, Graph
from tests.balance.nets import NAMES, Net, alone, batch


def test_gathered_sees_what_a_fork_sees() -> None:
    """Gramian at the bottleneck against autograd's own gradients there; the gradients stay."""
    net, home = Net(), Fork(NAMES)
    z = net.trunk(batch())
    terms = net.terms(batch(), dict.fromkeys(NAMES, z))
    graph = Graph(terms)
    place = graph.bottleneck()
    assert place is not None
    side = torch.stack(list(alone(terms, [z]).values()))
    with gathered(graph.borders()[0], place, home):
        sum(terms.values()).backward(retain_graph=True)
    found = net.taken()
    assert home.last is not None
    torch.testing.assert_close(home.last.products, side @ side.T, rtol=1e-5, atol=1e-9)
    sum(terms.values()).backward()  # the hooks are gone: nothing is seen
    plain = net.taken()
    assert len(home.readings) == 1
    for name in plain:
        torch.testing.assert_close(found[name], plain[name])


def test_several_uses_by_one_term_add_up() -> None:
    """A term that reads the tensor twice is one term."""
    z = torch.tensor([1.0, 2.0], requires_grad=True) * 1.0
    terms = {"a": z.sum() + 2 * z.sum(), "b": z.square().sum()}
    graph, home = Graph(terms), Fork(["a", "b"])
    place = graph.bottleneck()
    assert place is not None
    with gathered(graph.borders()[0], place, home):
        sum(terms.values()).backward()
    assert home.last is not None
    assert home.last.gramian == [[18.0, 18.0], [18.0, 20.0]]


class Both(torch.autograd.Function):
    """An operation with two inputs and two outputs."""

    @staticmethod
    def forward(_: object, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and difference."""
        return one + other, one - other

    @staticmethod
    def backward(_: object, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and difference."""
        return first + second, first - second


def test_two_outputs_of_one_operation() -> None:
    """An operation of which the terms use two outputs is one place with two tensors."""
    p, q = (torch.tensor(one, requires_grad=True) for one in ([1.0, 2.0], [3.0, 5.0]))
    plus, minus = Both.apply(p, q)
    terms = {"a": plus.square().sum() + minus.sum(), "b": 3 * minus.square().sum() + plus[0]}
    graph, home = Graph(terms), Fork(["a", "b"])
    place = graph.bottleneck()
    assert place is not None
    assert len(place.edges) == 2
    norms = {name: one.norm().item() for name, one in alone(terms, [plus, minus]).items()}
    plain = torch.autograd.grad(sum(terms.values()), [p, q], retain_graph=True)
    with gathered(graph.borders()[0], place, home):
        sum(terms.values()).backward()
    assert home.last is not None
    assert home.last.norms == pytest.approx(norms, rel=1e-6)
    torch.testing.assert_close([p.grad, q.grad], list(plain))


def test_without_one_tensor_each_border_is_weighed() -> None:
    """Output and state of an LSTM meet behind different operations: no term's part is lost."""
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, batch_first=True)
    out, (state, _) = lstm(torch.randn(2, 5, 3))
    terms = {"a": out.square().mean() + state.sum(), "b": state.square().mean()}
    each = alone(terms, list(lstm.parameters()))
    Fixed({"a": 2.0, "b": 3.0}).backward(terms)
    found = torch.cat([one.grad.flatten() for one in lstm.parameters()])
    torch.testing.assert_close(found.double(), 2.0 * each["a"] + 3.0 * each["b"])


class Scaled(torch.autograd.Function):
    """An operation of the user's own with an argument that is no tensor."""

    @staticmethod
    def forward(_: object, factor: float, one: Tensor) -> Tensor:
        """Three times the input."""
        return one * factor

    @staticmethod
    def backward(_: object, gradient: Tensor) -> tuple[None, Tensor]:
        """Three times the gradient."""
        return None, gradient * 3.0


def test_operations_of_the_users_own() -> None:
    """What crosses a border is found by its place among the tensors, not the arguments."""
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    terms = {"a": Scaled.apply(3.0, p).sum(), "b": (p * p).sum()}
    with weighed(Graph(terms).borders()[0], {"a": torch.tensor(2.0), "b": torch.tensor(0.5)}):
        sum(terms.values()).backward()
    assert p.grad is not None
    assert p.grad.tolist() == [6.0 + 1.0, 6.0 + 2.0]


def test_terms_that_share_in_pairs() -> None:
    """Two terms share a second layer: there, too, each has its weight, and the head its own."""
    torch.manual_seed(0)
    first, second, head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
    z = first(torch.randn(4, 3))
    deep = second(z)
    terms = {"a": deep.square().mean(), "b": head(deep).mean(), "c": z.square().mean()}
    weights = {"a": 2.0, "b": 3.0, "c": 5.0}
    places = [*first.parameters(), *second.parameters()]
    each = alone(terms, places)
    own = torch.autograd.grad(terms["b"], head.weight, retain_graph=True)[0]
    by = {name: torch.tensor(one) for name, one in weights.items()}
    with weighed(Graph(terms).borders()[0], by):
        sum(terms.values()).backward()
    found = torch.cat([one.grad.flatten() for one in places])
    torch.testing.assert_close(found.double(), sum(weights[k] * each[k] for k in weights))
    assert torch.equal(head.weight.grad, own)
