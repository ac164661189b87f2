"""Value shares add up and say what they are of."""

import numpy as np
import pytest

from poise.report.shares import value_shares
from poise.run import Composition, Kind, Series, Table, TermWeight
from tests.report.builders import series, table


def _composition(**weights: float | None) -> Composition:
    return Composition(
        total="loss",
        terms=tuple(
            TermWeight(name=name, weight=weight, source="fitted")
            for name, weight in weights.items()
        ),
        residual=0.0,
        tolerance=0.0,
        exact=True,
        remainder=0.0,
        records=4,
        why="",
    )


def test_shares_are_of_weighted_absolute_values() -> None:
    """A negative term counts by its size, a weight of 0 takes a term out."""
    one = table(
        {
            "a": (Kind.TERM, np.full(4, -1.0)),
            "b": (Kind.TERM, np.full(4, 1.0)),
            "c": (Kind.TERM, np.full(4, 9.0)),
        }
    )
    found = value_shares(one, _composition(a=3.0, b=1.0, c=0.0), 2)
    assert found is not None
    assert (found.names, found.weighted) == (("a", "b"), True)
    np.testing.assert_allclose(found.values, [[0.75, 0.25], [0.75, 0.25]])


def test_unknown_weights_count_as_one_and_are_said() -> None:
    """Without a composition all terms take part as they are."""
    one = table({"a": (Kind.TERM, np.ones(3)), "b": (Kind.TERM, np.full(3, 3.0))})
    found = value_shares(one, None, 1)
    assert found is not None
    assert not found.weighted
    np.testing.assert_allclose(found.values, [[0.25, 0.75]])


def test_logged_weights_are_used() -> None:
    """A weight schedule beside its term turns the share around."""
    base = table({"a": (Kind.TERM, np.ones(4)), "b": (Kind.TERM, np.ones(4))})
    weight = Series(
        name="w_b",
        kind=Kind.WEIGHT,
        rows=np.array([0, 2]),
        values=np.array([0.0, 3.0]),
        of="b",
    )
    other = Series(name="w_a", kind=Kind.WEIGHT, rows=np.array([0]), values=np.array([1.0]), of="a")
    one = Table(
        split="train",
        grain="step",
        steps=base.steps,
        step_name="step",
        segments=base.segments,
        series={**base.series, "w_b": weight, "w_a": other},
    )
    found = value_shares(one, None, 4)
    assert found is not None
    assert found.weighted
    np.testing.assert_allclose(found.values[:, 1], [0.0, 0.0, 0.75, 0.75])


def test_sparse_late_and_broken_terms() -> None:
    """A term that is absent has no share, a NaN does not spread, nothing at all is NaN."""
    values = np.array([1.0, np.nan, 0.0, 0.0])
    late = Series(name="b", kind=Kind.TERM, rows=np.array([1]), values=np.array([1.0]))
    one = Table(
        split="train",
        grain="step",
        steps=np.arange(4),
        step_name="step",
        segments=np.zeros(4, dtype=np.int64),
        series={"a": series("a", values), "b": late},
    )
    found = value_shares(one, None, 4)
    assert found is not None
    np.testing.assert_allclose(
        found.values, [[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [np.nan, np.nan]]
    )


@pytest.mark.parametrize("bins", [1, 7, 50])
def test_rows_sum_to_one(bins: int) -> None:
    """Shares sum to 1 however many bins, uneven ones included."""
    rng = np.random.default_rng(3)
    one = table({name: (Kind.TERM, rng.random(50)) for name in "abc"})
    found = value_shares(one, None, bins)
    assert found is not None
    assert len(found.values) == bins
    np.testing.assert_allclose(found.values.sum(axis=1), 1.0)


def test_one_term_has_no_shares() -> None:
    """A share of one term says nothing."""
    assert value_shares(table({"a": (Kind.TERM, np.ones(3))}), None, 2) is None
