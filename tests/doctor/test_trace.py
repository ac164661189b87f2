"""The coarse view of the training table."""

import numpy as np

from poise.doctor.case import Case
from poise.doctor.trace import BLOCKS
from tests.doctor.build import make_run


def test_a_short_run_keeps_every_record() -> None:
    """Up to 2000 records there is one block per record."""
    values = np.arange(50.0)
    trace = Case(make_run({"a": values})).stretches[0].traces["a"]
    assert np.array_equal(trace.mid, values)
    assert trace.steps == (0, 49)


def test_a_long_run_keeps_extremes_and_the_opening() -> None:
    """Blocks are bounded in number; a spike survives in `high`, the first values in `opening`."""
    values = np.ones(123_457)
    values[:5] = 100.0
    values[70_000] = 7.0
    trace = Case(make_run({"a": values})).stretches[0].traces["a"]
    assert len(trace) <= BLOCKS
    assert trace.opening == 100.0
    assert trace.mid.max() == 1.0
    at = int(trace.high[10:].argmax()) + 10
    assert trace.first[at] <= 70_000 <= trace.last[at]


def test_restarts_cut_the_table_and_the_longest_stretch_comes_first() -> None:
    """Values never mix across a restart."""
    parts = np.repeat([0, 1, 2], [10, 30, 20])
    case = Case(make_run({"a": parts.astype(float)}, segments=parts))
    assert [len(one) for one in case.stretches] == [30, 20, 10]
    assert [set(one.traces["a"].mid) for one in case.stretches] == [{1.0}, {2.0}, {0.0}]


def test_a_sparse_quantity_keeps_its_steps_and_what_is_not_finite_is_left_out() -> None:
    """Rows that do not mention a term, and NaN, leave no block."""
    run = make_run({"a": np.arange(9.0), "b": ([2, 5, 7], [1.0, np.nan, 3.0])}, total=None)
    trace = Case(run).stretches[0].traces["b"]
    assert trace.first.tolist() == [2, 7]
    assert trace.mid.tolist() == [1.0, 3.0]


def test_a_quantity_without_a_finite_value_has_no_trace() -> None:
    """All NaN is no evidence of any level."""
    run = make_run({"a": np.arange(3.0), "b": np.full(3, np.nan)}, total=None)
    assert list(Case(run).stretches[0].traces) == ["a"]


def test_the_fall_is_a_ratio_only_for_positive_quantities() -> None:
    """A loss from 4 to 1 fell by 75%; one that changes sign has no such number."""
    run = make_run({"a": np.linspace(4, 1, 200), "b": np.linspace(4, -1, 200)})
    traces = Case(run).stretches[0].traces
    assert 0.7 < traces["a"].fall < 0.8
    assert np.isnan(traces["b"].fall)
