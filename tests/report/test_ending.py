"""The end of a run is what its last records say, and nothing is made up."""

from dataclasses import replace
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


def probed(weights: dict[str, list[float]]) -> Run:
    """Six training records with these weights, and probes at steps 1, 3 and 5."""
    logged = {f"weight/{name}": np.array(values) for name, values in weights.items()}
    train = table({"ce": np.ones(6), "late": np.ones(6)} | logged)
    weight = {
        name: replace(train.series[name], kind=Kind.WEIGHT, of=name.removeprefix("weight/"))
        for name in logged
    }
    shares = {"ce": [1.0, 0.7, 0.5], "late": [0.0, 0.3, 0.5]}
    probes = table(
        {f"gradient_share/{name}": np.array(values) for name, values in shares.items()},
        kinds={f"gradient_share/{name}": Kind.GRADIENT_SHARE for name in shares},
    )
    named = {
        name: replace(one, of=name.removeprefix("gradient_share/"))
        for name, one in probes.series.items()
    }
    return made(
        replace(train, series={**train.series, **weight}),
        replace(probes, grain="probe", steps=np.array([1, 3, 5]), series=named),
    )


def test_probes_before_a_term_starts_are_not_in_its_gradient_share() -> None:
    """Its median is over the probes with a weight; a term that never has one has no share."""
    on, off = [0.5] * 6, [0.0] * 6
    late = ending(probed({"ce": on, "late": [0.0, 0.0, 0.0, 0.1, 0.1, 0.1]})).terms
    assert (late["ce"].gradient, late["late"].gradient) == (0.7, pytest.approx(0.4))
    always = ending(probed({"ce": on, "late": on})).terms
    assert always["late"].gradient == 0.3
    unknown = ending(probed({})).terms
    assert unknown["late"].gradient == 0.3
    never = ending(probed({"ce": on, "late": off})).terms
    assert (never["ce"].gradient, never["late"].gradient) == (0.7, None)


def test_after_a_restart_the_later_weight_of_a_step_counts() -> None:
    """Steps go back there: the weight is found by step, whatever the order of the records."""
    found = probed({"late": [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]})
    train = replace(found.train, steps=np.array([0, 3, 4, 5, 2, 3]))
    again = replace(found, tables=(train, *found.tables[1:]))
    assert ending(again).terms["late"].gradient == 0.3


def test_a_declared_weight_of_0_is_no_share() -> None:
    """Where weights are not logged, the declared one says it."""
    found = probed({})
    declared = made(*found.tables, weights={"ce": 1.0, "late": 0.0})
    assert ending(declared).terms["late"].gradient is None
    assert ending(declared).terms["ce"].gradient == 0.7


def test_an_empty_run_has_no_end() -> None:
    """Nothing read, nothing told."""
    end = ending(Run(path=Path("none"), format="csv", tables=(), compositions=()))
    assert (end.steps, end.records, dict(end.terms)) == (None, 0, {})
