"""Balancers under what trainings do besides: half precision, checkpoints, compilers, copies."""

import copy
import pickle
from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from poise.balance import Balancer, Method
from poise.balance.share import GradientShare
from poise.errors import GraphError
from tests.balance.nets import NAMES, Net, batch

# the compiler itself looks at the gradient of tensors that are no leaves
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")

SHARES = {"a": 0.2, "b": 0.3, "c": 0.5}
Make = Callable[..., Balancer]
RULES: dict[str, Make] = {
    "share": lambda **options: GradientShare(SHARES, **options),
    "upgrad": lambda **options: Method("upgrad", NAMES, **options),
}
RULE = pytest.mark.parametrize("make", RULES.values(), ids=RULES)
WAY = pytest.mark.parametrize("way", ["fork", "bottleneck", "passes"])
Found = tuple[dict[str, Tensor], dict[str, float]]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """No compiled code of another test."""
    yield
    torch._dynamo.reset()


def terms_of(net: Net, balance: Balancer, way: str, given: Tensor) -> dict[str, Tensor]:
    """The terms, with a fork, without one, or with a shared weight that one of them looks at."""
    if way == "fork":
        return net.terms(given, balance.fork(net.trunk(given)))
    terms = net.terms(given)
    if way == "passes":
        terms["a"] = terms["a"] + 0.1 * net.trunk[0].weight.square().sum()
    return terms


def passed(balance: Balancer, way: str, terms: Mapping[str, Tensor], scale: float = 1.0) -> None:
    """One balanced backward pass of terms that are all multiplied with a scale."""
    if way == "fork":
        (balance.total(terms) * scale).backward()
    else:
        balance.backward({name: one * scale for name, one in terms.items()})


def step(net: Net, balance: Balancer, way: str, given: Tensor) -> Found:
    """Gradients and weights of one pass."""
    passed(balance, way, terms_of(net, balance, way, given))
    return net.taken(), balance.weights


def equal(one: Found, other: Found) -> None:
    """The same bits."""
    assert one[1] == other[1]
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0])


def near(one: Found, other: Found, rtol: float = 1e-5) -> None:
    """Equal up to rounding, in units of the largest element of each tensor."""
    assert one[1] == pytest.approx(other[1], rel=rtol)
    for name, expected in other[0].items():
        size = float(expected.abs().max())
        torch.testing.assert_close(one[0][name], expected, rtol=rtol, atol=rtol * size)


# Precision.


@RULE
@WAY
def test_grad_scaler_changes_nothing(make: Make, way: str) -> None:
    """Scaled by 65,536 and unscaled, a training has the weights and gradients of the plain one."""
    plain, scaled = Net(), Net()
    balances = make(), make()
    optimizer = torch.optim.SGD(scaled.parameters(), lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0, growth_interval=2)
    for k in range(4):
        passed(balances[1], way, terms_of(scaled, balances[1], way, batch(k)), scaler.get_scale())
        scaler.scale(torch.ones(()))  # as scaler.scale(total) does, so that it knows the device
        scaler.unscale_(optimizer)
        found = scaled.taken(), balances[1].weights
        scaler.step(optimizer)
        scaler.update()
        near(found, step(plain, balances[0], way, batch(k)), rtol=1e-6)
    assert scaler.get_scale() > 65536.0  # it grew meanwhile


@pytest.mark.parametrize("way", ["fork", "bottleneck"])
def test_a_fixed_total_takes_the_scale(way: str) -> None:
    """With total=1 the norms are absolute: `scale` makes them those of the unscaled gradient."""
    plain, scaled = Net(), Net()
    one = GradientShare(SHARES, total=1.0)
    other = GradientShare(SHARES, total=1.0, scale=lambda: 1024.0)
    passed(other, way, terms_of(scaled, other, way, batch()), 1024.0)
    found = {name: grad / 1024.0 for name, grad in scaled.taken().items()}, other.weights
    near(found, step(plain, one, way, batch()), rtol=1e-6)


@RULE
def test_an_overflow_is_left_to_the_scaler(make: Make) -> None:
    """A step that overflows is skipped by the scaler and not remembered by the balancer."""
    net, balance = Net(), make()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    before = copy.deepcopy(list(net.parameters()))
    with pytest.warns(match="is not finite"):
        scaler.scale(balance.total(terms_of(net, balance, "fork", batch()))).backward()
    scaler.step(optimizer)
    scaler.update()
    assert balance.skipped == 1
    assert scaler.get_scale() == 2.0**126
    assert all(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))


