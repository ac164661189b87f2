"""A watched training with a balancer: what the record and the rules see."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

import poise
from poise.balance import Balancer, Fixed, Uncertainty
from poise.balance.share import GradientShare
from poise.watch import Watch
from tests.balance.nets import NAMES, Net, batch

SHARES = {"a": 0.2, "b": 0.3, "c": 0.5}
STEPS = 24


def watched(run: Path, balance: Balancer, way: str, net: Net) -> list[dict[str, Any]]:
    """The records of a training whose terms are 1, 100 and 10,000 times as large."""
    own = [{"params": list(balance.parameters())}] if list(balance.parameters()) else []
    optimizer = torch.optim.SGD([{"params": list(net.parameters())}, *own], lr=1e-4)
    with Watch(run, model=net, optimizer=optimizer, every=1, budget=0.9, shares=SHARES) as watch:
        for k in range(STEPS):
            if way == "fork":
                terms = net.terms(batch(k), balance.fork(net.trunk(batch(k))))
            else:
                terms = net.terms(batch(k))
            if way == "passes":  # no one tensor carries all terms
                terms["a"] = terms["a"] + 1e-3 * net.trunk[0].weight.square().sum()
            if way in {"backward", "passes"}:
                watch.total(terms, balance.weights)
                balance.backward(terms)
            else:
                watch.total(terms, balance).backward()
            optimizer.step()
            optimizer.zero_grad()
        with watch.evaluation(), torch.no_grad():
            watch.total(
                net.terms(batch()), balance if way in {"fork", "value"} else balance.weights
            )
    assert watch.failures == 0
    return [json.loads(one) for one in (run / "run.jsonl").read_text().splitlines()]


def shares_at(records: list[dict[str, Any]], where: str) -> dict[str, float]:
    """Median gradient shares of the probes at one place, from the second step on."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for one in records:
        if one["kind"] == "probe" and one.get("where") == where and one["step"] > 0:
            whole = sum(one["norms"].values())
            for name, norm in one["norms"].items():
                found[name].append(norm / whole)
    return {name: median(values) for name, values in found.items() if values}


@pytest.mark.parametrize("way", ["fork", "backward", "passes"])
def test_the_watch_sees_balanced_shares(tmp_path: Path, way: str) -> None:
    """Shares in the record are those that reach the trunk, and no rule misses the declared ones."""
    records = watched(tmp_path, GradientShare(SHARES), way, Net())
    where = {"fork": "fork:balance", "backward": "edge", "passes": "shared"}[way]
    assert shares_at(records, where) == pytest.approx(SHARES, abs=0.06)
    assert not [one for one in records if one["kind"] == "event"]
    assert poise.diagnose(tmp_path).findings == ()


def test_the_same_wish_unbalanced_is_told(tmp_path: Path) -> None:
    """With weights of one the declared shares are missed, and a rule says so."""
    watched(tmp_path, Fixed(dict.fromkeys(NAMES, 1.0)), "fork", Net())
    found = poise.diagnose(tmp_path).findings
    assert any("c" in one.terms and one.fault.value == "dominance" for one in found)


def test_a_fork_tells_the_balanced_weights(tmp_path: Path) -> None:
    """The total has weights of 1, the fork's reading those that act in the backward pass."""
    balance = GradientShare(SHARES)
    records = watched(tmp_path, balance, "fork", Net())
    told = [
        one["weights"]
        for one in records
        if one["kind"] in {"header", "step"} and one.get("weights")
    ]
    assert told == [dict.fromkeys(NAMES, 1.0)]  # told when they change, so never again
    (*_, last) = (one for one in records if one.get("where") == "fork:balance")
    assert last["weights"] == pytest.approx(balance.weights)


@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("way", ["fork", "passes"])
def test_the_training_is_the_unwatched_one(tmp_path: Path, heads: str, way: str) -> None:
    """A watch changes no bit of a balanced training, whoever gets the weights."""
    net, plain = Net(), Net()
    watched(tmp_path, GradientShare(SHARES, heads=heads), way, net)
    balance = GradientShare(SHARES, heads=heads)
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-4)
    for k in range(STEPS):
        if way == "fork":
            balance.total(plain.terms(batch(k), balance.fork(plain.trunk(batch(k))))).backward()
        else:
            terms = plain.terms(batch(k))
            terms["a"] = terms["a"] + 1e-3 * plain.trunk[0].weight.square().sum()
            balance.backward(terms)
        optimizer.step()
        optimizer.zero_grad()
    for one, other in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_value_rule_gives_its_own_total(tmp_path: Path) -> None:
    """What is passed back is the rule's total, and its slopes are the weights in the record."""
    balance = Uncertainty(NAMES)
    records = watched(tmp_path, balance, "value", Net())
    told = [one["weights"] for one in records if one["kind"] != "eval" and one.get("weights")]
    assert told[0] == dict.fromkeys(NAMES, 0.5)
    assert told[-1]["c"] < 0.4
    assert told[-1] == pytest.approx(balance.weights, rel=0.1)


@pytest.mark.parametrize("way", ["fork", "backward"])
def test_suggested_weights_are_those_that_acted(tmp_path: Path, way: str) -> None:
    """Plain weights in place of the balancer are in the proportions that it arrived at."""
    balance = GradientShare(SHARES)
    watched(tmp_path, balance, way, Net())
    found = poise.suggest(tmp_path).weights
    for name in NAMES:
        wanted = balance.weights[name] / balance.weights["a"]
        assert found[name] / found["a"] == pytest.approx(wanted, rel=0.5)


@pytest.mark.parametrize("works", [True, False])
def test_shares_are_held_against_the_fork_that_balances(tmp_path: Path, works: bool) -> None:
    """At the parameters a term may have another share; that is no broken promise.

    Nor are the total's weights of 1: those that act are the fork's. A balancer whose weights are
    constants keeps neither promise.
    """
    net = Net()
    balance = GradientShare(SHARES) if works else Fixed(dict.fromkeys(NAMES, 1.0))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    with Watch(
        tmp_path, model=net, optimizer=optimizer, every=1, budget=0.9, shares=SHARES
    ) as watch:
        for k in range(60):
            terms = net.terms(batch(k), balance.fork(net.trunk(batch(k))))
            terms["a"] = terms["a"] + 1e3 * net.trunk[0].weight.square().sum()
            watch.total(terms, balance).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = {one.rule for one in poise.diagnose(tmp_path).findings}
    both = {"share-not-honoured", "weight-constant"}
    assert found & both == (set() if works else both)
