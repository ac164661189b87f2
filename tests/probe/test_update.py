"""Update shares against what the optimizers of torch really do."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from poise.probe import Graph, at_shared, update_share
from tests.probe.nets import alone, batch, net

SETUPS = [
    (torch.optim.SGD, {"lr": 0.1}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (torch.optim.Adam, {"lr": 0.01}),
    (torch.optim.Adam, {"lr": 0.01, "amsgrad": True, "betas": (0.5, 0.6)}),
    (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.0}),
    (torch.optim.NAdam, {"lr": 0.01}),
    (torch.optim.RAdam, {"lr": 0.01, "betas": (0.9, 0.9)}),
    (torch.optim.RAdam, {"lr": 0.01}),
    (torch.optim.RMSprop, {"lr": 0.01}),
    (torch.optim.RMSprop, {"lr": 0.01, "centered": True, "momentum": 0.9}),
]
MOMENTA = ("exp_avg", "momentum_buffer")


def true_step(model: nn.Module, optimizer: torch.optim.Optimizer, total: Tensor) -> Tensor:
    """What the coming step would do without momentum from earlier steps: -P g as one vector."""
    twin, other = copy.deepcopy((model, optimizer))
    for state in other.state.values():
        for key in MOMENTA:
            if isinstance(state.get(key), Tensor):
                state[key].zero_()
    before = [one.detach().clone() for one in twin.parameters()]
    at = 0
    for one in twin.parameters():
        one.grad = total[at : at + one.numel()].view_as(one).to(one.dtype)
        at += one.numel()
    other.step()
    pairs = zip(before, twin.parameters(), strict=True)
    return torch.cat([(old - one.detach()).double().flatten() for old, one in pairs])


@pytest.mark.parametrize(("kind", "options"), SETUPS)
@pytest.mark.parametrize("steps", [0, 1, 12])
def test_preconditioner_is_the_optimizers(kind: type, options: dict, steps: int) -> None:
    """P applied to the whole gradient is the step that the optimizer really takes."""
    model = net(0, ["a"]).double()
    parameters = list(model.parameters())
    split = {"lr": options["lr"] * 3}
    groups = [{"params": parameters[:2]}, {"params": parameters[2:]} | split]
    optimizer = kind(groups, **options)
    for k in range(steps):
        optimizer.zero_grad()
        model(batch(k).double())["a"].backward()
        optimizer.step()
    terms = model(batch(99).double())
    gradient = torch.autograd.grad(terms["a"], parameters)
    whole = torch.cat([one.flatten() for one in gradient])
    expected = true_step(model, optimizer, whole)
    found = update_share(optimizer, parameters, {"a": gradient})
    assert found.supported
    assert found.norms["a"] == pytest.approx(float(expected.norm()), rel=1e-4)
    assert found.shares["a"] == pytest.approx(1.0)


@pytest.mark.parametrize(("kind", "options"), SETUPS)
@pytest.mark.parametrize("seed", range(2))
def test_shares_against_the_real_step(kind: type, options: dict, seed: int) -> None:
    """Share of a term: its part P g_k along the step, with P = step / gradient by element."""
    model = net(seed, ["a", "b", "c"]).double()
    optimizer = kind(model.parameters(), **options)
    for k in range(8):
        optimizer.zero_grad()
        sum(model(batch(k).double()).values()).backward()
        optimizer.step()
    terms = model(batch(50).double())
    weights = {"a": 1.0, "b": 0.3, "c": 2.0}
    graph = Graph(terms, model)
    everything = {n: weights[n] * g for n, g in alone(terms, list(model.parameters())).items()}
    whole = sum(everything.values())
    by = true_step(model, optimizer, whole) / whole
    shared = torch.cat(
        [
            torch.full((one.numel(),), float(name in graph.shared))
            for name, one in model.named_parameters()
        ]
    ).bool()
    parts = {n: (by * g)[shared] for n, g in everything.items()}
    step = sum(parts.values())
    found = at_shared(graph, weights=weights, optimizer=optimizer).update
    assert found is not None
    assert found.shares == pytest.approx(
        {n: float(one @ step / (step @ step)) for n, one in parts.items()}, rel=1e-3, abs=1e-4
    )
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.to_record() == {"update": found.shares}


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_coupled_weight_decay_enters_the_second_moment(kind: type) -> None:
    """Adam's decay is part of its gradient; the decoupled one and SGD's leave P as it is."""
    p = torch.full((2,), 5.0, requires_grad=True)
    gradients = {"a": [torch.tensor([1.0, 0.1])]}
    plain = update_share(kind([p], lr=0.1, weight_decay=0.0), [p], gradients)
    decayed = update_share(kind([p], lr=0.1, weight_decay=0.5), [p], gradients)
    changed = decayed.norms["a"] != pytest.approx(plain.norms["a"])
    assert changed == (kind is torch.optim.Adam)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.NAdam, {}),
        (torch.optim.RAdam, {"betas": (0.9, 0.9)}),
        (torch.optim.RMSprop, {"centered": True}),
        (torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_maximising_is_minimising_the_opposite(kind: type, options: dict) -> None:
    """With coupled weight decay, whose sign does not turn around, the shares are the same."""
    found = []
    for sign in (1.0, -1.0):
        p = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
        optimizer = kind([p], lr=1e-2, weight_decay=0.5, maximize=sign < 0, **options)
        for k in range(8):
            p.grad = sign * torch.tensor([0.3, 0.9, -0.2 * k])
            optimizer.step()
        gradients = {
            "a": [sign * torch.tensor([0.45, 1.0, 0.1])],
            "b": [sign * torch.tensor([0.05, 0.0, -3.0])],
        }
        found.append((p.detach().clone(), update_share(optimizer, [p], gradients).shares))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-6)


def test_others_are_not_supported() -> None:
    """Another optimizer, or a subclass with a step of its own, is a result and no exception."""

    class Mine(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            """Does nothing."""

    class Renamed(torch.optim.Adam):
        pass

    p = torch.ones(2, requires_grad=True)
    gradients = {"a": [torch.ones(2)]}
    for optimizer in (torch.optim.Adagrad([p]), Mine([p], lr=0.1)):
        found = update_share(optimizer, [p], gradients)
        assert not found.supported
        assert "is not known to poise" in found.reason
        assert set(found.to_record()) == {"update_unsupported"}
    assert update_share(Renamed([p]), [p], gradients).supported
    elsewhere = update_share(torch.optim.SGD([torch.ones(1)], lr=0.1), [p], gradients)
    assert elsewhere.reason == "no measured parameter belongs to the optimizer"


def test_zero_rate_and_zero_gradient() -> None:
    """A learning rate of 0 gives the shares of equal rates; no gradient gives NaN."""
    p = torch.ones(2, requires_grad=True)
    gradients = {"a": [torch.tensor([3.0, 0.0])], "b": [torch.tensor([1.0, 0.0])]}
    assert update_share(torch.optim.SGD([p], lr=0.0), [p], gradients).shares == {
        "a": pytest.approx(0.75),
        "b": pytest.approx(0.25),
    }
    nothing = update_share(torch.optim.Adam([p]), [p], {"a": [torch.zeros(2)]})
    assert math.isnan(nothing.shares["a"])


def test_the_state_of_the_optimizer_is_read_only() -> None:
    """Measuring changes neither the state nor the parameters."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    sum(model(batch()).values()).backward()
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict())
    at_shared(Graph(model(batch(1)), model), optimizer=optimizer)
    after = optimizer.state_dict()
    for key, state in before["state"].items():
        assert all(torch.equal(value, after["state"][key][name]) for name, value in state.items())


def test_sparse_and_complex_gradients() -> None:
    """Sparse gradients are made dense, complex ones have a share, half ones do not overflow."""
    table = nn.Embedding(5, 2, sparse=True)
    (sparse,) = torch.autograd.grad(table(torch.tensor([1])).sum(), table.weight)
    assert update_share(
        torch.optim.SGD([table.weight], lr=1.0), [table.weight], {"a": [sparse]}
    ).norms["a"] == pytest.approx(2**0.5)
    z = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    found = update_share(torch.optim.Adam([z]), [z], {"a": [torch.ones(2) * (1 + 1j)]})
    assert found.shares["a"] == pytest.approx(1.0)
    half = torch.ones(2, dtype=torch.float16, requires_grad=True)
    large = {"a": [torch.full((2,), 60000.0, dtype=torch.float16)]}
    assert math.isfinite(update_share(torch.optim.Adam([half]), [half], large).norms["a"])
