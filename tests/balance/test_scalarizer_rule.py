"""Tests for poise.balance.scalarizer_rule and the table of poise.balance.scalarizer."""

import math
import sys
import warnings
from typing import Any

import pytest
import torch
import torchjd.scalarization as peers
from torch import Tensor

from poise.balance.scalarizer import SCALARIZERS, Scalarizer
from poise.errors import (
    BalanceError,
    MissingExtraError,
    PoiseWarning,
    TermNameError,
    TermValueError,
)

NAMES = ("a", "b", "c")


def given(*numbers: float, names: tuple[str, ...] = NAMES) -> dict[str, Tensor]:
    """Terms of these values, with a graph."""
    leaf = torch.tensor(numbers, requires_grad=True)
    return dict(zip(names, leaf.unbind(), strict=True))


def test_an_unknown_scalarizer_is_refused() -> None:
    """With the nearest name."""
    with pytest.raises(BalanceError, match=r"unknown scalarizer 'fame'.*Did you mean 'famo'\?"):
        Scalarizer("fame", NAMES)


def test_every_scalarizer_of_torchjd_is_offered() -> None:
    """A new one in TorchJD shows here."""
    theirs = {name.lower() for name in peers.__all__} - {"scalarizer"}
    assert theirs == {name.replace("_", "") for name in SCALARIZERS}


def test_wrong_options_are_refused_at_once() -> None:
    """By the line that makes the balancer."""
    with pytest.raises(BalanceError, match=r"'stch': expected options.*strictly positive"):
        Scalarizer("stch", NAMES, mu=0.0)


def test_weights_go_by_name() -> None:
    """Whichever terms are present."""
    balancer = Scalarizer("constant", NAMES, weights={"b": 3.0, "a": 2.0, "c": 4.0})
    assert balancer.total(given(1.0, 1.0, 1.0)).item() == 9.0
    assert balancer.total(given(1.0, 1.0, names=("a", "c"))).item() == 6.0


FRESH: dict[str, Any] = {
    "mean": peers.Mean,
    "geometric_mean": peers.GeometricMean,
    "stch": lambda: peers.STCH(mu=1.0, weights=torch.full((3,), 1 / 3)),
    "cosmos": lambda: peers.COSMOS(lambda_=1.0, weights=torch.full((3,), 1 / 3)),
    "pbi": lambda: peers.PBI(theta=5.0, weights=torch.full((3,), 1 / 3)),
    "famo": lambda: peers.FAMO(3),
    "dwa": peers.DWA,
}


@pytest.mark.parametrize("name", FRESH)
def test_many_steps_are_those_of_one_object(name: str) -> None:
    """An object of TorchJD that lives through all steps gives the same totals."""
    balancer, peer = Scalarizer(name, NAMES), FRESH[name]()
    for now in range(24):
        values = [1.5 + math.sin(now + k) for k in range(3)]
        terms = given(*values)
        expected = peer(torch.tensor(values))
        assert balancer.total(terms).item() == pytest.approx(expected.item(), rel=1e-5)
        if name == "famo":
            after = [one * (0.7 + 0.1 * k) for k, one in enumerate(values)]
            peer.update(torch.tensor(after))
            balancer.rule.update(given(*after))
        if name == "dwa" and now % 6 == 5:
            peer.step()
            balancer.rule.epoch()


def test_an_evaluation_is_not_remembered() -> None:
    """Values without a graph leave the memory as it is."""
    balancer = Scalarizer("dwa", NAMES)
    balancer.total({name: one.detach() for name, one in given(1.0, 2.0, 3.0).items()})
    assert balancer.rule.get_buffer("kept_batches").tolist() == [0.0, 0.0, 0.0]


def test_dwa_averages_each_term_over_its_own_batches() -> None:
    """A term that half of the batches have is not averaged over all of them."""
    balancer = Scalarizer("dwa", NAMES)
    balancer.total(given(1.0, 2.0, 3.0))
    balancer.total(given(3.0, 4.0, names=("a", "b")))
    balancer.rule.epoch()
    assert balancer.rule.get_buffer("kept_newer").tolist() == [2.0, 3.0, 3.0]


