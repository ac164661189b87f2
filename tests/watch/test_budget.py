"""When a watch measures."""

from hypothesis import given, settings
from hypothesis import strategies as st

from poise.watch.budget import GRACE_S, PARTS, Budget


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def trained(
    batches: int, step_s: float, cost_s: float, fraction: float
) -> tuple[Budget, list[int]]:
    """A training whose shared probe costs `cost_s`; the batches it was taken at."""
    clock = Clock()
    budget = Budget(fraction, every=50, clock=clock)
    budget.begin()
    taken = []
    for batch in range(batches):
        if budget.candidate(batch) and budget.due("shared"):
            taken.append(batch)
            with budget.charged("shared"):
                clock.now += cost_s
        clock.now += step_s
    return budget, taken


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 2), st.floats(1e-3, 10), st.floats(0.001, 0.2))
def test_spending_stays_within_the_budget(step_s: float, cost_s: float, fraction: float) -> None:
    """Beyond what may always be spent, and the first three, time is never more than the share."""
    budget, taken = trained(3000, step_s, cost_s, fraction)
    earned = PARTS["shared"] * fraction * budget.elapsed_s
    front = 3 * cost_s if cost_s <= max(step_s, 0.01) else cost_s
    assert taken[0] == 1
    assert budget.spent_s <= max(earned, GRACE_S["shared"], front) + 1e-6


def test_cheap_measurements_come_early_and_often() -> None:
    """Three before the first 50 steps are over, then at every candidate."""
    _, taken = trained(200, 1.0, 0.01, 0.01)
    assert taken == [1, 2, 4, 7, 13, 24, 44, 85, 100, 179]


def test_dear_measurements_come_once_and_then_when_paid_for() -> None:
    """One that costs 5 steps is taken again at the first candidate after 5 / 0.5% steps."""
    _, taken = trained(5000, 1.0, 5.0, 0.01)
    assert taken == [1, 2041, 3021, 4002]


def test_credit_is_spread_over_a_short_training() -> None:
    """What costs more than a step but may be had is taken at ever longer distances."""
    _, taken = trained(120, 0.05, 0.1, 0.01)
    assert taken == [1, 4, 24, 100]


def test_what_one_owes_the_others_wait_for() -> None:
    """A measurement of 5 steps on credit is paid back by all instruments together."""
    clock = Clock()
    budget = Budget(0.01, every=50, clock=clock)
    budget.begin()
    taken = {"shared": 0, "edge": 0}
    for batch in range(450):
        for name, cost in (("shared", 5.0), ("edge", 0.1)):
            if budget.candidate(batch) and budget.due(name):
                taken[name] += 1
                with budget.charged(name):
                    clock.now += cost
        clock.now += 1
    assert taken == {"shared": 1, "edge": 3}


def test_nothing_without_a_budget() -> None:
    """A share of 0 is never due."""
    assert trained(200, 1.0, 0.01, 0.0)[1] == []


def test_later_parts_are_booked_on_the_same_use() -> None:
    """A measurement in two parts costs their sum and counts once."""
    clock = Clock()
    budget = Budget(0.01, every=5, clock=clock)
    for uses in (1, 0):
        with budget.charged("motion", uses=uses):
            clock.now += 2.0
    account = budget.accounts["motion"]
    assert (account.uses, account.spent_s, account.last_s) == (1, 4.0, 4.0)
    budget.stop("motion")
    assert not budget.due("motion")
    assert budget.elapsed_s == 0.0