@RULE
@WAY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_keeps_the_state_wide(make: Make, way: str, dtype: torch.dtype) -> None:
    """Under autocast the memory stays float64 and the weights are near those of float32."""
    plain, half = Net(), Net()
    balances = make(), make()
    for k in range(3):
        with torch.autocast("cpu", dtype):
            terms = terms_of(half, balances[1], way, batch(k))
        passed(balances[1], way, terms)
        found = half.taken(), balances[1].weights
        near(found, step(plain, balances[0], way, batch(k)), rtol=0.1)
    for name, one in balances[1].state_dict().items():
        assert not isinstance(one, Tensor) or one.dtype not in {dtype, torch.float32}, name


@RULE
@WAY
def test_a_model_in_bfloat16(make: Make, way: str) -> None:
    """Gradients keep the model's type, the memory its own, and both are near those of float32."""
    plain, half = Net(), Net().bfloat16()
    balances = make(), make()
    for k in range(3):
        found, weights = step(half, balances[1], way, batch(k).bfloat16())
        assert all(one.dtype == torch.bfloat16 for one in found.values())
        wide = {name: one.float() for name, one in found.items()}
        near((wide, weights), step(plain, balances[0], way, batch(k)), rtol=0.1)


# Accumulation and clipping.


@RULE
def test_micro_batches_of_a_step_are_the_full_batch(make: Make) -> None:
    """At a fork, gradients and Gramian of 4 micro-batches are those of the batch, in every step.

    But for the very first, whose first micro-batch decides alone.
    """
    nets, optimizers, balances, held = [Net(), Net()], [], [], []
    for net in nets:
        optimizers.append(torch.optim.SGD(net.parameters(), lr=1e-4))
        balances.append(make(optimizer=optimizers[-1]))
    start = make()
    step(Net(), start, "fork", batch(99))
    for one in balances:
        one.load_state_dict(start.state_dict())
    for k in range(4):
        given = batch(k, rows=8)
        for net, balance, optimizer, pieces in zip(
            nets, balances, optimizers, [given.split(8), given.split(2)], strict=True
        ):
            for piece in pieces:
                terms = terms_of(net, balance, "fork", piece)
                (balance.total(terms) / len(pieces)).backward()
                held.append(balance.weights)
            optimizer.step()
            optimizer.zero_grad()
        full, micro = (
            ({name: p.detach() for name, p in net.named_parameters()}, balance.weights)
            for net, balance in zip(nets, balances, strict=True)
        )
        near(micro, full)
        assert held[-4] == held[-3] == held[-2] == held[-1]
    assert held[-5] != held[0]


@RULE
@WAY
def test_clipping_comes_after(make: Make, way: str) -> None:
    """Clipping shortens the balanced gradient and changes nothing that is remembered."""
    one, other = Net(), Net()
    balances = make(), make()
    for k in range(3):
        passed(balances[0], way, terms_of(one, balances[0], way, batch(k)))
        norm = nn.utils.clip_grad_norm_(one.parameters(), 1e-3)
        plain = step(other, balances[1], way, batch(k))
        shorter = {name: grad * (1e-3 / norm) for name, grad in plain[0].items()}
        near((one.taken(), balances[0].weights), (shorter, plain[1]), rtol=1e-4)


# Checkpoints and compilers.


@RULE
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("way", ["fork", "bottleneck"])
def test_checkpointed_layers(make: Make, reentrant: bool, way: str) -> None:
    """A trunk whose activations are computed anew has the bits of the plain one."""
    net, plain = Net(), Net()
    balances = make(), make()
    trunk = net.trunk
    kept = trunk.forward
    trunk.forward = lambda x: checkpoint(kept, x, use_reentrant=reentrant)
    for k in range(3):
        given = batch(k)
        found = step(net, balances[0], way, given.clone().requires_grad_())
        equal(found, step(plain, balances[1], way, given))


