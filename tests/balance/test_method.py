"""Tests for poise.balance.method."""

import sys

import pytest
import torch

from poise.balance.method import LEFT_OUT, METHODS, Method, find
from poise.errors import BalanceError, MissingExtraError, TermNameError
from tests.contracts.balancers import step, vectors, weights


def test_an_unknown_method_is_refused() -> None:
    """With the nearest name."""
    with pytest.raises(BalanceError, match=r"unknown method 'pc_grad'.*Did you mean 'pcgrad'\?"):
        Method("pc_grad", ["a"])


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_says_why(name: str) -> None:
    """Aggregators that need more than inner products are no typing errors."""
    with pytest.raises(BalanceError, match=f"'{name}' is not offered: it"):
        find(name)


def test_every_weighting_of_torchjd_is_offered_or_left_out() -> None:
    """A new one in TorchJD shows here."""
    import torchjd.aggregation as peers

    ours = {name.replace("_", "") for name in (*METHODS, *LEFT_OUT)}
    renamed = {"alignedmtl": "aligned", "nashmtl": "nash", "excessmtl": "excess"}
    theirs = {
        name.removesuffix("Weighting").lower()
        for name in peers.__all__
        if name not in {"Weighting", "Aggregator", "Constant", "ConstantWeighting"}
        and not name.endswith("Aggregator")
    }
    assert {renamed.get(name, name) for name in theirs} == ours


def test_options_of_one_number_a_term_go_by_name() -> None:
    """A preference follows its term, whatever the order and whichever are present."""
    wish = {"c": 0.1, "a": 0.6, "b": 0.3}
    balancer = Method("upgrad", ["a", "b", "c"], pref_vector=wish)
    basis = torch.eye(3, dtype=torch.float64)
    step(balancer, dict(zip("abc", basis, strict=True)))
    assert weights(balancer).tolist() == pytest.approx([0.6, 0.3, 0.1])
    step(balancer, {"b": basis[1], "c": basis[2]})
    assert balancer.weights == {
        "a": pytest.approx(0.6),
        "b": pytest.approx(0.3),
        "c": pytest.approx(0.1),
    }


def test_a_preference_must_be_whole() -> None:
    """A term that it leaves out is named."""
    with pytest.raises(TermNameError, match=r"number for every term in option 'pref_vector'.*'b'"):
        Method("aligned", ["a", "b"], pref_vector={"a": 1.0})


def test_pcd_takes_a_number_for_each_secondary() -> None:
    """The primary term has no tau."""
    balancer = Method("pcd", ["a", "b", "c"], tau={"b": 0.5, "c": 0.0})
    gradients = {
        "a": torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64),
        "b": torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64),
        "c": torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64),
    }
    step(balancer, gradients)
    assert balancer.weights["b"] > 0.4
    assert balancer.weights["c"] == pytest.approx(0.0)


def test_options_of_the_balancer_pass_through() -> None:
    """`every` holds the weights in between."""
    balancer = Method("mgda", ["a", "b", "c"], every=2)
    step(balancer, vectors(0))
    held = balancer.weights
    step(balancer, vectors(1))
    assert balancer.weights == held
    step(balancer, vectors(2))
    assert balancer.weights != held


def test_cr_mogm_averages_what_it_wraps() -> None:
    """0.5 old and 0.5 new of PCGrad's weights, after the first."""
    smooth = Method("cr_mogm", ["a", "b"], of="pcgrad", alpha=0.5)
    plain = Method("pcgrad", ["a", "b"])
    expected = None
    for seed in range(4):
        gradients = vectors(seed, ("a", "b"), length=3)
        step(smooth, gradients)
        step(plain, gradients)
        now = weights(plain, ("a", "b"))
        expected = now if expected is None else 0.5 * expected + 0.5 * now
        torch.testing.assert_close(weights(smooth, ("a", "b")), expected)


def test_cr_mogm_wraps_methods_without_memory() -> None:
    """The other ones would lose theirs."""
    with pytest.raises(BalanceError, match="without memory, got of='nash'"):
        Method("cr_mogm", ["a", "b"], of="nash")


def test_without_torchjd_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed it is told what to install."""
    monkeypatch.setitem(sys.modules, "torchjd.aggregation", None)
    with pytest.raises(MissingExtraError, match=r"'mgda'.*torchjd.*pip install 'poise\[balance\]'"):
        Method("mgda", ["a", "b"])
