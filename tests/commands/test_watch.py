"""`poise watch` on the command line."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from poise.commands.watch import watch
from poise.record import Recorder
from tests.test_cli import poise


def grown(recorder: Recorder, steps: range) -> None:
    """Writes some steps of two terms."""
    for step in steps:
        recorder.step(step, total=1.5 / (step + 1), terms={"a": 1 / (step + 1), "b": 0.5})


def test_once(tmp_path: Path) -> None:
    """One picture of the run as it is; a run that nobody records is said to be closed."""
    with Recorder(tmp_path / "run", terms=["a", "b"], total_steps=400) as recorder:
        grown(recorder, range(40))
        done = poise("watch", tmp_path / "run", "--once")
        assert (done.returncode, done.stderr) == (0, "")
        shown = " ".join(done.stdout.split())  # a long path wraps the line
        assert "40 training records, recording" in shown
        assert "step 39 of 400" in shown
    assert "40 training records, closed" in " ".join(
        poise("watch", tmp_path / "run").stdout.split()
    )


def test_no_run_is_one_line(tmp_path: Path) -> None:
    """Where there is nothing to show, one line says what was expected."""
    done = poise("watch", tmp_path / "no", "--once")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "expected a run directory with a run.jsonl" in done.stderr


def test_a_terminal_that_lacks_a_character(tmp_path: Path) -> None:
    """The name of a term is escaped there; it was the end of the view."""
    with Recorder(tmp_path / "run", terms=["\N{SNOWMAN}"]) as recorder:
        recorder.step(0, total=1.0, terms={"\N{SNOWMAN}": 1.0})
    done = poise("watch", tmp_path / "run", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2603" in done.stdout


def test_output_that_goes_into_a_text(tmp_path: Path) -> None:
    """A caller in Python that collects what is printed; it has no encoding."""
    with Recorder(tmp_path / "run", terms=["a"]) as recorder:
        recorder.step(0, total=1.0, terms={"a": 1.0})
    with redirect_stdout(io.StringIO()) as shown:
        watch(tmp_path / "run", once=True)
    assert "no fault found at step 0" in shown.getvalue()


def test_it_needs_no_torch(tmp_path: Path) -> None:
    """The command does not import PyTorch."""
    with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
        grown(recorder, range(40))
    code = "import sys; sys.modules['torch'] = None; from poise.cli import app; app()"
    words = [sys.executable, "-c", code, "watch", str(tmp_path / "run"), "--once"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def seen(fd: int, what: bytes, patience_s: float = 30) -> bytes:
    """What a terminal was sent until it has `what`, or until the patience ends."""
    got, end = b"", time.monotonic() + patience_s
    while what not in got and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                got += os.read(fd, 1 << 16)
            except OSError:  # the other side is closed
                break
    return got


@pytest.mark.parametrize("ending", ["closed", "interrupted"])
def test_on_a_terminal(ending: str, tmp_path: Path) -> None:
    """It follows the growing run, and ends when the recorder closes it or with Ctrl-C."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "poise", "watch", str(tmp_path / "run")]
    clean = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(words, stdout=theirs, stderr=theirs, env=os.environ | clean)
    os.close(theirs)
    try:
        assert b"waiting for the record" in seen(ours, b"waiting for the record")
        with Recorder(tmp_path / "run", terms=["a", "b"]) as recorder:
            grown(recorder, range(30))
            assert b"step 29" in seen(ours, b"step 29")
            grown(recorder, range(30, 60))
            assert b"step 59" in seen(ours, b"step 59")
            if ending == "interrupted":
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 0
        rest = seen(ours, b"nothing else will come", 10 if ending == "closed" else 1)
        assert process.wait(30) == 0
        assert b"Traceback" not in rest
        assert ending == "interrupted" or b"closed" in rest
    finally:
        process.kill()
        process.wait()
        os.close(ours)