def test_dwa_survives_an_epoch_of_zeros() -> None:
    """A mean of zero has no rate: the term counts as one that did not change."""
    balancer = Scalarizer("dwa", NAMES)
    for _ in range(2):
        balancer.total(given(0.0, 2.0, 3.0))
        balancer.rule.epoch()
    assert balancer.total(given(0.0, 2.0, 3.0)).item() == pytest.approx(5.0)


def test_famo_looks_back_at_what_it_saw() -> None:
    """An update before any total is refused."""
    with pytest.raises(BalanceError, match=r"'famo': .update\(terms\) expects terms that"):
        Scalarizer("famo", NAMES).rule.update(given(1.0, 1.0, 1.0))


def test_famo_refuses_unknown_terms() -> None:
    """With the nearest name."""
    balancer = Scalarizer("famo", ("alpha", "beta"))
    with pytest.raises(TermNameError, match=r"'alhpa'.*Did you mean 'alpha'"):
        balancer.rule.update({"alhpa": torch.ones(())})


def test_famo_skips_an_update_that_is_not_finite() -> None:
    """Its logits stay clean, and the user is told."""
    balancer = Scalarizer("famo", NAMES)
    balancer.total(given(1.0, 1.0, 1.0))
    with pytest.warns(PoiseWarning, match="'famo'.*not finite.*stay as they are"):
        balancer.rule.update(given(1.0, math.inf, 1.0))
    assert balancer.rule.get_buffer("kept_logit").tolist() == [0.0, 0.0, 0.0]


def test_famo_bounds_are_respected() -> None:
    """A value at its declared lower bound has no logarithm."""
    balancer = Scalarizer("famo", NAMES, min_losses={"a": 0.0, "b": 2.0, "c": 0.0})
    with pytest.raises(TermValueError, match=r"values above 2.*got 1.5 for term 'b'"):
        balancer.total(given(1.0, 1.5, 1.0))


@pytest.mark.parametrize("name", ["mean", "uw", "stch"])
def test_calls_that_mean_nothing_are_refused(name: str) -> None:
    """Only DWA counts epochs, and only FAMO looks back."""
    rule = Scalarizer(name, NAMES).rule
    with pytest.raises(BalanceError, match="does not count epochs"):
        rule.epoch()
    with pytest.raises(BalanceError, match="does not look back"):
        rule.update(given(1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ["uw", "imtl_l"])
def test_learned_weights_are_parameters(name: str) -> None:
    """A step of the training's optimizer lowers the weight of the larger value."""
    balancer = Scalarizer(name, ("a", "b"))
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        balancer.total(given(0.5, 5.0, names=("a", "b"))).backward()
        optimizer.step()
    balancer.total(given(0.5, 5.0, names=("a", "b")))
    assert balancer.weights["a"] > 2 * balancer.weights["b"]


def test_half_precision_is_combined_in_single() -> None:
    """A total of bfloat16 values has the type of a loss that does not round."""
    terms = {name: one.bfloat16() for name, one in given(1.0, 2.0, 3.0).items()}
    assert Scalarizer("mean", NAMES).total(terms).dtype == torch.float32


def test_without_torchjd_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed it is told what to install."""
    monkeypatch.setitem(sys.modules, "torchjd.scalarization", None)
    with pytest.raises(MissingExtraError, match=r"'dwa'.*torchjd.*pip install 'poise\[balance\]'"):
        Scalarizer("dwa", NAMES)


@pytest.mark.parametrize(("told", "says"), [(False, 1), (True, 0)])
def test_famo_without_its_look_back_is_told(told: bool, says: int) -> None:
    """Without it the weights are those of the start."""
    balance = Scalarizer("famo", ["a", "b"])
    losses = {name: torch.ones((), requires_grad=True) for name in ("a", "b")}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for step in range(300):
            balance.total(losses)
            if told and step == 250:
                balance.rule.update(losses)
    assert sum("256 totals and no .rule.update(terms)" in str(one.message) for one in said) == says
