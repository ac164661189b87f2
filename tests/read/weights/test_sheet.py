import numpy as np

from poise.read.weights.sheet import held_at, sample, values_at
from poise.run import Ints, Kind, Series, Table


def table(size: int, segments: Ints, **series: Series) -> Table:
    """A training table of the given series."""
    return Table(
        split="train",
        grain="step",
        steps=np.arange(size),
        step_name="step",
        segments=segments,
        series=series,
    )


def test_samples_are_few_and_hold_both_ends_of_every_restart() -> None:
    """Four thousand records stand for a million, and no restart falls between them."""
    size = 200_000
    rows = np.arange(size)
    segments = (rows >= 70_001).astype(np.int64) + (rows >= 150_003)
    loss = Series(name="loss", kind=Kind.TOTAL, rows=rows, values=rows / 7.0)
    found = sample(table(size, segments, loss=loss))
    assert found is not None
    assert len(found.rows) < 4100
    assert {0, 70_000, 70_001, 150_002, 150_003, size - 1} <= set(found.rows.tolist())
    assert np.array_equal(found.columns["loss"], found.rows / 7.0)


def test_silence_is_nan_or_the_last_value() -> None:
    """A loss that is not mentioned is missing; a weight that is not mentioned stays."""
    one = Series(name="w", kind=Kind.WEIGHT, rows=np.array([1, 4]), values=np.array([0.5, 2.0]))
    rows = np.arange(6)
    assert np.isnan(values_at(one, rows)).tolist() == [True, False, True, True, False, True]
    assert held_at(one, rows).tolist() == [0.5, 0.5, 0.5, 0.5, 2.0, 2.0]


def test_without_losses_there_is_nothing_to_sample() -> None:
    """Statistics alone make no total."""
    acc = Series(name="acc", kind=Kind.STATISTIC, rows=np.arange(3), values=np.ones(3))
    assert sample(table(3, np.zeros(3, dtype=np.int64), acc=acc)) is None
