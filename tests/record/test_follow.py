"""Reading a run record while it grows."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.record import Follower, Recorder, follow


def test_poll_gives_what_is_new(tmp_path: Path) -> None:
    """Every record comes once, with its numbers as numbers, from before the file exists on."""
    follower = Follower(tmp_path / "run")
    assert follower.poll() == []
    with Recorder(tmp_path / "run") as recorder:
        assert [one["kind"] for one in follower.poll()] == ["header"]
        assert follower.poll() == []
        recorder.step(0, total=-math.inf, terms={"NaN": math.inf}, lr=0.5, log={"x": 1})
        recorder.eval(1, total=2.0)
        first, second = follower.poll()
    assert first["total"] == -math.inf
    assert first["terms"] == {"NaN": math.inf}
    assert (first["kind"], second["split"], second["step"]) == ("step", "eval", 1)
    assert follower.poll() == []


def test_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    """However the bytes arrive, records are whole; lines that are none are counted."""
    file = tmp_path / "run.jsonl"
    follower = Follower(file)
    text = b'{"kind":"step","step":1}\n{"kind":"st\n\n{"kind":"step","step":2}\n{"kind":"step"'
    found = []
    for index in range(len(text)):
        with file.open("ab") as stream:
            stream.write(text[index : index + 1])
        found += follower.poll()
    assert [one["step"] for one in found] == [1, 2]
    assert follower.skipped == 1


def test_a_record_that_shrinks(tmp_path: Path) -> None:
    """A file that was replaced is not read on in its middle."""
    follower = Follower(tmp_path)
    (tmp_path / "run.jsonl").write_bytes(b'{"kind":"step","step":1}\n')
    follower.poll()
    (tmp_path / "run.jsonl").write_bytes(b"{}\n")
    with pytest.raises(ReadError, match="expected a record that only grows"):
        follower.poll()


def test_unreadable(tmp_path: Path) -> None:
    """A directory in place of the file is one clear line."""
    (tmp_path / "run.jsonl").mkdir()
    with pytest.raises(ReadError, match="expected a readable run record"):
        Follower(tmp_path).poll()


def test_follow_a_training(tmp_path: Path) -> None:
    """Another process writes while this one reads; nothing is missed and nothing comes twice."""
    code = """
import sys, time
from poise.record import Recorder
with Recorder(sys.argv[1]) as recorder:
    for step in range(200):
        recorder.step(step)
        time.sleep(0.001)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as writer:
        records = follow(tmp_path, interval_s=0.01, until=lambda: writer.poll() is not None)
        steps = [one["step"] for one in records if one["kind"] == "step"]
    assert steps == list(range(200))
