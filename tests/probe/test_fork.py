"""Forks: the gradient is unchanged, and what each term sends is measured."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from poise.errors import ForkError, PoiseWarning
from poise.probe import Fork, Gradients, fork, listen
from tests.probe.nets import alone, batch, net, products


class Pair(NamedTuple):
    """A tensor with a gradient and one without."""

    mean: Tensor
    mask: Tensor


def close(reading: Gradients | None, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Asserts that a reading holds the expected products."""
    assert reading is not None
    torch.testing.assert_close(reading.products, expected, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_two_terms_change_no_bit(seed: int, dtype: torch.dtype) -> None:
    """With two terms every parameter gets the same bits as without a fork."""
    plain, forked = net(seed).to(dtype), net(seed).to(dtype)
    x = batch(seed).to(dtype)
    sum(plain(x).values()).backward()
    sum(forked(x, Fork(["a", "b"])).values()).backward()
    for one, other in zip(plain.parameters(), forked.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 3, 8])
def test_terms_in_order_change_no_bit(seed: int, count: int) -> None:
    """Computed in the order of the names, any number of terms adds up as autograd does."""
    names = [f"t{k}" for k in range(count)]
    plain, forked = net(seed, names), net(seed, names)
    sum(plain(batch(seed)).values()).backward()
    sum(forked(batch(seed), Fork(names)).values()).backward()
    for one, other in zip(plain.parameters(), forked.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_other_orders_differ_by_rounding_only() -> None:
    """In any other order the sum differs by rounding."""
    names = [f"t{k}" for k in range(6)]
    plain, forked = net(1, names), net(1, names)
    sum(plain(batch()).values()).backward()
    sum(forked(batch(), Fork(names[::-1])).values()).backward()
    for one, other in zip(plain.parameters(), forked.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)


@given(
    count=st.integers(1, 9),
    rows=st.integers(1, 40),
    exponent=st.integers(-30, 30),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_gramian_at_any_scale(count: int, rows: int, exponent: int, seed: int) -> None:
    """Norms and inner products agree with float64 vectors from 1e-30 to 1e30."""
    made = torch.Generator().manual_seed(seed)
    wanted = torch.randn(count, rows, 3, generator=made) * 10.0**exponent
    z = torch.zeros(rows, 3, requires_grad=True)
    names = [f"t{k}" for k in range(count)]
    split = Fork(names)
    parts = split(z)
    torch.stack([(parts[n] * g).sum() for n, g in zip(names, wanted, strict=True)]).sum().backward()
    side = wanted.double().flatten(1)
    size = side.norm(dim=1)
    scale = size[:, None] * size
    assert split.last is not None
    assert torch.all((split.last.products - side @ side.T).abs() <= 1e-5 * scale)


@pytest.mark.parametrize("seed", range(3))
def test_gramian_is_that_of_each_term_alone(seed: int) -> None:
    """At the trunk's output the reading is what separate backward passes give."""
    model, split = net(seed, "abcd"), Fork(list("abcd"))
    z = model.trunk(batch(seed)).detach().requires_grad_()
    terms = {n: 10.0**k * model.heads[n](z).square().mean() for k, n in enumerate("abcd")}
    expected = products(alone(terms, [z]))
    parts = split(z)
    sum(10.0**k * model.heads[n](parts[n]).square().mean() for k, n in enumerate("abcd")).backward()
    close(split.last, expected)


def test_a_term_without_gradient_is_absent() -> None:
    """An unused branch has no row, and the others are as ever."""
    z = torch.ones(3, requires_grad=True)
    split = Fork(["a", "idle", "b"])
    parts = split(z)
    (parts["a"].sum() + 2 * parts["b"].sum() + parts["idle"].detach().sum()).backward()
    assert split.last is not None
    assert split.last.terms == ("a", "b")
    assert split.last.absent == ("idle",)
    assert split.last.gramian == [[3.0, 6.0], [6.0, 12.0]]
    assert torch.equal(z.grad, torch.full((3,), 3.0))
    assert split.last.to_record()["absent"] == ["idle"]


def test_nothing_used_is_no_reading() -> None:
    """If no copy is used there is neither a reading nor a gradient."""
    z = torch.ones(3, requires_grad=True)
    split = Fork(["a", "b"])
    split(z)
    (z * 2).sum().backward()
    assert split.last is None


def test_trees_of_tensors() -> None:
    """Dicts and named tuples keep their shape; integers and others are handed on as they are."""
    first, second = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    mask = torch.tensor([True, False])
    tree = {"x": first, "more": [Pair(second, mask), "text", None], "again": first}
    split = Fork(["a", "b"])
    parts = split(tree)
    assert parts["a"]["more"][0].mask is mask
    assert parts["a"]["more"][1:] == ["text", None]
    assert parts["a"]["x"] is parts["a"]["again"]
    total = parts["a"]["x"].sum() + parts["b"]["more"][0].mean.sum() + 2 * parts["b"]["again"].sum()
    total.backward()
    assert split.last is not None
    assert split.last.gramian == [[2.0, 4.0], [4.0, 8.0 + 3.0]]
    assert torch.equal(first.grad, torch.full((2,), 3.0))
    assert torch.equal(second.grad, torch.ones(3))


def test_several_forks_and_double_use() -> None:
    """Each fork and each call of one has its own reading."""
    inner, outer = Fork(["a", "b"], name="inner"), Fork(["c", "d"], name="outer")
    z = torch.ones(2, requires_grad=True)
    seen: list[str] = []
    with listen(lambda reading: seen.append(reading.where)):
        first = outer(z)
        second = inner(first["c"])
        third = inner(z)
        total = second["a"].sum() + 2 * second["b"].sum() + first["d"].sum()
        (total + 5 * third["a"].sum()).backward()
    assert sorted(seen) == ["fork:inner", "fork:inner", "fork:outer"]
    assert sorted(one.terms for one in inner.readings) == [("a",), ("a", "b")]
    assert outer.last is not None
    assert outer.last.norms == pytest.approx({"c": 3 * 2**0.5, "d": 2**0.5})
    assert torch.equal(z.grad, torch.full((2,), 9.0))


def test_retain_graph_and_accumulation() -> None:
    """Every backward pass is a reading of its own."""
    model, split = net(), Fork(["a", "b"])
    total = sum(model(batch(), split).values())
    total.backward(retain_graph=True)
    (2 * total).backward()
    first, second = split.readings
    torch.testing.assert_close(second.products, 4 * first.products)
    for k in range(20):
        sum(model(batch(k), split).values()).backward()
    assert len(split.readings) == 8
    split.clear()
    assert split.last is None


def test_weights_and_loss_scale() -> None:
    """A loss scale is divided out of the reading and stays in the gradient."""
    gradients = []
    for scale, asked in ((1.0, None), (2.0**16, 2.0**16), (2.0**16, lambda: torch.tensor(2.0**16))):
        model, split = net(), Fork(["a", "b"], scale=asked)
        (scale * sum(model(batch(), split).values())).backward()
        assert split.last is not None
        gradients.append((split.last.products, model.trunk[0].weight.grad / scale))
    for found, grad in gradients[1:]:
        torch.testing.assert_close(found, gradients[0][0])
        torch.testing.assert_close(grad, gradients[0][1])


def test_grad_scaler_and_autocast() -> None:
    """Under mixed precision the trunk gets the same bits and the reading is unscaled."""
    found = {}
    for forked in (False, True):
        model = net(3)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        split = Fork(["a", "b"], scale=scaler.get_scale)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with torch.autocast("cpu", torch.bfloat16):
            total = sum(model(batch(), split if forked else None).values())
            scaler.scale(total).backward()
        scaler.step(optimizer)
        scaler.update()
        found[forked] = [one.detach().clone() for one in model.parameters()]
    assert all(map(torch.equal, found[False], found[True]))
    assert split.last is not None
    reference, plain = Fork(["a", "b"]), net(3)
    sum(plain(batch(), reference).values()).backward()
    assert reference.last is not None
    assert split.last.norms == pytest.approx(reference.last.norms, rel=0.05)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(reentrant: bool) -> None:
    """Inside a checkpoint there is one reading for one backward pass, and the same bits."""
    plain, forked, split = net(2), net(2), Fork(["a", "b"])

    def part(x: Tensor) -> Tensor:
        return sum(forked(x, split).values())

    sum(plain(batch()).values()).backward()
    checkpoint(part, batch().requires_grad_(), use_reentrant=reentrant).backward()
    assert len(split.readings) == 1
    for one, other in zip(plain.parameters(), forked.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_no_gradient_modes() -> None:
    """Without gradients the tensor itself is handed out."""
    z = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert fork(z, ["a", "b"])["a"] is z
    with torch.inference_mode():
        assert fork(z, ["a", "b"])["b"] is z
        inside = torch.ones(2)
        assert fork(inside, ["a"])["a"] is inside
    assert fork(torch.ones(2), ["a"])["a"].grad_fn is None


def test_changing_a_copy_in_place_is_refused() -> None:
    """An in-place operation on a copy would reach the other terms; torch says so."""
    parts = fork(torch.ones(2, requires_grad=True) * 1, ["a", "b"])
    with pytest.raises(RuntimeError, match="modified inplace"):
        parts["a"].relu_()


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own
def test_higher_derivatives_and_transforms() -> None:
    """Double backward, forward mode, func.grad and vmap give what they give without a fork."""
    z = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def value(one: Tensor, split: Callable[..., dict[str, Tensor]] = fork) -> Tensor:
        parts = split(one, ["a", "b", "c"])
        return (parts["a"] ** 3).sum() + (parts["b"] ** 2 * parts["c"]).sum()

    with listen(lambda _: None):
        (first,) = torch.autograd.grad(value(z), z, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), z)
    plain = value(z, lambda one, names: dict.fromkeys(names, one))
    (expected,) = torch.autograd.grad(plain, z, create_graph=True)
    torch.testing.assert_close(second, torch.autograd.grad(expected.sum(), z)[0])
    torch.testing.assert_close(torch.func.grad(value)(z.detach()), expected.detach())
    each = torch.func.vmap(torch.func.grad(value))(torch.stack([z.detach()] * 2))
    torch.testing.assert_close(each[1], expected.detach())
    _, along = torch.autograd.functional.jvp(value, z.detach(), torch.ones(3))
    torch.testing.assert_close(along, expected.sum().detach())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(z, torch.ones(3))
        tangent = torch.autograd.forward_ad.unpack_dual(value(dual)).tangent
    torch.testing.assert_close(tangent, expected.sum().detach())


def test_batched_gradients_are_not_measured() -> None:
    """Several gradients at once under vmap have no numbers to look at."""
    z, split = torch.ones(2, requires_grad=True), Fork(["a", "b"])
    parts = split(z)
    out = parts["a"] + 2 * parts["b"]
    (found,) = torch.autograd.grad(out, z, torch.eye(2), is_grads_batched=True)
    assert torch.equal(found, 3 * torch.eye(2))
    assert split.last is None


def test_complex_tensors() -> None:
    """Complex gradients count as pairs of real numbers."""
    z, split = torch.ones(2, dtype=torch.complex64, requires_grad=True), Fork(["a", "b"])
    parts = split(z)
    (parts["a"].real.sum() + parts["b"].imag.sum() * 2).backward()
    assert split.last is not None
    assert split.last.gramian == [[2.0, 0.0], [0.0, 8.0]]


def test_one_term_with_nan_spoils_no_other() -> None:
    """A non-finite gradient makes its own products non-finite, the others stay exact."""
    z, split = torch.zeros(2, requires_grad=True), Fork(["good", "bad"])
    parts = split(z)
    (3 * parts["good"].sum() + parts["bad"].sqrt().sum()).backward()
    assert split.last is not None
    assert split.last.norms["good"] == pytest.approx(18**0.5)
    assert not split.last.norms["bad"] < float("inf")


def test_copies_and_pickles_of_models() -> None:
    """A model with a fork can be copied and saved; the copy starts without readings."""
    model = net()
    model.split = Fork(["a", "b"], name="trunk", scale=2.0)
    listener = model.split.listen(lambda _: None)
    sum(model(batch(), model.split).values()).backward()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model.split))):
        split = other if isinstance(other, Fork) else other.split
        assert split.readings == ()
        assert repr(split) == "Fork(['a', 'b'], name='trunk')"
        assert fork(torch.ones(1), split.terms).keys() == {"a", "b"}
    assert model.split.last is not None
    listener.remove()
    listener.remove()


