"""Batches that lack terms, balanced where the terms would meet."""

import copy
import gc
import pickle

import pytest
import torch
from torch import Tensor

from poise.balance import Balancer, Method
from poise.balance.common import Common
from poise.balance.share import GradientShare
from poise.probe import Graph
from tests.balance.nets import NAMES, Net, batch

SHARES = {"a": 0.2, "b": 0.3, "c": 0.5}
HAVING = [NAMES, ("a",), ("b", "c"), ("c",), ("a", "b")]


def step(net: Net, balance: Balancer, having: tuple[str, ...], given: Tensor, way: str) -> None:
    """One pass of the terms that a batch has."""
    parts = balance.fork(net.trunk(given)) if way == "fork" else None
    terms = {name: one for name, one in net.terms(given, parts).items() if name in having}
    if way == "fork":
        balance.total(terms).backward()
    else:
        balance.backward(terms)


def taken(net: Net) -> dict[str, Tensor]:
    """The gradients there are, which are then dropped."""
    found = {name: one.grad for name, one in net.named_parameters() if one.grad is not None}
    net.zero_grad()
    return found


@pytest.mark.parametrize("rule", ["share", "upgrad"])
def test_batches_of_one_term_are_weighed_as_at_a_fork(rule: str) -> None:
    """What a term shares is known from the batches before, so its weight acts where it would."""
    balances = [
        GradientShare(SHARES) if rule == "share" else Method("upgrad", NAMES) for _ in range(2)
    ]
    nets = Net(), Net()
    for k, having in enumerate(HAVING):
        for net, balance, way in zip(nets, balances, ("fork", "bottleneck"), strict=True):
            step(net, balance, having, batch(k), way)
        assert balances[0].weights == balances[1].weights
        one, other = (taken(net) for net in nets)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_one_term_a_batch_from_the_start() -> None:
    """Once two terms were seen to reach the same parameters, each batch is balanced."""
    net, balance = Net(), GradientShare(SHARES)
    for k in range(6):
        step(net, balance, (NAMES[k % 3],), batch(k), "bottleneck")
        net.zero_grad()
    assert balance.weights["a"] != 1.0
    assert balance.weights["c"] != 1.0
    assert balance.last is not None
    assert balance.last.where == "fork:balance"


def test_a_parameter_that_is_gone_is_not_another_one() -> None:
    """Identities are used again after a parameter is gone; that is seen."""
    common = Common()
    p = torch.ones(2, requires_grad=True)
    common.learn(Graph({"a": p.sum(), "b": 2 * p.sum()}))
    assert common.has(p)
    key = id(p)
    del p
    gc.collect()
    other = torch.ones(2, requires_grad=True)
    common.found[id(other)] = common.found[key]
    assert not common.has(other)


def test_copies_start_anew() -> None:
    """A copy of a model has other parameters."""
    common, p = Common(), torch.ones(1, requires_grad=True)
    common.add([p])
    assert not copy.deepcopy(common).has(p)


@pytest.mark.parametrize("saved_at", [1, 2])
def test_a_state_knows_what_is_shared(saved_at: int) -> None:
    """A training that is resumed in a batch of one term weighs it as the uninterrupted one does.

    Also where each batch had one term only, and the second one was to come.
    """
    having = [("a",), ("b",), ("a",), ("c",)] if saved_at == 1 else [NAMES, ("b",), ("a",), ("c",)]
    whole, net = GradientShare(SHARES), Net()
    found: list[dict[str, Tensor]] = []
    for k, names in enumerate(having):
        if k == saved_at:
            state = pickle.loads(pickle.dumps(whole.state_dict()))  # as a file would hold it
        terms = {name: one for name, one in net.terms(batch(k)).items() if name in names}
        whole.backward(terms, model=net)
        found.append(taken(net))
    again, other = GradientShare(SHARES), Net()
    again.load_state_dict(state)
    for k, names in list(enumerate(having))[saved_at:]:
        terms = {name: one for name, one in other.terms(batch(k)).items() if name in names}
        again.backward(terms, model=other)
        for name, one in taken(other).items():
            assert torch.equal(one, found[k][name])
    assert again.state_dict()["_extra_state"] == whole.state_dict()["_extra_state"]


def test_a_state_that_is_saved_again_forgets_nothing() -> None:
    """Loaded and saved before any batch, it still has what it had."""
    balance, net = GradientShare(SHARES), Net()
    balance.backward(net.terms(batch()), model=net)
    again = GradientShare(SHARES)
    again.load_state_dict(balance.state_dict())
    reached = balance.state_dict()["_extra_state"]["reached"]
    assert again.state_dict()["_extra_state"]["reached"] == reached
    assert reached["trunk.0.weight"] == ""
    assert reached["heads.b.bias"] == "b"
