"""Following a run: when it is examined, when it has ended."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from poise.errors import ReadError
from poise.record import Recorder
from poise.record.lock import NAME, held
from poise.view import viewing
from poise.view.viewing import EXAMINE_S, Viewing, view


class Clock:
    """Seconds that are set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def text(one: Viewing) -> str:
    """What is shown."""
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(one.picture())
    return console.export_text()


def grown(recorder: Recorder, steps: range) -> None:
    """Writes some steps."""
    for step in steps:
        recorder.step(step, total=1.0, terms={"a": 1.0 / (step + 1), "b": 0.5})


def opened(path: Path) -> tuple[Viewing, Clock]:
    """A view whose clock is set by hand."""
    clock = Clock()
    return Viewing(path, Console(file=io.StringIO(), width=100), clock), clock


def test_diagnoses_take_a_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one waits ten seconds, or nine times as long as the last one took."""
    one, clock = opened(tmp_path / "run")
    took, calls = 4.0, []

    def dear(path: Path) -> object:
        calls.append(clock.now)
        clock.now += took
        return diagnose(path)

    diagnose = viewing.diagnose
    monkeypatch.setattr(viewing, "diagnose", dear)
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        for step in range(100):
            grown(recorder, range(step, step + 1))
            one.look()
            clock.now += 1.0
        assert calls == [0.0, 40.0, 80.0]
        took = 0.0
        for step in range(100, 200):
            grown(recorder, range(step, step + 1))
            one.look()
            clock.now += 1.0
    assert len(calls) <= 3 + 100 / EXAMINE_S + 1


def test_nothing_new_is_not_examined_again(tmp_path: Path) -> None:
    """A run that stands still costs nothing."""
    one, clock = opened(tmp_path / "run")
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        grown(recorder, range(30))
        one.look()
        assert "found" in text(one)
        first = one._examined
        clock.now = 1000.0
        one.look()
        assert one._examined is first


def test_the_end(tmp_path: Path) -> None:
    """A run has ended once its recorder is gone and nothing new comes; not before it began."""
    one, _ = opened(tmp_path / "run")
    one.look()
    one.look()
    assert not one.ended
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        grown(recorder, range(30))
        for _ in range(4):
            one.look()
        assert not one.ended
        assert ", recording" in text(one)
    one.look()
    one.look()
    assert one.ended
    assert ", closed" in text(one)


def test_a_large_record_is_left_to_diagnose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory stays bounded: beyond a size the record is not read whole while it grows."""
    one, _ = opened(tmp_path / "run")
    monkeypatch.setattr(viewing, "MOST_BYTES", 100)
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        grown(recorder, range(30))
        one.look()
    assert "not examined now: the record has 0.0 GB; run poise diagnose" in text(one)


def test_a_record_that_becomes_large_keeps_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only no newer findings are looked for."""
    one, _ = opened(tmp_path / "run")
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        grown(recorder, range(30))
        one.look()
        assert "at step 29" in text(one)
        monkeypatch.setattr(viewing, "MOST_BYTES", 100)
        one.examine()
    assert "at step 29" in text(one)
    assert "not examined now" in text(one)


def test_a_run_that_only_began(tmp_path: Path) -> None:
    """A record with nothing but its header has nothing to examine."""
    with Recorder(tmp_path / "run", terms=["a", "b"]):
        console = Console(file=io.StringIO(), width=100)
        view(tmp_path / "run", console, once=True)
        one, _ = opened(tmp_path / "run")
        one.look()
        one.examine()
        assert "nothing to examine yet" in text(one)


def test_no_record(tmp_path: Path) -> None:
    """One picture of nothing is refused."""
    with pytest.raises(ReadError, match=r"expected a run directory with a run.jsonl, got none"):
        view(tmp_path, Console(file=io.StringIO()), once=True)


def test_held(tmp_path: Path) -> None:
    """Whether a recorder is at work is known in any process, and asking is harmless."""
    assert held(tmp_path) is None
    code = "import sys; from pathlib import Path; from poise.record.lock import held\n"
    code += "print(held(Path(sys.argv[1])))"
    ask = [sys.executable, "-c", code, str(tmp_path)]
    with Recorder(tmp_path):
        assert held(tmp_path) is True
        assert subprocess.run(ask, capture_output=True, text=True).stdout == "True\n"
        assert subprocess.run(ask, capture_output=True, text=True).stdout == "True\n"
    assert held(tmp_path) is False
    assert subprocess.run(ask, capture_output=True, text=True).stdout == "False\n"
    os.remove(tmp_path / NAME)
    assert held(tmp_path) is None
