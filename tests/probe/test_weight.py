"""Does the gradient follow the weight?"""

import pytest
import torch
from torch import Tensor

from poise.probe import Graph, weight_followed
from tests.probe.nets import batch, net


class Ignores(torch.autograd.Function):
    """A loss whose backward ignores the gradient it is given."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Sum of squares."""
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return x.square().sum()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004 -- that is the fault
        """The gradient, whatever the weight."""
        return 2 * ctx.saved_tensors[0]  # type: ignore[attr-defined]


class Rounds(torch.autograd.Function):
    """A custom loss that is correct up to the rounding of bfloat16."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Sum."""
        ctx.shape = x.shape  # type: ignore[attr-defined]
        return x.sum()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """The gradient in bfloat16."""
        return (gradient * 1.1).bfloat16().float().expand(ctx.shape)  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_terms_follow_exactly(seed: int) -> None:
    """Powers of two are exact, so ordinary terms deviate by nothing."""
    model = net(seed, ["a", "b", "c"])
    graph = Graph(model(batch(seed)), model)
    found = weight_followed(graph.terms, list(graph.parameters.values()))
    assert found.deviation == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert found.ignored == ()


def test_an_ignored_weight_is_found() -> None:
    """A backward that ignores its gradient deviates by 1/2 at factor 2 and 3/4 at factor 4."""
    p = torch.randn(4, requires_grad=True)
    terms = {
        "good": (p**2).sum(),
        "ignores": Ignores.apply(p),
        "partly": Ignores.apply(p) + 1e-3 * p.sum(),
        "rounds": Rounds.apply(p),
        "constant": torch.tensor(1.0),
        "elsewhere": torch.ones(1, requires_grad=True).sum(),
    }
    found = weight_followed(terms, [p])
    assert set(found.deviation) == {"good", "ignores", "partly", "rounds"}
    assert found.deviation["ignores"] == pytest.approx(0.75)
    assert weight_followed(terms, [p], factors=(2.0,)).deviation["ignores"] == pytest.approx(0.5)
    assert found.ignored == ("ignores", "partly")
    assert found.to_record() == {"weight_deviation": found.deviation}
    assert p.grad is None


def test_zero_gradient_deviates_by_nothing() -> None:
    """A gradient of zero follows every weight."""
    p = torch.ones(2, requires_grad=True)
    assert weight_followed({"a": (p * 0).sum()}, [p]).deviation == {"a": 0.0}
    assert weight_followed({"a": p.sum()}, []).deviation == {}