@RULE
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_around_the_fork(make: Make, reentrant: bool) -> None:
    """A fork inside a checkpoint is measured once a step, in the recomputed graph or the first."""
    net, plain = Net(), Net()
    balances = make(), make()

    def whole(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(terms_of(net, balances[0], "fork", x).values())

    for k in range(3):
        given = batch(k).requires_grad_()
        terms = checkpoint(whole, given, use_reentrant=reentrant)
        balances[0].total(dict(zip(NAMES, terms, strict=True))).backward()
        near((net.taken(), balances[0].weights), step(plain, balances[1], "fork", batch(k)))
        assert int(balances[0].keeper.steps) == k + 1


@RULE
@pytest.mark.parametrize("part", ["trunk", "heads", "both"])
@pytest.mark.parametrize("way", ["fork", "bottleneck"])
def test_compiled_parts(make: Make, part: str, way: str) -> None:
    """With a compiled trunk or heads, weights and gradients are those of the plain model."""
    net, plain = Net(), Net()
    balances = make(), make()
    if part != "heads":
        net.trunk.compile(backend="aot_eager")
    if part != "trunk":
        for head in net.heads.values():
            head.compile(backend="aot_eager")
    for k in range(2):
        near(step(net, balances[0], way, batch(k)), step(plain, balances[1], way, batch(k)))


@RULE
def test_a_compiled_model_with_a_fork_inside(make: Make) -> None:
    """The graph breaks at the fork; weights and gradients are those of the plain model."""
    net, plain = Net(), Net()
    balances = make(), make()
    compiled = torch.compile(terms_of, backend="aot_eager")
    for k in range(2):
        passed(balances[0], "fork", compiled(net, balances[0], "fork", batch(k)))
        found = net.taken(), balances[0].weights
        near(found, step(plain, balances[1], "fork", batch(k)))


@RULE
def test_a_model_that_is_one_compiled_graph_is_refused(make: Make) -> None:
    """Without a fork nothing can be asked of it; nobody gets weights that mean something else."""
    net, balance = Net(), make()
    terms = torch.compile(net.terms, backend="aot_eager", fullgraph=True)(batch())
    with pytest.raises(
        GraphError, match=r"one compiled graph or reentrant checkpoint; use balance\.fork"
    ):
        balance.backward(terms)
    assert all(one.grad is None for one in net.parameters())


# The life of a training.


@RULE
def test_several_forks(make: Make) -> None:
    """Each balancer weighs at its own fork; the one behind gets what the other passes on."""
    z = batch().requires_grad_()
    inner, outer = make(), make()
    first = outer.fork(z)
    second = inner.fork(first["a"].tanh())
    near_terms = {name: (k + 1) * second[name].square().sum() for k, name in enumerate(NAMES)}
    far_terms = {name: 5.0 * first[name].sum() for name in "bc"}
    outer.total({"a": inner.total(near_terms), **far_terms}).backward()
    own = batch().requires_grad_()
    y = own.tanh()
    through = sum(inner.weights[name] * 2.0 * (k + 1) * y for k, name in enumerate(NAMES))
    (back,) = torch.autograd.grad(y, own, through.detach())
    rest = 5.0 * (outer.weights["b"] + outer.weights["c"])
    torch.testing.assert_close(z.grad, outer.weights["a"] * back + rest)


class Owner(nn.Module):
    """A model that owns its balancer."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.net, self.balance = Net(), make()

    def step(self, given: Tensor) -> Found:
        """One pass with a fork."""
        return step(self.net, self.balance, "fork", given)


@RULE
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_of_a_model_that_owns_its_balancer(
    make: Make, copied: Callable[[Owner], Owner]
) -> None:
    """A copy goes on as the original does, and shares nothing with it."""
    model = Owner(make)
    for k in range(3):
        model.step(batch(k))
    other = copied(model)
    equal(other.step(batch(3)), model.step(batch(3)))
    before = model.balance.weights
    other.step(batch(4))
    assert model.balance.weights == before
    equal(other.step(batch(5)), (model.step(batch(4)), model.step(batch(5)))[1])


@RULE
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_evaluation_leaves_no_trace(make: Make, mode: Callable[[], torch.no_grad]) -> None:
    """Without gradients a fork hands copies out, a total adds up, and nothing is remembered."""
    net, balance = Net(), make()
    step(net, balance, "fork", batch())
    before = copy.deepcopy(balance.state_dict())
    with mode():
        terms = terms_of(net, balance, "fork", batch(1))
        total = balance.total(terms)
    assert total.item() == pytest.approx(sum(float(one) for one in terms.values()))
    after = balance.state_dict()
    assert all(
        torch.equal(one, after[name]) for name, one in before.items() if isinstance(one, Tensor)
    )


@RULE
def test_a_graph_can_be_kept(make: Make) -> None:
    """With retain_graph the second pass is a second measurement of the same, not a mixture."""
    net, balance, fresh = Net(), make(), make()
    total = balance.total(terms_of(net, balance, "fork", batch()))
    total.backward(retain_graph=True)
    equal((net.taken(), balance.weights), step(net, fresh, "fork", batch()))
    total.backward()
    equal((net.taken(), balance.weights), step(net, fresh, "fork", batch()))


@RULE
@WAY
def test_an_exception_in_a_pass_leaves_no_hook(make: Make, way: str) -> None:
    """A backward pass that fails in a head is not remembered; the next one is as if it was not."""
    net, balance, fresh = Net(), make(), make()
    terms = terms_of(net, balance, way, batch())

    def fail(_: Tensor) -> None:
        raise LookupError("in the head")

    handle = net.heads["a"].weight.register_hook(fail)
    with pytest.raises(LookupError, match="in the head"):
        passed(balance, way, terms)
    handle.remove()
    net.zero_grad()
    if way != "passes":  # there the passes that measure have succeeded before
        assert int(balance.keeper.asked) == 0
        equal(step(net, balance, way, batch(1)), step(Net(), fresh, way, batch(1)))


@WAY
def test_no_cuda_is_asked_for(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without CUDA nothing touches it."""
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("CUDA was asked for"))
    step(Net(), RULES["share"](), way, batch())
