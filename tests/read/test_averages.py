"""Averages of the weights, as probes tell of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.read.averages import averages_of, decay_of
from poise.record.schema import Record


@given(st.floats(0.01, 1), st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_a_constant_decay_is_itself(decay: float, steps: list[int]) -> None:
    """However the probes are spread, and if a run was restarted."""
    assert decay_of([(step, decay) for step in steps]) == pytest.approx(decay)


def test_a_warm_up_keeps_what_its_product_keeps() -> None:
    """Against the product over all 200 steps, from probes at the usual ones."""
    decays = [(1 + step) / (10 + step) for step in range(201)]
    found = decay_of([(step, decays[step]) for step in (1, 2, 4, 8, 16, 32, 50, 100, 150, 200)])
    assert found is not None
    assert 199 * math.log(found) == pytest.approx(math.log(math.prod(decays[1:200])), rel=0.1)


def test_a_copy_is_no_decay() -> None:
    """The first update of many averages sets them to the weights."""
    assert decay_of([(0, 0.0), (1, 0.99), (2, 0.99)]) == pytest.approx(0.99)
    assert decay_of([(0, 0.0)]) is None
    assert decay_of([]) is None


def test_the_slowest_average_is_declared() -> None:
    """Of several the one with the largest decay; without a decay there is none."""
    records: list[Record] = [
        {"step": 1, "averages": {"fast": {"decay": 0.5, "follows": 0.1}, "slow": {"decay": 0.9}}},
        {"step": 3, "averages": {"fast": {"follows": 0.75}, "slow": {"decay": 0.9}}},
    ]
    found = averages_of(records)
    assert found["ema_decay"] == pytest.approx(0.9)
    assert found["averages"] == {
        "fast": {"decay": 0.5, "follows": 0.75},
        "slow": {"decay": pytest.approx(0.9)},
    }
    assert averages_of([{"step": 1, "averages": {"one": {"follows": 0.5}}}]) == {
        "averages": {"one": {"follows": 0.5}}
    }


@pytest.mark.parametrize("odd", [None, 3, "x", [1], {"a": 3}, {"a": {"decay": "high"}}, {"a": {}}])
def test_other_shapes_do_no_harm(odd: object) -> None:
    """What is no table of numbers by average says nothing."""
    assert averages_of([{"step": 1, "averages": odd}]) == {}
    assert "ema_decay" not in averages_of([{"step": 1, "averages": {"a": {"decay": math.nan}}}])
