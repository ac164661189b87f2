"""Learning rates against the shapes that schedules have."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rule import Rule
from poise.doctor.rules.schedule import (
    LearningRateConstant,
    LearningRateFloorEarly,
    LearningRateReset,
    LearningRateSawtooth,
    SchedulerCrash,
)
from poise.run import Event
from tests.doctor.build import make_run
from tests.doctor.healthy import N, cosine, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
STEP = np.arange(N)


def severities(rule: Rule, lr: np.ndarray, **given: object) -> list[Severity]:
    """What a rule says to a learning rate."""
    return [
        one.severity for one in found_by(rule, make_run({"a": decay(RNG, 7, 2)}, lr=lr, **given))
    ]  # type: ignore[arg-type]  # passed on


def test_declared_schedule_that_never_changes() -> None:
    """Over most of the declared steps it is an error, early a warning; a constant one is fine."""
    lr = np.full(N, 3e-4)
    rule = LearningRateConstant()
    whole = {"schedule": "cosine", "total_steps": N}
    assert severities(rule, lr, declared=whole) == [Severity.ERROR]
    assert severities(rule, lr, declared=whole | {"total_steps": 100 * N}) == [Severity.WARNING]
    assert not severities(rule, lr, declared={"schedule": "constant"})
    assert not severities(rule, cosine(), declared=whole)


@pytest.mark.parametrize("accumulation", [3, 4, 8])
def test_schedule_stepped_per_micro_batch(accumulation: int) -> None:
    """A cosine that ends after 1/k of the run and stays at its end."""
    lr = np.full(N, 1e-9)
    short = cosine(N // accumulation, warm=5)
    lr[: len(short)] = np.maximum(short, 1e-9)
    assert severities(LearningRateFloorEarly(), lr) == [Severity.WARNING]


@pytest.mark.parametrize(
    "lr",
    [
        cosine(),
        np.linspace(1e-3, 0, N),
        1e-2 * 10.0 ** (-STEP / 80),
        np.full(N, 1e-3),
        np.minimum(STEP / 50, 1) * 1e-3,
        np.concatenate((cosine(N - 20), np.zeros(20))),
        1e-3 * np.maximum(cosine(N // 2, peak=1).repeat(2), 0.1),
    ],
    ids=["cosine", "linear", "exponential", "constant", "warm-up", "short end", "floor at 10%"],
)
def test_plausible_shapes_are_silent(lr: np.ndarray) -> None:
    """The usual schedules end at their floor late, fall on, or have a floor that trains."""
    assert not severities(LearningRateFloorEarly(), lr)
    assert not severities(LearningRateSawtooth(), lr)


def test_milestones_are_a_note() -> None:
    """Three divisions by 10 reach 1/1000 of the peak on purpose."""
    lr = 0.1 * 10.0 ** -np.searchsorted([80, 120, 160], STEP, side="right")
    assert severities(LearningRateFloorEarly(), lr) == [Severity.NOTE]


def test_a_rate_that_is_divided_again_and_again_is_gone() -> None:
    """Seven divisions by 10 within half of the run; an exponential decay to 1e-5 is not early."""
    lr = 0.02 * 10.0 ** -np.minimum(STEP // (N // 14), 7)
    assert severities(LearningRateFloorEarly(), lr) == [Severity.WARNING]
    falling = 0.02 * 10.0 ** -(STEP // (N // 8))
    assert severities(LearningRateFloorEarly(), falling) == [Severity.WARNING]
    assert not severities(LearningRateFloorEarly(), 0.02 * np.geomspace(1, 1e-5, N))


def plateaus(factor: float) -> np.ndarray:
    """A rate that a plateau scheduler divides after every eighth of half of the run."""
    return 1e-3 * factor ** np.minimum(STEP // (N // 16), 8)


@pytest.mark.parametrize("factor", [0.1, 0.3])
def test_equal_divisions_are_laid_to_a_plateau_scheduler(factor: float) -> None:
    """Steps of one factor and a smooth fall have other causes, and other lines to tell by."""
    (one,) = found_by(
        LearningRateFloorEarly(), make_run({"a": decay(RNG, 7, 2)}, lr=plateaus(factor))
    )
    assert f"by one factor, {factor}: a plateau scheduler" in one.cause
    assert "scheduler.best" in one.verify
    smooth = np.full(N, 1e-9)
    smooth[: N // 4] = np.maximum(cosine(N // 4, warm=5), 1e-9)
    (other,) = found_by(LearningRateFloorEarly(), make_run({"a": decay(RNG, 7, 2)}, lr=smooth))
    assert "plateau" not in other.cause
    assert "scheduler.last_epoch" in other.verify


def test_divisions_by_different_factors_are_no_plateau_scheduler() -> None:
    """A warm-up in front, or milestones of a plan of its own, say something else."""
    lr = plateaus(0.3) * np.where(STEP < N // 4, 1, 0.5)
    (one,) = found_by(LearningRateFloorEarly(), make_run({"a": decay(RNG, 7, 2)}, lr=lr))
    assert "plateau" not in one.cause


def test_reset_at_a_resume() -> None:
    """A resume at step 200 that warms up again lost the schedule's state."""
    steps = np.concatenate((np.arange(250), np.arange(200, 350)))
    parts = np.repeat([0, 1], [250, 150])
    again = np.concatenate((cosine()[:250], cosine()[:150]))
    whole = np.concatenate((cosine()[:250], cosine()[200:350]))
    rule = LearningRateReset()
    assert severities(rule, again, steps=steps, segments=parts) == [Severity.WARNING]
    assert not severities(rule, whole, steps=steps, segments=parts)


def test_new_training_in_the_same_file_is_silent() -> None:
    """A start from step 0 may have a schedule of its own."""
    steps = np.concatenate((np.arange(250), np.arange(150)))
    lr = np.concatenate((cosine()[:250], cosine()[:150]))
    parts = np.repeat([0, 1], [250, 150])
    assert not severities(LearningRateReset(), lr, steps=steps, segments=parts)


def test_sawtooth_is_a_note() -> None:
    """Warm restarts may be meant."""
    lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * (STEP % 100) / 100))
    (one,) = found_by(LearningRateSawtooth(), make_run({"a": decay(RNG, 7, 2)}, lr=lr))
    assert one.severity is Severity.NOTE
    assert "3 times" in one.summary
    assert one.steps == (100, 300)


def test_a_restart_every_few_steps_is_a_warning() -> None:
    """A cosine over 10 epochs that is stepped with every batch; 20 restarts are a note."""
    for period, severity in ((10, Severity.WARNING), (20, Severity.NOTE)):
        lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * (STEP % period) / (period - 1)))
        assert severities(LearningRateSawtooth(), lr) == [severity]


def test_crash_in_the_scheduler() -> None:
    """A crash that names the scheduler is a schedule fault; another crash is not."""
    text = "lr_scheduler.py line 400 in get_lr: TypeError: unsupported operand"
    terms = {"a": decay(RNG, 7, 2)}
    run = make_run(terms, events=[Event(name="crash", step=149, text=text)])
    (one,) = found_by(SchedulerCrash(), run)
    assert one.severity is Severity.ERROR
    assert one.steps == (149, 149)
    other = Event(name="crash", step=149, text="RuntimeError: out of memory")
    assert not found_by(SchedulerCrash(), make_run(terms, events=[other]))
