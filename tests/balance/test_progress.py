"""Shares that follow need."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poise.balance.progress import ByProgress, ProgressRule
from poise.balance.rule import Seen
from poise.balance.share import ShareRule
from poise.errors import BalanceError, TermNameError, TermValueError

NAMES = ("a", "b", "c")


def seen(*norms: float, terms: tuple[str, ...] = NAMES) -> Seen:
    """Orthogonal gradients of some norms."""
    squares = torch.tensor(norms, dtype=torch.float64) ** 2
    return Seen(
        products=torch.diag(squares / squares.sum()),
        terms=terms,
        order=NAMES,
        step=0,
        trace=float(squares.sum()),
    )


def said(rule: ProgressRule, **values: float) -> torch.Tensor:
    """One step: values, then the shares that the weights give."""
    rule.hear({name: torch.tensor(one) for name, one in values.items()})
    rule(seen(1.0, 2.0, 3.0))
    return rule.share.shares.clone()


def test_equal_needs_leave_the_declared_shares() -> None:
    """All terms halve together."""
    rule = ProgressRule({"a": 1, "b": 2, "c": 1}, opening=2, decay=0.5)
    for value in (4.0, 4.0, 2.0, 1.0):
        found = said(rule, a=value, b=10 * value, c=1e-3 * value)
    assert found.tolist() == pytest.approx([0.25, 0.5, 0.25], rel=1e-6)


def test_a_term_that_lags_gets_more_up_to_the_limit() -> None:
    """One falls a thousandfold: the others' shares grow, it keeps at least a limit'th."""
    rule = ProgressRule(dict.fromkeys(NAMES, 1.0), opening=1, decay=0.0, limit=3.0)
    said(rule, a=1.0, b=1.0, c=1.0)
    found = said(rule, a=1e-3, b=1.0, c=1.0)
    assert found[1] == found[2] > 1 / 3
    assert float(found[1] / found[0]) == pytest.approx(9.0)


@given(
    start=st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
    left=st.lists(st.floats(0.3, 1.0), min_size=3, max_size=3),
    alpha=st.floats(0.0, 1.0),
)
def test_shares_are_declared_times_need_to_the_alpha(
    start: list[float], left: list[float], alpha: float
) -> None:
    """Units do not matter; within the limit the ratios are exact."""
    rule = ProgressRule(dict.fromkeys(NAMES, 1.0), alpha=alpha, opening=1, decay=0.0, limit=100.0)
    said(rule, **dict(zip(NAMES, start, strict=True)))
    now = [a * b for a, b in zip(start, left, strict=True)]
    found = said(rule, **dict(zip(NAMES, now, strict=True)))
    expected = torch.tensor(left, dtype=torch.float64) ** alpha
    torch.testing.assert_close(found, expected / expected.sum(), rtol=1e-5, atol=0)


def test_alpha_zero_is_gradient_share() -> None:
    """Bit by bit the same weights."""
    rule, plain = (
        ProgressRule({"a": 1, "b": 2, "c": 3}, alpha=0.0),
        ShareRule({"a": 1, "b": 2, "c": 3}),
    )
    for step in range(20):
        rule.hear({name: torch.tensor(1.0 / (step + at + 1)) for at, name in enumerate(NAMES)})
        torch.testing.assert_close(rule(seen(1, 2, 3)), plain(seen(1, 2, 3)), rtol=1e-12, atol=0)


def test_memory_is_complete() -> None:
    """Saved after 15 of 40 steps and loaded into a fresh rule: the same weights to the last bit."""
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(40, 3, generator=draw) + 0.1
    rule, fresh = (ProgressRule(dict.fromkeys(NAMES, 1.0)) for _ in range(2))
    for step in range(40):
        for one in (rule, fresh) if step >= 15 else (rule,):
            one.hear(dict(zip(NAMES, values[step], strict=True)))
        if step == 14:
            fresh.load_state_dict(rule.state_dict())
        if step >= 15:
            assert torch.equal(rule(seen(1, 2, 3)), fresh(seen(1, 2, 3)))
        elif step < 14:
            rule(seen(1, 2, 3))


def test_absent_and_broken_values_change_nothing() -> None:
    """A term without a value in a batch, or with NaN, keeps its need."""
    rule = ProgressRule(dict.fromkeys(NAMES, 1.0), opening=1, decay=0.5)
    said(rule, a=1.0, b=1.0, c=1.0)
    before = said(rule, a=0.5, b=1.0, c=1.0)
    rule.hear({"b": torch.tensor(float("nan"))})
    rule(seen(2.0, 3.0, terms=("b", "c")))
    torch.testing.assert_close(rule.share.shares, before)


def test_floors_are_taken_off() -> None:
    """At its floor a term needs nothing; a start at the floor is refused with the remedy."""
    rule = ProgressRule(dict.fromkeys(NAMES, 1.0), floors={"a": 1.0}, opening=1, decay=0.0)
    said(rule, a=2.0, b=1.0, c=1.0)
    assert said(rule, a=1.0, b=1.0, c=1.0)[0] < 0.2
    low = ProgressRule(dict.fromkeys(NAMES, 1.0), opening=1)
    with pytest.raises(TermValueError, match="floors="):
        said(low, a=-1.0, b=1.0, c=1.0)


@pytest.mark.parametrize("bad", [{"alpha": -1.0}, {"limit": 0.5}, {"opening": 0}])
def test_options_are_checked(bad: dict[str, float]) -> None:
    """Each is named."""
    with pytest.raises(BalanceError, match=f"ByProgress: expected {next(iter(bad))}"):
        ByProgress({"a": 1.0, "b": 1.0}, **bad)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TermNameError, match="unknown term 'x'"):
        ByProgress({"a": 1.0, "b": 1.0}, floors={"x": 1.0})


def test_in_a_training_the_slow_term_gets_more() -> None:
    """Two terms pull at one tensor; the one that is measured to lag ends with a larger share."""
    torch.manual_seed(0)
    w = torch.zeros(8, requires_grad=True)
    optimizer = torch.optim.SGD([w], 0.05)
    balance = ByProgress({"a": 0.5, "b": 0.5}, optimizer=optimizer, opening=3, decay=0.9)
    target = torch.ones(8)
    for _ in range(60):
        parts = balance.fork(w)
        easy = (parts["a"][:4] - target[:4]).square().mean()
        hard = (parts["b"][4:] - 20 * target[4:]).abs().mean() + 1.0
        optimizer.zero_grad()
        balance.total({"a": easy, "b": hard}).backward()
        optimizer.step()
    last = balance.last
    assert last is not None
    assert last.shares["b"] > 0.6
