"""Means over one evaluation."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poise.objective import Objective, Term, average
from poise.reduce import Reduced, Reduction
from poise.watch.evaluation import Means
from poise.watch.sink import Entry, Numbers
from poise.watch.terms import given as summed


def numbers(**groups: dict[str, float]) -> Numbers:
    """Numbers by group and name."""
    return {(group, name): one for group, names in groups.items() for name, one in names.items()}


def double(value: float) -> torch.Tensor:
    """A scalar in float64."""
    return torch.tensor(value, dtype=torch.float64)


def of(reduction: Reduction) -> Callable[[float, int, bool], Reduced]:
    """A term that knows its count."""
    return lambda value, count, _: Reduced(
        sum=torch.tensor(value if count else 0.0, dtype=torch.float64),
        count=count,
        reduction=reduction,
    )


BATCHES = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.integers(0, 9), st.booleans()), min_size=1, max_size=6
)


@given(BATCHES, st.integers(0, 6))
def test_as_the_average_of_breakdowns(batches: list[tuple[float, int, bool]], cut: int) -> None:
    """Means, sums, uncounted, measured and absent terms are those of `average`, on two ranks."""
    objective = Objective(
        Term("mean", of(Reduction.TOKEN), weight=0.5),
        Term("sum", of(Reduction.SUM), weight=0.25),
        Term("plain", lambda value, *_: double(value), weight=2.0),
        Term("watched", of(Reduction.ELEMENT), role="monitor"),
        Term("rare", lambda value, _, has: double(value) if has else None, sometimes=True),
    )
    found = [objective.evaluate(*one) for one in batches]
    ranks = [Means(), Means()]
    for at, one in enumerate(found):
        entry = Entry(step=0, micro=0)
        given_now = summed(one, None, None)
        entry.put([*given_now.pairs(), *given_now.marks()])
        ranks[at >= cut].take([entry])
    expected = average(found)
    result = Means().merge(ranks).result()
    terms = {name: one for (group, name), one in result.items() if group == "terms"}
    assert terms == pytest.approx(
        {name: one.value.item() for name, one in expected.items() if one.value is not None},
        rel=1e-9,
        abs=1e-9,
    )
    assert result["total", ""] == pytest.approx(expected.total.item(), rel=1e-9, abs=1e-9)


def test_the_total_is_the_sum_of_the_means() -> None:
    """A term that half of the batches lack weighs in the total as it does in its mean."""
    means = Means()
    means.add(numbers(terms={"a": 1, "b": 10}, weights={"a": 1, "b": 1}, total={"": 11}))
    means.add(numbers(terms={"a": 1}, weights={"a": 1}, total={"": 1}))
    assert means.result()["total", ""] == 11


@pytest.mark.parametrize("ranks", [1, 2])
def test_weights_that_change(ranks: int) -> None:
    """No weighted sum is the total of the split then: it is the mean of the totals."""
    several = [Means() for _ in range(ranks)]
    for at, weight in enumerate((1.0, 3.0)):
        several[at % ranks].add(
            numbers(terms={"a": 2}, weights={"a": weight}, counts={"a": 4}, total={"": 2 * weight})
        )
    result = Means().merge(several).result()
    assert result["total", ""] == 4
    assert result["terms", "a"] == 2


def test_a_rank_without_batches_changes_nothing() -> None:
    """Wherever it stands among the ranks."""
    for place in (0, 1):
        several = [Means(), Means()]
        several[place].add(
            numbers(terms={"a": 1, "b": 10}, weights={"a": 1, "b": 1}, total={"": 11})
        )
        several[place].add(numbers(terms={"a": 1}, weights={"a": 1}, total={"": 1}))
        found = Means().merge(several)
        assert found.steady
        assert found.result()["total", ""] == 11


def test_counts_that_some_batches_lack() -> None:
    """Without all counts every batch counts the same."""
    means = Means()
    means.add(numbers(terms={"a": 1}, counts={"a": 9}))
    means.add(numbers(terms={"a": 3}))
    assert means.result() == {("terms", "a"): 2.0, ("counts", "a"): 9.0}


def test_logged_numbers_are_averaged() -> None:
    """What is logged beside has no weight and is in no total."""
    means = Means()
    means.add(numbers(log={"a": 1}))
    means.add(numbers(log={"a": 3}))
    assert means.result() == {("log", "a"): 2.0}
