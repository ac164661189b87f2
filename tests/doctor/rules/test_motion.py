"""Trainings in which nothing moves, and those in which it only looks so."""

from dataclasses import replace

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.motion import AverageCannotMove, OptimizerNeverSteps, ParametersStill
from poise.run import Kind, Run, Series
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(3))


def stepping(records: int, accumulate: int, *, seed: int = 0, stop: int | None = None) -> Run:
    """Micro-batches with a step every `accumulate` of them, until `stop`; 0 never steps."""
    micro = np.arange(records)
    steps = micro * 0 if not accumulate else micro // accumulate
    if stop is not None:
        steps = np.minimum(steps, stop)
    noise = np.random.default_rng(seed).normal(2.0, 0.1, records)
    return watched({"ce": noise}, steps=steps, micro=micro, lr=np.full(records, 1e-3))


@SEEDS
def test_no_step_is_found_within_20_batches(seed: int) -> None:
    """16 are enough for a warning, 64 for an error."""
    (one,) = found_by(OptimizerNeverSteps(), stepping(20, 0, seed=seed))
    assert one.severity is Severity.WARNING
    (one,) = found_by(OptimizerNeverSteps(), stepping(64, 0, seed=seed))
    assert one.severity is Severity.ERROR
    (one,) = found_by(OptimizerNeverSteps(), stepping(200, 4, seed=seed, stop=20))
    assert "at most 4 apart" in one.evidence[0].text


@pytest.mark.parametrize(("records", "accumulate"), [(15, 0), (300, 32), (20, 8), (40, 1)])
def test_accumulation_is_silent(records: int, accumulate: int) -> None:
    """The near miss: few batches yet, or steps that come."""
    assert not found_by(OptimizerNeverSteps(), stepping(records, accumulate))


def test_without_an_optimizer_nothing_is_claimed() -> None:
    """A watch without an optimizer sees no steps."""
    run = watched({"ce": np.ones(40)}, steps=np.zeros(40), micro=np.arange(40), optimizers=())
    assert not found_by(OptimizerNeverSteps(), run)


def moving(motion: dict[str, list[float]], **given: object) -> Run:
    """A run with two modules that a term reaches."""
    rng = np.random.default_rng(0)
    reach = {"ce": ("trunk.weight", "head.weight")}
    return watched({"ce": fall(2, 1, rng)}, motion=motion, reach=reach, **given)  # type: ignore[arg-type]  # passed on


def test_still_parameters_are_found() -> None:
    """All of them: an error. Some: a warning, or a note where a rate of 0 asks for it."""
    none, some = [0.0, 0.0, 0.0], [0.01, 0.02, 0.01]
    (one,) = found_by(ParametersStill(), moving({"trunk": none, "head": none}))
    assert one.severity is Severity.ERROR
    (one,) = found_by(ParametersStill(), moving({"trunk": none, "head": some}))
    assert (one.severity, one.terms) == (Severity.WARNING, ("trunk",))
    asked = moving({"trunk": none, "head": some}, lr=np.zeros(200))
    assert [one.severity for one in found_by(ParametersStill(), asked)] == [Severity.NOTE]


def test_moving_and_unreached_parameters_are_silent() -> None:
    """The near miss: the first step of a warm-up is still, and a module without a term."""
    some = [0.0, 0.02, 0.01]
    spare = {"trunk": some, "head": some, "spare": [0.0, 0.0, 0.0]}
    assert not found_by(ParametersStill(), moving(spare))


def test_parameters_of_a_term_that_rests_are_silent() -> None:
    """A curriculum keeps a term at weight 0 in the measured steps; at weight 1 it is a finding."""
    values = fall(2, 1, np.random.default_rng(0))
    for late, expected in ((0.0, 0), (1.0, 1)):
        weight = np.linspace(0.0, 1.0, 200) * late
        weight[150:] = 1.0
        run = watched(
            {"ce": values, "aux": values},
            motion={"trunk": [0.01, 0.02], "aux_head": [0.0, 0.0]},
            probe_steps=[20, 60],
            weight_history={"aux": weight},
        )
        found = found_by(ParametersStill(), run)
        assert len(found) == expected
        assert all(one.terms == ("aux_head",) for one in found)


def test_a_slow_average_is_found() -> None:
    """0.9999 over 1,000 steps is still 90% initial weights; 0.99 is not."""
    values = fall(2, 1, np.random.default_rng(0))
    for decay, expected in ((0.9999, 1), (0.99, 0)):
        run = watched(
            {"ce": values},
            statistics={"ema_decay": np.full(200, decay)},
            evals={"ce": [1.0, 1.0, 1.0]},
        )
        assert len(found_by(AverageCannotMove(), run)) == expected


@pytest.mark.parametrize(
    ("marks", "summary", "cause"),
    [
        (("discarded",), "step() is never called", "Nobody calls"),
        (("skipped",), "the optimizer has made 0 steps", "Mixed precision"),
        ((), "the optimizer has made 0 steps", "counter"),
    ],
)
def test_why_no_step_comes(marks: tuple[str, ...], summary: str, cause: str) -> None:
    """Mixed precision is blamed only for what the record says that it skipped."""
    run = stepping(200, 0)
    extra = {
        name: Series(name=name, kind=Kind.STATISTIC, rows=np.arange(3, 200, 4), values=np.ones(50))
        for name in marks
    }
    table = replace(run.train, series={**run.train.series, **extra})
    (one,) = found_by(OptimizerNeverSteps(), replace(run, tables=(table,)))
    assert one.summary.startswith(summary)
    assert cause in one.cause
    assert [fact.text[:2] for fact in one.evidence[1:]] == ["50"] * len(marks)
