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


def test_a_first_measurement_may_have_to_be_paid_for() -> None:
    """What is expected to cost 5 steps of a second is taken once 0.5% of the time covers it."""
    clock = Clock()
    budget = Budget(0.01, every=50, clock=clock)
    budget.begin()
    taken = []
    for batch in range(1500):
        if budget.candidate(batch) and budget.due("shared", expected_steps=5):
            taken.append(batch)
            with budget.charged("shared"):
                clock.now += 5
        clock.now += 1
    assert taken == [1034]


def test_a_first_measurement_may_fit_into_what_nobody_waits_for() -> None:
    """Five steps of 10 ms are within the grace, so they are taken at once."""
    clock = Clock()
    budget = Budget(0.01, every=50, clock=clock)
    budget.begin()
    clock.now += 0.01
    assert [budget.candidate(batch) for batch in range(2)] == [False, True]
    assert budget.due("shared", expected_steps=5)
    assert not budget.due("shared", expected_steps=51)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(24, 200))
def test_no_period_is_always_met_at_the_same_phase(period: int, every: int) -> None:
    """Accumulation over some batches, or tasks in turns: each phase has candidates, none most."""
    budget = Budget(0.01, every=every)
    found = [batch % period for batch in range(250 * every) if budget.candidate(batch)]
    assert set(found) == set(range(period))
    assert max(map(found.count, found)) < 0.75 * len(found)


def test_each_kind_of_batch_has_candidates_of_its_own() -> None:
    """Two totals in turns are measured equally often, and neither always before the other."""
    budget = Budget(0.01, every=50)
    kinds = {batch: batch % 2 for batch in range(4000) if budget.candidate(batch, batch % 2)}
    counts = [list(kinds.values()).count(one) for one in (0, 1)]
    assert abs(counts[0] - counts[1]) <= 2
    assert sorted(kinds)[:4] == [1, 2, 3, 4]
    late = [kind for batch, kind in kinds.items() if batch > 100]
    assert {(0, 1), (1, 0)} <= set(zip(late[::2], late[1::2], strict=False))


def test_endless_kinds_are_one() -> None:
    """Totals whose names never come again are no candidates for ever."""
    budget = Budget(0.01, every=50)
    found = [batch for batch in range(2000) if budget.candidate(batch, batch)]
    assert len(found) < 64 + 50


def test_what_is_no_measurement_only_costs() -> None:
    """It is spent, and says nothing of the cost or number of measurements."""
    clock = Clock()
    budget = Budget(0.01, every=5, clock=clock)
    with budget.charged("edge", uses=None):
        clock.now += 2.0
    account = budget.accounts["edge"]
    assert (account.uses, account.spent_s, account.last_s) == (0, 2.0, 0.0)


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
