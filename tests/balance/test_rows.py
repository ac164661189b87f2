"""Where the passes that measure are the training's own: K of them, and the hooks they fire."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import poise
from poise.balance import Balancer, Fixed, Method
from poise.balance import balancer as home
from poise.balance.rows import Rows, at_once
from poise.balance.share import GradientShare
from poise.errors import GraphError, PoiseWarning
from poise.probe import Graph
from tests.balance.nets import NAMES, Net, batch

WEIGHTS = {"a": 2.0, "b": 0.5, "c": 3.0}


def parted(net: Net, given: Tensor, names: Sequence[str] = NAMES) -> dict[str, Tensor]:
    """Terms that meet in no single tensor: one looks at a weight of the trunk."""
    terms = net.terms(given)
    terms["a"] = terms["a"] + 0.1 * net.trunk[0].weight.square().sum()
    return {name: terms[name] for name in names}


def found(balance: Balancer, net: Net, names: Sequence[str] = NAMES) -> dict[str, Tensor]:
    """Gradients of three passes, the last of which has these terms."""
    for k in range(2):
        balance.backward(parted(net, batch(k).double()), model=net)
        net.zero_grad()
    balance.backward(parted(net, batch(2).double(), names), model=net)
    gradients = {
        n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in net.named_parameters()
    }
    return {name: one.clone() for name, one in gradients.items()}


MAKES: dict[str, Callable[..., Balancer]] = {
    "fixed": lambda **options: Fixed(WEIGHTS, **options),
    "share": lambda **options: GradientShare(WEIGHTS, **options),
    "upgrad": lambda **options: Method("upgrad", NAMES, **options),
}


@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("names", [NAMES, ("a", "c"), ("a",), ("b",)])
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_as_with_a_pass_of_all_terms(
    make: Callable[..., Balancer], names: Sequence[str], heads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients are those of K passes and an ordinary one that is weighed at the borders."""
    ours, weights = make(heads=heads), {}
    gradients = found(ours, Net().double(), names)
    weights = ours.weights
    monkeypatch.setattr(home, "at_once", lambda graph: False)  # noqa: ARG005
    other = make(heads=heads)
    reference = found(other, Net().double(), names)
    assert weights == other.weights
    for name, one in reference.items():
        torch.testing.assert_close(gradients[name], one, rtol=1e-12, atol=1e-12)


class Counted(torch.autograd.Function):
    """Does nothing, and counts its backward passes."""

    count = 0

    @staticmethod
    def forward(ctx: Any, given: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        """The same."""
        return given.view_as(given)

    @staticmethod
    def backward(ctx: Any, got: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        """The same."""
        Counted.count += 1
        return got


@pytest.mark.parametrize(("every", "passes"), [(1, 3), (10, 1)])
def test_a_measurement_takes_one_pass_a_term_and_no_more(every: int, passes: int) -> None:
    """Three terms pass the trunk three times; once where nothing is measured."""
    net, balance = Net(), Method("upgrad", NAMES, every=every)
    balance.backward(parted(net, batch()))
    terms = net.terms(batch(), dict.fromkeys(NAMES, Counted.apply(net.trunk(batch()))))
    terms["a"] = terms["a"] + net.trunk[0].weight.square().sum()
    Counted.count = 0
    balance.backward(terms)
    assert Counted.count == passes


def test_each_head_is_passed_once() -> None:
    """What one term uses alone is in its own pass only."""
    net = Net()
    z = net.trunk(batch())
    head = Counted.apply(net.heads["a"](z))
    terms = {"a": head.square().sum() + net.trunk[0].weight.sum(), "b": net.heads["b"](z).sum()}
    Counted.count = 0
    Fixed({"a": 1.0, "b": 1.0}).backward(terms)
    assert Counted.count == 1


def test_hooks_after_accumulation_see_the_whole_gradient_once() -> None:
    """An optimizer that steps in such a hook steps once, with the weighted sum."""
    net, seen = Net(), []
    for name, one in net.named_parameters():
        one.register_post_accumulate_grad_hook(
            lambda p, name=name: seen.append((name, p.grad.clone()))
        )
    Fixed(WEIGHTS).backward(parted(net, batch()))
    assert sorted(name for name, _ in seen) == sorted(name for name, _ in net.named_parameters())
    for name, got in seen:
        assert torch.equal(got, dict(net.named_parameters())[name].grad)


def test_a_hook_that_changes_a_gradient_changes_the_sum_once() -> None:
    """It does not act on each term's part and on their sum as well."""
    net, plain = Net(), Net()
    for part in (net.trunk[0].weight, net.heads["a"].weight):
        part.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))
    Fixed(WEIGHTS).backward(parted(net, batch()))
    Fixed(WEIGHTS).backward(parted(plain, batch()))
    for name in ("trunk.0.weight", "heads.a.weight"):
        expected = dict(plain.named_parameters())[name].grad.clamp(-1e-3, 1e-3)
        torch.testing.assert_close(dict(net.named_parameters())[name].grad, expected)


def test_a_hook_of_a_module_sees_the_gradient_of_all_terms() -> None:
    """Where somebody looks at the whole gradient on its way, there is a pass that has it."""
    net, seen = Net(), []
    net.trunk[1].register_full_backward_hook(
        lambda *given: seen.append((poise.probe.probing(), given[2][0].clone()))
    )
    balance = Fixed(dict.fromkeys(NAMES, 1.0))
    balance.backward(parted(net, batch()))
    whole = [one for probing, one in seen if not probing]
    assert len(seen) == len(NAMES) + 1
    torch.testing.assert_close(whole[0], sum(one for probing, one in seen if probing))


