"""Lines and layers are plain data that keep what is small and what is not finite."""

import numpy as np

from poise.report.traces import Sheet, line, panel, stack
from tests.report.builders import sick_run


def _sheet() -> Sheet:
    table = sick_run().train
    return Sheet(table=table, positions=table.steps, budget=100, composition=None, solid=True)


def test_a_line_keeps_its_gaps_and_takes_another_name() -> None:
    """Six NaN are one gap; the name is the one that was asked for."""
    found = line(_sheet(), _sheet().table.series["kinetic"], "other")
    assert found["name"] == "other"
    assert [one[2:] for one in found["bad"]] == [[6, 0, 0]]


def test_an_axis_can_be_forced_linear() -> None:
    """Shares stay on a linear axis though they span decades."""
    series = [line(_sheet(), _sheet().table.series["physics"])]
    assert panel("a", "A", 0, series)["scale"] == "log"
    assert panel("a", "A", 0, series, linear=True)["scale"] == "linear"


def test_many_layers_are_summed() -> None:
    """The eleven largest keep their place in the order given; the others are one layer."""
    rows = np.arange(3)
    sizes = np.array([1e-9, *np.linspace(0.05, 0.1, 14)])
    shares = [(f"t{k}", np.full(3, size)) for k, size in enumerate(sizes / sizes.sum())]
    found = stack("s", "S", 0, _sheet(), rows, shares)
    names = [one["name"] for one in found["series"]]
    assert names == [*(f"t{k}" for k in range(4, 15)), "4 other terms"]
    few = stack("s", "S", 0, _sheet(), rows, shares[:3])
    assert few["series"][0]["y"][0] > 0
