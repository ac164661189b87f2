"""Totals of other terms or weights are other objectives."""

from dataclasses import replace

import numpy as np

from poise.comparing.totals import objectives_differ
from poise.run import Kind, Run
from tests.comparing.build import run, table

ONES = np.ones(5)


def made(**weights: float) -> Run:
    """A run with these declared weights."""
    return run(table(dict.fromkeys(weights, ONES)), weights=weights)


def logged(values: np.ndarray) -> Run:
    """A run that logs the weight of its term."""
    one = table({"a": ONES, "weight/a": values}, kinds={"weight/a": Kind.WEIGHT})
    series = dict(one.series)
    series["weight/a"] = replace(series["weight/a"], of="a")
    return run(replace(one, series=series))


def test_the_same_objective() -> None:
    """The same terms with the same weights, and rounding of fitted ones, is the same."""
    assert objectives_differ([made(a=1.0, b=0.1)], [made(a=1.0, b=0.101)]) == ""
    assert objectives_differ([run(table({"a": ONES}))], [run(table({"a": ONES}))]) == ""


def test_other_weights() -> None:
    """The first weight that differs is named with both values."""
    said = objectives_differ([made(a=1.0, b=0.1)], [made(a=1.0, b=10.0)])
    assert said == "the weight of 'b' goes from 0.1 to 10"


def test_other_terms() -> None:
    """A term more is another objective."""
    assert objectives_differ([made(a=1.0)], [made(a=1.0, b=0.0)]) == "the terms differ"


def test_a_weight_that_varies() -> None:
    """Two seeds of a balancer agree; a constant weight and a moving one do not."""
    moving = np.linspace(1.0, 2.0, 5)
    assert objectives_differ([logged(moving)], [logged(1.1 * moving)]) == ""
    assert "constant on one side only" in objectives_differ([logged(moving)], [logged(ONES)])
    assert "goes from 1.5 to 15" in objectives_differ([logged(moving)], [logged(10 * moving)])


def test_a_weight_known_on_one_side() -> None:
    """Then nobody knows, and it is said."""
    said = objectives_differ([made(a=1.0)], [run(table({"a": ONES}))])
    assert said == "the weight of 'a' is known on one side only"