def test_a_fork_inside_still_reads_all_terms() -> None:
    """A fork of somebody else has its reading of the step."""
    net, split = Net(), poise.probe.Fork(NAMES)
    terms = net.terms(batch(), split(net.trunk(batch())))
    terms["a"] = terms["a"] + net.trunk[0].weight.square().sum()
    Fixed(WEIGHTS).backward(terms)
    assert split.last.terms == NAMES


def test_gradients_add_up_over_micro_batches() -> None:
    """As with any backward pass."""
    net, balance = Net(), Fixed(WEIGHTS)
    each = []
    for k in range(2):
        balance.backward(parted(net, batch(k)))
        each.append(net.taken())
    for k in range(2):
        balance.backward(parted(net, batch(k)))
    for name, one in net.named_parameters():
        torch.testing.assert_close(one.grad, each[0][name] + each[1][name])


def test_leaves_that_are_given_one_tensor_do_not_share_it() -> None:
    """Autograd may give two leaves the same tensor, or one that is expanded from a number."""
    one, two = (torch.ones(3, requires_grad=True) for _ in range(2))
    terms = {"a": (one + two).sum(), "b": one.square().sum() + two.square().sum()}
    Fixed({"a": 2.0, "b": 3.0}).backward(terms)
    assert one.grad.tolist() == two.grad.tolist() == [8.0] * 3
    one.grad.zero_()
    assert two.grad.tolist() == [8.0] * 3


def test_sparse_gradients_stay_sparse() -> None:
    """Those of an embedding that asks for them."""
    table, side = nn.Embedding(5, 2, sparse=True), nn.Parameter(torch.ones(2))
    rows = table(torch.tensor([1, 1, 3])) * side
    terms = {"a": rows.sum() + side.sum(), "b": rows.square().sum() + table.weight.new_ones(())}
    Fixed({"a": 2.0, "b": 1.0}).backward(terms)
    ours = table.weight.grad
    assert ours.is_sparse
    table.weight.grad = None
    rows = table(torch.tensor([1, 1, 3])) * side
    (2 * rows.sum() + rows.square().sum()).backward()
    torch.testing.assert_close(ours.to_dense(), table.weight.grad.to_dense())


def test_a_leaf_outside_of_the_model_has_its_gradient() -> None:
    """An ordinary pass fills it, so this one does."""
    net, outside = Net(), torch.ones(6, requires_grad=True)
    z = net.trunk(batch())
    terms = {
        "a": (net.heads["a"](z * outside)).sum() + net.trunk[0].weight.sum(),
        "b": net.heads["b"](z).sum(),
    }
    Fixed({"a": 2.0, "b": 1.0}).backward(terms, model=net)
    z = net.trunk(batch())
    (expected,) = torch.autograd.grad(net.heads["a"](z * outside).sum(), outside)
    torch.testing.assert_close(outside.grad, expected)


def test_a_pass_that_is_not_finite_arrives_so() -> None:
    """The gradients show it, for the user's own checks, and the weights are held."""
    net, balance = Net(), GradientShare(WEIGHTS)
    balance.backward(parted(net, batch()))
    held = balance.weights
    terms = parted(net, batch())
    terms["b"] = terms["b"] * float("nan")
    with pytest.warns(PoiseWarning, match="the gradient of 'b' is not finite"):
        balance.backward(terms)
    assert balance.weights == held
    assert balance.skipped == 1
    assert not net.trunk[0].weight.grad.isfinite().all()


def test_a_second_pass_is_refused() -> None:
    """The graph is freed, as by any backward pass."""
    net, balance = Net(), Fixed(WEIGHTS)
    terms = parted(net, batch())
    balance.backward(terms)
    with pytest.raises(GraphError, match="expected a graph that can be passed backward"):
        balance.backward(terms)


def test_float16_is_measured_with_a_scale_of_its_own() -> None:
    """So its passes are no ones to train with; bfloat16 has the range of float32."""
    p = torch.ones(2, requires_grad=True)
    assert not at_once(Graph({"a": p.half().sum().float(), "b": p.sum()}))
    assert at_once(Graph({"a": p.bfloat16().sum().float(), "b": p.sum()}))


def test_rows_are_used_up_as_they_are_added() -> None:
    """No term's gradient outlives the sum it went into."""
    p = torch.ones(2, requires_grad=True)
    rows = Rows.of(Graph({"a": p.sum(), "b": p.sum()}))
    ones = dict.fromkeys("ab", torch.ones(()))
    rows.deliver(ones, lambda leaf: False, everywhere=False)  # noqa: ARG005
    assert rows.pieces == {"a": {}, "b": {}}


def test_hooks_of_what_one_term_uses_see_what_they_always_see() -> None:
    """Its pass is the training's own: once, and with the gradient of an ordinary pass."""
    net, seen = Net(), []
    terms = parted(net, batch())
    for name, one in terms.items():
        one.register_hook(lambda gradient, name=name: seen.append((name, gradient.item())))
        one.register_hook(lambda _: seen.append(("probing", poise.probe.probing())))
    Fixed(WEIGHTS).backward(terms)
    assert sorted(seen) == [*((n, 1.0) for n in NAMES), *[("probing", False)] * 3]