def test_no_memory_beyond_the_step() -> None:
    """After the step nothing of the graph or the gradients is kept."""
    split = Fork(["a", "b"])
    z = torch.ones(1000, requires_grad=True) * 1
    gone = weakref.ref(z)
    parts = split(z)
    total = parts["a"].sum() + parts["b"].sum()
    total.backward()
    del z, parts, total
    gc.collect()
    assert gone() is None
    assert split.last is not None
    assert split.last.products.untyped_storage().nbytes() == 4 * 8


def test_listeners_and_switches() -> None:
    """A removed listener and a fork that does not measure are told nothing."""
    z, split = torch.ones(2, requires_grad=True), Fork(["a"])
    mine: list[Gradients] = []
    everyone: list[Gradients] = []
    with split.listen(mine.append), listen(everyone.append):
        split(z)["a"].sum().backward()
        fork(z, ["x"], name="loose")["x"].sum().backward()
    split(z)["a"].sum().backward()
    split.measuring = False
    split(z)["a"].sum().backward()
    assert [one.where for one in mine] == ["fork:fork"]
    assert [one.where for one in everyone] == ["fork:fork", "fork:loose"]
    assert len(split.readings) == 2


def test_frozen_trunk() -> None:
    """A tensor without gradient is handed on as it is."""
    model, split = net(), Fork(["a", "b"])
    model.trunk.requires_grad_(False)
    sum(model(batch(), split).values()).backward()
    assert split.last is None
    assert model.heads["a"].weight.grad is not None


