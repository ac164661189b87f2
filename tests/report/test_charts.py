"""The data of the charts: shared axes, weights, order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poise.doctor.diagnosis import Diagnosis
from poise.report.charts import chart_data
from poise.run import Kind, Run, Series, Table
from tests.report.builders import table


def _charts(*tables: Table) -> dict[str, Any]:
    run = Run(path=Path("run"), format="csv", tables=tables)
    return chart_data(Diagnosis(run=run, findings=(), not_checked=(), passed=()))


def _losses(last: int, word: str, split: str = "train") -> Table:
    steps = np.linspace(last // 10, last, 10).astype(np.int64)
    columns = {"loss": (Kind.TOTAL, np.linspace(2.0, 1.0, 10))}
    return table(columns, steps=steps, step_name=word, split=split)


@pytest.mark.parametrize(
    ("last", "word", "axes"),
    [
        (4800, "num_updates", ["step"]),
        (64, "batches", ["step", "batches"]),
        (4600, "epoch", ["step", "epoch"]),
        (4600, "row", ["step", "row"]),
        (64, "step", ["step"]),
    ],
)
def test_tables_share_an_axis_only_if_they_count_the_same(
    last: int, word: str, axes: list[str]
) -> None:
    """Another word for steps is fine where the ends agree; epochs and rows never are."""
    found = _charts(_losses(4600, "step"), _losses(last, word, "val"))
    assert [one["name"] for one in found["axes"]] == axes


def test_the_finest_table_of_a_split_is_drawn() -> None:
    """The epoch means of a quantity that is logged per step are not drawn over it."""
    found = _charts(_losses(4600, "step"), _losses(4600, "step"))
    assert len(found["panels"][0]["series"]) == 1


def test_a_weight_schedule_is_drawn_and_applied() -> None:
    """A weight that changes has its own chart, and its term a second, weighted line."""
    base = table({"kl": (Kind.TERM, np.full(4, 2.0))})
    weight = Series(
        name="beta",
        kind=Kind.WEIGHT,
        rows=np.arange(4),
        values=np.array([0.0, 0.5, 1.0, 1.0]),
        of="kl",
    )
    one = Table(
        split="train",
        grain="step",
        steps=base.steps,
        step_name="step",
        segments=base.segments,
        series={"kl": base.series["kl"], "beta": weight},
    )
    terms, weights = _charts(one)["panels"]
    assert terms["series"][0]["wy"] == [0.0, 1.0, 2.0, 2.0]
    assert weights["id"] == "weights-0"


def test_constant_logged_weights_get_no_chart() -> None:
    """A weight that never changes is no line worth a chart."""
    one = table({"kl": (Kind.TERM, np.ones(4)), "beta": (Kind.WEIGHT, np.ones(4))})
    assert [panel["id"] for panel in _charts(one)["panels"]] == ["terms-0"]


def test_lines_never_run_backwards() -> None:
    """Steps out of order, as a split that belongs to another start may have, are sorted."""
    back = table(
        {"loss": (Kind.TOTAL, np.array([1.0, 2.0, 3.0]))}, steps=np.array([20, 0, 10]), split="val"
    )
    found = _charts(_losses(100, "step"), back)
    line = found["panels"][0]["series"][1]
    assert (line["x"], line["y"]) == ([0, 10, 20], [2.0, 3.0, 1.0])
