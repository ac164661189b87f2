"""Declared shares become shares of the gradient."""

import copy
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poise.balance import Balancer
from poise.balance.rule import Seen
from poise.balance.share import GradientShare, ShareRule
from poise.errors import BalanceError, PoiseWarning
from tests.balance.nets import NAMES, Net, batch

SHARES = {"a": 0.1, "b": 0.7, "c": 0.2}


def seen_of(norms: dict[str, float], order: tuple[str, ...] = NAMES) -> Seen:
    """What a rule sees of gradients at right angles."""
    squares = torch.tensor(list(norms.values()), dtype=torch.float64).square()
    trace = float(squares.sum())
    return Seen(
        products=torch.diag(squares / trace), terms=tuple(norms), order=order, step=0, trace=trace
    )


def shares_of(rule: ShareRule, norms: dict[str, float]) -> dict[str, float]:
    """The shares that a step's weights make."""
    weights = rule(seen_of(norms)).tolist()
    sizes = {name: w * n for (name, n), w in zip(norms.items(), weights, strict=True)}
    return {name: one / sum(sizes.values()) for name, one in sizes.items()}


def trained(
    balance: Balancer, factors: dict[str, float] | None = None, steps: int = 12, scale: float = 1.0
) -> list[Tensor]:
    """Parameters of the trunk after some steps of SGD, each term multiplied with a factor."""
    net = Net()
    optimizer = torch.optim.SGD(net.trunk.parameters(), lr=0.05)
    for k in range(steps):
        parts = balance.fork(net.trunk(batch(k)))
        terms = net.terms(batch(k), parts)
        terms = {k: one * (factors or {}).get(k, 1.0) * scale for k, one in terms.items()}
        balance.total(terms).backward()
        for one in net.trunk.parameters():
            assert one.grad is not None
            one.grad /= scale
        optimizer.step()
        net.zero_grad()
    return [one.detach().double() for one in net.trunk.parameters()]


def test_shares_are_exact_from_the_first_step() -> None:
    """With a constant ratio of norms the shares are the declared ones at once."""
    rule = ShareRule(SHARES)
    for scale in (1.0, 3.0, 1e-9):
        assert shares_of(rule, {"a": 5.0 * scale, "b": 1e-6 * scale, "c": 2e5 * scale}) == (
            pytest.approx(SHARES)
        )


def test_running_norm_is_the_bias_corrected_geometric_mean() -> None:
    """Reference: weights decay**(n-1-i) over the logarithms, normalised, in plain Python."""
    rule, decay = ShareRule({"a": 1.0, "b": 1.0}, decay=0.9), 0.9
    norms = [(1.0, 2.0), (8.0, 0.5), (3.0, 3.0), (0.1, 7.0)]
    for n, (a, b) in enumerate(norms, 1):
        weights = rule(seen_of({"a": a, "b": b}, ("a", "b")))
        parts = [decay ** (n - 1 - i) for i in range(n)]
        means = [
            math.exp(
                sum(p * math.log(row[k]) for p, row in zip(parts, norms, strict=False)) / sum(parts)
            )
            for k in range(2)
        ]
        expected = [0.5 * sum(means) / one for one in means]
        assert weights.tolist() == pytest.approx(expected)


def test_natural_total_keeps_the_sum_of_norms() -> None:
    """The weighted norms add up to what the plain norms add up to."""
    norms = {"a": 5.0, "b": 0.5, "c": 2.0}
    weights = ShareRule(SHARES)(seen_of(norms)).tolist()
    assert sum(w * n for w, n in zip(weights, norms.values(), strict=True)) == pytest.approx(7.5)


def test_fixed_total_is_the_sum_of_norms() -> None:
    """With a number the weighted norms add up to it, whatever the terms' size."""
    for scale in (1.0, 1e-7):
        norms = {"a": 5.0 * scale, "b": 0.5 * scale, "c": 2.0 * scale}
        weights = ShareRule(SHARES, total=3.0)(seen_of(norms)).tolist()
        assert sum(w * n for w, n in zip(weights, norms.values(), strict=True)) == (
            pytest.approx(3.0)
        )


@settings(max_examples=25, deadline=None)
@given(
    term=st.sampled_from(NAMES),
    exponent=st.integers(-30, 30),
    decay=st.sampled_from([0.0, 0.5, 0.99]),
    per_sample=st.booleans(),
)
def test_a_terms_factor_changes_nothing(
    term: str, exponent: int, decay: float, per_sample: bool
) -> None:
    """With a fixed total a training is the same whatever one term is multiplied with."""
    made = [
        trained(
            GradientShare(SHARES, total=1.0, decay=decay, per_sample=per_sample), factors, steps=6
        )
        for factors in (None, {term: 2.0**exponent})
    ]
    for one, other in zip(*made, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(1e-6, 1e6), term=st.sampled_from(NAMES))