@pytest.mark.parametrize("names", [[], ["a", "a"], "", [1], "text"])
def test_names_must_be_different_texts(names: object) -> None:
    """Anything but a list of different names is refused."""
    with pytest.raises(ForkError, match="expected the names of the terms"):
        Fork(names)  # type: ignore[arg-type]


def test_views() -> None:
    """A fork takes views, too."""
    z = torch.ones(2, 3, requires_grad=True)
    split = Fork(["a", "b"])
    parts = split(z[:, :2])
    (parts["a"].sum() + parts["b"].sum()).backward()
    assert split.last is not None
    assert split.last.cosine("a", "b") == pytest.approx(1.0)
    assert split.last.conflicts == ()


@pytest.mark.parametrize("training", [True, False])
def test_every_term_gets_containers_of_its_own(training: bool) -> None:
    """In evaluation as in training, what one term puts into its dict the others do not see."""
    x = torch.ones(2, requires_grad=training)
    tree = {"x": x, "more": [x]}
    parts = fork(tree, ["a", "b"])
    parts["a"]["x"] = x * 0
    parts["a"]["more"].append(x)
    assert parts["b"]["x"].tolist() == tree["x"].tolist() == [1.0, 1.0]
    assert len(parts["b"]["more"]) == len(tree["more"]) == 1


def test_a_failing_listener_does_not_stop_the_backward_pass() -> None:
    """It is told once; the gradient and the other listeners are as ever."""

    def broken(reading: Gradients) -> None:
        raise ZeroDivisionError("of mine")

    seen: list[Gradients] = []
    z = torch.ones(2, requires_grad=True)

    def step() -> None:
        parts = split(z)
        (parts["a"].sum() + parts["b"].sum()).backward()

    split = Fork(["a", "b"], name="trunk")
    with listen(broken), split.listen(broken), listen(seen.append):
        with pytest.warns(PoiseWarning, match="fork:trunk: a listener failed with ZeroDiv") as told:
            step()
        step()
    assert len(told) == 2  # one for each of the two
    assert (len(seen), z.grad.tolist()) == (2, [4.0, 4.0])
