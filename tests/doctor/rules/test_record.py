"""What the log itself does to the numbers."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.record import (
    Crash,
    LogGap,
    RepeatedSteps,
    Restart,
    Truncated,
)
from poise.run import Event
from tests.doctor.build import make_run
from tests.doctor.healthy import HEALTHY, N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def plain() -> dict[str, np.ndarray]:
    """Two terms."""
    return {"ce": decay(RNG, 7, 2), "kl": decay(RNG, 3, 1)}


def test_restart_is_a_note_with_its_steps() -> None:
    """Where the run folded back is said; a burst is mentioned only where there is one."""
    (one,) = found_by(Restart(), HEALTHY["restarted"](RNG))
    assert one.severity is Severity.NOTE
    assert "2 times (from step 249 to 220)" in one.summary
    assert "burst" not in one.summary
    assert not found_by(Restart(), make_run(plain()))


def test_burst_after_a_restart() -> None:
    """The first records after a restart are far above those before."""
    values = np.concatenate((decay(RNG, 7, 1)[:300], 5 * decay(RNG, 7, 1)[:100]))
    parts = np.repeat([0, 1], [300, 100])
    steps = np.concatenate((np.arange(300), np.arange(290, 390)))
    (one,) = found_by(Restart(), make_run({"ce": values}, segments=parts, steps=steps))
    assert "one of them begins with a burst" in one.summary


def test_crash_at_the_end_and_before_a_resume() -> None:
    """A death that ends the run is a warning; one that was survived, or ordered, is a note."""
    end = Event(name="crash", step=N - 1, text="RuntimeError: out of memory")
    early = Event(name="crash", step=50, text="RuntimeError: out of memory")
    by_hand = Event(name="crash", step=N - 1, text="KeyboardInterrupt")
    levels = {Severity.WARNING: end, Severity.NOTE: early}
    for severity, event in levels.items():
        (one,) = found_by(Crash(), make_run(plain(), events=[event]))
        assert one.severity is severity
    clean_up = Event(name="crash", step=N - 1, text="NameError in the handler")
    for run in (
        make_run(plain(), events=[by_hand]),
        make_run(plain(), events=[by_hand, clean_up]),
        make_run(plain(), events=[end], declared={"total_steps": N}),
    ):
        (one,) = found_by(Crash(), run)
        assert one.severity is Severity.NOTE
    assert not found_by(Crash(), make_run(plain()))


def test_crash_of_a_scheduler_is_left_to_its_own_rule() -> None:
    """One crash is one finding."""
    event = Event(name="crash", step=N - 1, text="StepLR: TypeError")
    assert not found_by(Crash(), make_run(plain(), events=[event]))


def test_repeated_steps() -> None:
    """Four records a step are said; a single repetition is not."""
    (one,) = found_by(RepeatedSteps(), make_run(plain(), steps=np.arange(N) // 4))
    assert one.severity is Severity.NOTE
    once = np.arange(N)
    once[100:] -= 1
    assert not found_by(RepeatedSteps(), make_run(plain(), steps=once))


def test_gap() -> None:
    """A hole of a fifth of the run is said; a slower pace of logging is not."""
    steps = np.arange(N) * 10
    steps[200:] += 1000
    (one,) = found_by(LogGap(), make_run(plain(), steps=steps))
    assert one.steps == (1990, 3000)
    slower = np.concatenate((np.arange(200), 200 + 5 * np.arange(200)))
    assert not found_by(LogGap(), make_run(plain(), steps=slower))


def test_truncation_is_the_readers_word() -> None:
    """A remark on a cut end becomes a note; other remarks do not."""
    (one,) = found_by(Truncated(), make_run(plain(), remarks=["the last line is truncated"]))
    assert one.severity is Severity.NOTE
    assert not found_by(Truncated(), make_run(plain(), remarks=["read a.csv of 3 files"]))