def test_a_terms_factor_does_not_change_the_direction(factor: float, term: str) -> None:
    """With the natural total it changes the length of the whole and nothing else."""
    norms = {"a": 5.0, "b": 0.5, "c": 2.0}
    rules = ShareRule(SHARES), ShareRule(SHARES)
    for step in range(5):
        now = {name: one * (1 + step) ** 0.5 for name, one in norms.items()}
        other = {name: one * (factor if name == term else 1.0) for name, one in now.items()}
        first, second = shares_of(rules[0], now), shares_of(rules[1], other)
        assert first == pytest.approx(second, rel=1e-9)


@pytest.mark.parametrize("exponent", [-16, 16])
def test_a_common_scale_changes_no_bit(exponent: int) -> None:
    """A loss scale of a power of two gives the same training, to the last bit."""
    plain = trained(GradientShare(SHARES))
    scaled = trained(GradientShare(SHARES), scale=2.0**exponent)
    for one, other in zip(plain, scaled, strict=True):
        assert torch.equal(one, other)


def test_a_common_scale_that_changes_leaves_the_shares() -> None:
    """A loss scale that grows in mid-training cancels from the shares of terms seen together."""
    steady, growing = ShareRule(SHARES), ShareRule(SHARES)
    for step in range(20):
        norms = {"a": 1.0 + step, "b": 3.0 / (1 + step), "c": 2.0}
        scaled = {name: one * (65536.0 if step > 9 else 1.0) for name, one in norms.items()}
        assert shares_of(steady, norms) == pytest.approx(shares_of(growing, scaled), rel=1e-9)


def test_fixed_total_with_a_loss_scale() -> None:
    """With `scale` the total is that of the unscaled gradients."""
    plain = trained(GradientShare(SHARES, total=0.5))
    scaled = trained(GradientShare(SHARES, total=0.5, scale=lambda: 1024.0), scale=1024.0)
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_warmup_goes_from_plain_to_balanced_in_equal_ratios() -> None:
    """Half-way the weight is the root of what it is to be; the ramp ends at `warmup` steps."""
    norms = {"a": 5.0, "b": 0.5, "c": 2.0}
    whole = ShareRule(SHARES)(seen_of(norms))
    rule = ShareRule(SHARES, warmup=4)
    found = [rule(seen_of(norms)) for _ in range(5)]
    for k, one in enumerate(found):
        torch.testing.assert_close(one, whole ** min(1.0, (k + 1) / 4))


def test_after_warmup_a_factor_is_forgotten() -> None:
    """During warm-up a term's scale counts, afterwards it does not."""
    norms = {"a": 5.0, "b": 0.5, "c": 2.0}
    rule = ShareRule(SHARES, warmup=3)
    early = shares_of(rule, norms)
    assert early != pytest.approx(SHARES, rel=0.1)
    for _ in range(3):
        last = shares_of(rule, norms)
    assert last == pytest.approx(SHARES)


