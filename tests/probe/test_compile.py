"""Forks in compiled models: where the graph breaks, and what is refused."""

import pytest
import torch
from torch import Tensor

from poise.probe import Fork
from tests.probe.nets import batch, net

# the compiler itself looks at the gradient of tensors that are no leaves
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")


def test_torch_compile_around_a_fork() -> None:
    """Compiled around a fork, the gradients and the reading are the same."""
    eager, split = net(4), Fork(["a", "b"])
    sum(eager(batch(), split).values()).backward()
    model, inside = net(4), Fork(["a", "b"])
    compiled = torch.compile(model, backend="aot_eager")
    sum(compiled(batch(), inside).values()).backward()
    assert split.last is not None
    assert inside.last is not None
    torch.testing.assert_close(inside.last.products, split.last.products)
    for one, other in zip(eager.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_torch_compile_breaks_the_graph_once_a_fork(count: int) -> None:
    """Each fork is one break, whether it measures or not, and there is no other."""
    model, first, second = net(4), Fork(["a", "b"]), Fork(["a", "b"], name="second")
    first.measuring = False

    def step(x: Tensor) -> Tensor:
        z = model.trunk(x)
        if count > 0:
            parts = first(z)
            z = parts["a"] * 2 + parts["b"]
        if count > 1:
            parts = second(z)
            z = parts["a"] * 2 + parts["b"]
        return model.heads["a"](z).sum()

    torch._dynamo.reset()
    found = torch._dynamo.explain(step)(batch())
    assert found.graph_break_count == count
    assert found.graph_count == count + 1
    assert len([one for one in found.break_reasons if "poise.fork" in one.reason]) == count


def test_torch_compile_with_fullgraph_says_why_not() -> None:
    """`fullgraph=True` refuses a fork, and the message says what to do."""
    torch._dynamo.reset()
    compiled = torch.compile(net(4), backend="eager", fullgraph=True)
    with pytest.raises(RuntimeError, match=r"poise\.fork measures in its backward pass.*fullgraph"):
        compiled(batch(), Fork(["a", "b"]))
    torch._dynamo.reset()


def test_torch_compile_with_fullgraph_on_both_sides() -> None:
    """A trunk and heads that are compiled whole, with the fork between them, break nowhere."""
    plain, split = net(4), Fork(["a", "b"])
    sum(plain(batch(), split).values()).backward()
    model, between = net(4), Fork(["a", "b"])
    whole = {"backend": "aot_eager", "fullgraph": True}
    parts = between(torch.compile(model.trunk, **whole)(batch()))
    heads = {name: torch.compile(one, **whole) for name, one in model.heads.items()}
    terms = [(heads[n](parts[n]) * (k + 1)).square().mean() for k, n in enumerate("ab")]
    sum(terms).backward()
    assert split.last is not None
    assert between.last is not None
    torch.testing.assert_close(between.last.products, split.last.products)
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
