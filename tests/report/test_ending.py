"""The end of a run is what its last records say, and nothing is made up."""

from pathlib import Path

import numpy as np
import pytest

from poise import read_run
from poise.recipes import run
from poise.report.ending import TAIL, ending
from poise.run import Kind, Run
from tests.comparing.build import run as made
from tests.comparing.build import table
from tests.recipes.fake import FAKE, STEPS


def test_a_watched_run_ends_with_steps_terms_metrics_shares_and_motion(tmp_path: Path) -> None:
    """Each number is that of the record, recomputed here."""
    found = read_run(run(FAKE, "cured", tmp_path / "a"))
    end = ending(found)
    assert (end.steps, end.records, end.split) == (STEPS, STEPS, "eval")
    values = found.train.series["a"].values
    assert end.terms["a"].train == pytest.approx(values[-TAIL:].mean())
    assert end.terms["a"].evaluated is not None
    assert end.terms["a"].evaluated < values[-1]
    total = end.terms["a"].evaluated + (end.terms["b"].evaluated or 0)
    assert end.metrics["error"] == pytest.approx(total, rel=1e-6)
    shares = [one.gradient or 0.0 for one in end.terms.values()]
    assert sum(shares) == pytest.approx(1.0, abs=0.05)
    assert set(end.motion) == {"trunk", "head"}
    assert "shared" in end.place


def test_a_learning_rate_of_0_moves_nothing(tmp_path: Path) -> None:
    """Steps are counted, and the motion is exactly 0."""
    end = ending(read_run(run(FAKE, "reported", tmp_path / "a")))
    assert end.steps == STEPS
    assert {one.median for one in end.motion.values()} == {0.0}


def test_a_log_without_evaluation_has_no_evaluated_value() -> None:
    """The steps are those of the training then."""
    end = ending(made(table({"ce": np.arange(30.0)})))
    assert (end.steps, end.split, end.metrics) == (30, None, {})
    assert end.terms["ce"].evaluated is None
    assert end.terms["ce"].train == pytest.approx(24.5)
    assert end.terms["ce"].gradient is None


def test_a_metric_that_the_last_evaluation_lacks_is_not_taken_from_an_earlier_one() -> None:
    """An old number would pass for the final one."""
    train = table({"ce": np.arange(4.0)})
    evaluated = table(
        {"ce": np.arange(3.0), "f1": np.ones(3)}, kinds={"f1": Kind.STATISTIC}, split="eval"
    )
    short = evaluated.series["f1"]
    cut = type(short)(name="f1", kind=Kind.STATISTIC, rows=short.rows[:2], values=short.values[:2])
    series = dict(evaluated.series) | {"f1": cut}
    late = type(evaluated)(
        split="eval", grain="step", steps=evaluated.steps, step_name="step",
        segments=evaluated.segments, series=series,
    )  # fmt: skip
    assert ending(made(train, late)).metrics == {}
    assert ending(made(train, evaluated)).metrics == {"f1": 1.0}


def test_an_empty_run_has_no_end() -> None:
    """Nothing read, nothing told."""
    end = ending(Run(path=Path("none"), format="csv", tables=(), compositions=()))
    assert (end.steps, end.records, dict(end.terms)) == (None, 0, {})