def test_a_zero_gradient_never_has_infinite_weight_and_is_told() -> None:
    """A term that was never other than zero has weight 0; the others have theirs."""
    rule = ShareRule(SHARES)
    with pytest.warns(PoiseWarning, match="the gradient of 'b' vanished: it is zero"):
        weights = rule(seen_of({"a": 2.0, "b": 0.0, "c": 3.0}))
    assert weights[1] == 0.0
    assert weights.isfinite().all()
    assert rule.vanished == ("b",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is told once
        rule(seen_of({"a": 2.0, "b": 0.0, "c": 3.0}))
    assert shares_of(rule, {"a": 2.0, "b": 1e-3, "c": 3.0}) == pytest.approx(SHARES)
    assert rule.vanished == ()


def test_a_zero_now_and_then_leaves_the_mean() -> None:
    """A batch in which a term is zero does not age its norm."""
    rule = ShareRule(SHARES, decay=0.5)
    norms = {"a": 2.0, "b": 4.0, "c": 3.0}
    before = rule(seen_of(norms))
    with pytest.warns(PoiseWarning, match="'b' vanished"):
        rule(seen_of(norms | {"b": 0.0}))
    for _ in range(9):
        rule(seen_of(norms | {"b": 0.0}))
    torch.testing.assert_close(rule(seen_of(norms)), before)


@pytest.mark.parametrize("floor", [1e-2, 1e-4])
def test_the_floor_bounds_what_a_vanishing_term_gets(floor: float) -> None:
    """Below the floor the weight stops growing, the share falls, and that is told once."""
    rule = ShareRule(SHARES, decay=0.0, floor=floor, total=1.0)
    steps = [seen_of({"a": 1.0, "b": 10.0**-k, "c": 1.0}) for k in range(8)]
    with pytest.warns(PoiseWarning, match="'b' vanished") as told:
        weights = [rule(one)[1].item() for one in steps]
    assert len(told) == 1
    assert weights == pytest.approx([min(0.7 * 10.0**k, 0.7 / floor) for k in range(8)])


def test_the_floor_is_free_of_scale() -> None:
    """What counts is a term's own past, not its size beside others."""
    rule = ShareRule(SHARES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shares_of(rule, {"a": 1e9, "b": 1e-9, "c": 1.0}) == pytest.approx(SHARES)


def test_one_outlier_hardly_counts() -> None:
    """A single norm of a million times moves the weight by 15% at decay 0.99."""
    rule = ShareRule(SHARES, total=1.0)
    norms = {"a": 1.0, "b": 1.0, "c": 1.0}
    for _ in range(1000):
        before = rule(seen_of(norms))
    rule(seen_of(norms | {"a": 1e6}))
    after = rule(seen_of(norms))
    assert float(before[0] / after[0]) == pytest.approx(1.15, abs=0.01)


def test_absent_terms_age_nobody() -> None:
    """A batch without a term leaves that term's memory and the others' weights as they are."""
    rule = ShareRule(SHARES, decay=0.5)
    norms = {"a": 2.0, "b": 4.0, "c": 3.0}
    before = rule(seen_of(norms))
    for _ in range(9):
        some = rule(seen_of({"a": 2.0, "c": 3.0}))
        torch.testing.assert_close(some, before[[0, 2]])
    torch.testing.assert_close(rule(seen_of(norms)), before)


def test_one_term_a_batch() -> None:
    """Terms that are never in one batch get their shares all the same."""
    rule, norms = ShareRule(SHARES), {"a": 2.0, "b": 4e5, "c": 3e-3}
    for _ in range(3):
        sizes = {k: rule(seen_of({k: one})).item() * one for k, one in norms.items()}
    whole = sum(sizes.values())
    assert {name: one / whole for name, one in sizes.items()} == pytest.approx(SHARES)


def test_a_late_term_has_its_share_at_once() -> None:
    """Its norm is corrected for bias on its own count."""
    rule = ShareRule(SHARES)
    for _ in range(50):
        rule(seen_of({"a": 2.0, "c": 3.0}))
    assert shares_of(rule, {"a": 2.0, "b": 4e5, "c": 3.0}) == pytest.approx(SHARES)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_one_step_that_is_not_finite_poisons_nothing(number: float) -> None:
    """The next clean step has the weights that it would have had."""
    net, made = Net(), [GradientShare(SHARES), GradientShare(SHARES)]
    for k, balance in enumerate(made):
        for step in range(4):
            parts = balance.fork(net.trunk(batch(step)))
            terms = net.terms(batch(step), parts)
            if k and step == 2:
                terms["b"] = terms["b"] * number
                with pytest.warns(PoiseWarning, match="the gradient of 'b' is not finite"):
                    balance.total(terms).backward()
            elif step != 2:
                balance.total(terms).backward()
    assert made[0].weights == made[1].weights
    assert (made[0].skipped, made[1].skipped) == (0, 1)


def test_per_sample_balances_the_norms_of_samples() -> None:
    """Reference: norms over the features, averaged over the samples."""
    z = torch.ones(3, 2, requires_grad=True)
    factors = {"a": torch.tensor([[1.0], [0.0], [0.0]]), "b": torch.tensor([[1.0], [1.0], [1.0]])}
    for per_sample, ratio in ((True, 3.0), (False, 3.0**0.5)):
        balance = GradientShare({"a": 1.0, "b": 1.0}, per_sample=per_sample)
        parts = balance.fork(z)
        balance.total({k: (parts[k] * by).sum() for k, by in factors.items()}).backward()
        assert balance.weights["a"] / balance.weights["b"] == pytest.approx(ratio)


def test_per_sample_needs_a_tensor() -> None:
    """At parameters there are no samples."""
    p = torch.ones(2, requires_grad=True)
    balance = GradientShare({"a": 1.0, "b": 1.0}, per_sample=True)
    with pytest.raises(BalanceError, match="per_sample needs one tensor that carries all terms"):
        balance.backward({"a": p.sum(), "b": p.square().sum()})


@pytest.mark.parametrize("way", ["fork", "bottleneck", "parameters"])
def test_declared_shares_are_what_the_trunk_gets(way: str) -> None:
    """In every way of use the reading of the first step has the declared shares."""
    net, balance = Net(), GradientShare(SHARES)
    if way == "fork":
        balance.total(net.terms(batch(), balance.fork(net.trunk(batch())))).backward()
    else:
        terms = net.terms(batch())
        if way == "parameters":
            terms["a"] = terms["a"] + 0.0 * net.trunk[0].weight.sum()
        balance.backward(terms)
    assert balance.last is not None
    assert balance.last.where == ("shared" if way == "parameters" else "fork:balance")
    assert balance.last.shares == pytest.approx(SHARES)


def test_a_share_of_zero() -> None:
    """The term trains its head only."""
    balance = GradientShare({"a": 1.0, "b": 0.0})
    z = torch.ones(2, requires_grad=True)
    parts = balance.fork(z)
    balance.total({"a": parts["a"].sum(), "b": parts["b"][0] * 5}).backward()
    assert balance.weights["b"] == 0.0
    assert z.grad is not None
    assert z.grad[0] == z.grad[1] != 0


def test_a_single_term_keeps_its_gradient() -> None:
    """Alone, and with the natural total, the weight is 1."""
    assert ShareRule({"a": 0.3})(seen_of({"a": 7.0}, ("a",))).tolist() == pytest.approx([1.0])


def test_order_of_terms_does_not_matter() -> None:
    """Shares declared in another order give the same weights."""
    norms = {"a": 5.0, "b": 0.5, "c": 2.0}
    order = ("c", "a", "b")
    other = ShareRule({name: SHARES[name] for name in order})
    first = dict(zip(NAMES, ShareRule(SHARES)(seen_of(norms)).tolist(), strict=True))
    second = other(seen_of({name: norms[name] for name in order}, order)).tolist()
    assert dict(zip(order, second, strict=True)) == pytest.approx(first)


def test_100_steps_after_a_reload_are_the_same_bits() -> None:
    """Saved at some step and loaded into a fresh balancer, the weights go on bit by bit."""
    balance = GradientShare(SHARES, warmup=30, decay=0.9)
    trained(balance, steps=11)
    other = GradientShare(SHARES, warmup=30, decay=0.9)
    other.load_state_dict(copy.deepcopy(balance.state_dict()))
    for one, two in zip(trained(balance, steps=100), trained(other, steps=100), strict=True):
        assert torch.equal(one, two)
    assert balance.weights == other.weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"a": -0.1}}, "finite number of at least 0, got -0.1"),
        (
            {"shares": {"a": math.nan}},
            "finite number of at least 0, got nan",
        ),
        ({"shares": {"a": 0.0, "b": 0.0}}, "a share above 0 for some term"),
        (
            {"total": "unnatural"},
            "a finite number above 0, or 'natural', got 'unnatural'",
        ),
        ({"total": None}, "a finite number above 0, or 'natural', got None"),
        ({"shares": {"a": "much"}}, "GradientShare: expected a number for term 'a', got 'much'"),
        ({"shares": ["a", "b"]}, r"expected a number for each term, .* got \['a', 'b'\]"),
        ({"total": 0.0}, "a finite number above 0, or 'natural', got 0.0"),
        ({"decay": 1.0}, r"decay to be a finite number in \[0, 1\), got 1.0"),
        ({"warmup": -1}, "warmup to be a whole number from 0 on, got -1"),
        ({"floor": 1.0}, r"floor to be a finite number in \[0, 1\), got 1.0"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    """What cannot work is refused when the balancer is made."""
    with pytest.raises(BalanceError, match=message):
        GradientShare(**({"shares": SHARES} | options))


def test_a_state_does_not_bring_back_other_shares() -> None:
    """Who declares other shares and resumes gets those."""
    old, new = GradientShare(SHARES), GradientShare({"a": 0.8, "b": 0.1, "c": 0.1})
    trained(old, steps=3)
    new.load_state_dict(old.state_dict())
    trained(new, steps=1)
    assert new.last is not None
    assert new.last.shares == pytest.approx({"a": 0.8, "b": 0.1, "c": 0.1}, abs=0.05)


def trained_whole(factor: float, **options: float) -> Tensor:
    """Parameters of trunk and heads after 40 steps of Adam with one term multiplied."""
    net, balance = Net().double(), GradientShare(SHARES, **options)  # type: ignore[arg-type]  # total=
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, eps=1e-30)
    for k in range(40):
        given = batch(k).double()
        terms = net.terms(given, balance.fork(net.trunk(given)))
        balance.total({**terms, "b": factor * terms["b"]}).backward()
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([one.detach().flatten() for one in net.parameters()])


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_under_adam_a_terms_factor_changes_no_training(factor: float) -> None:
    """Heads have one term each, whose factor Adam divides out; with a number the trunk has none.

    With the natural total the factor moves the length of the whole, which Adam follows slowly.
    """
    start = torch.cat([one.detach().flatten() for one in Net().double().parameters()])
    exact, same = trained_whole(1.0, total=1.0), trained_whole(factor, total=1.0)
    torch.testing.assert_close(exact, same, rtol=1e-9, atol=1e-9)
    natural, near = trained_whole(1.0), trained_whole(factor)
    off = float((natural - near).norm() / (natural - start).norm())
    assert 1e-6 < off < 0.05
