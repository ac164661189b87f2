"""Writing a run record, and what must not stop a training."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from poise.errors import PoiseWarning, RecordError
from poise.record import Recorder, read_record


def lines(directory: Path) -> list[dict[str, object]]:
    """All lines of a run."""
    return [json.loads(line) for line in (directory / "run.jsonl").read_bytes().splitlines()]


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_header(tmp_path: Path) -> None:
    """The first line says what was declared and where the training runs."""
    with Recorder(
        tmp_path / "a" / "run",
        terms=["ce", "kl"],
        weights={"kl": math.inf},
        shares={"ce": 0.5},
        roles={"kl": "regulariser"},
        total_steps=9,
    ):
        pass
    (header,) = lines(tmp_path / "a" / "run")
    assert header["kind"] == "header"
    assert header["schema"] == "poise.run/1"
    assert header["terms"] == ["ce", "kl"]
    assert header["weights"] == {"kl": "Infinity"}
    assert header["shares"] == {"ce": 0.5}
    assert header["roles"] == {"kl": "regulariser"}
    assert header["total_steps"] == 9
    assert header["environment"]["pid"] == os.getpid()


def test_step_holds_what_was_given_and_nothing_else(tmp_path: Path) -> None:
    """A record has one key per argument; rates are a list."""
    with Recorder(tmp_path) as recorder:
        recorder.step(
            0, total=1.5, terms={"ce": 1.0}, counts={"ce": 7}, lr=0.1, grad_norm=2.0, log={"x": 3}
        )
        recorder.step(1, lr=(0.1, 0.2))
        recorder.eval(2, terms={"ce": 0.5})
        recorder.eval(2, split="dev", total=4)
        recorder.event("stage", "decoder unfrozen", step=2)
        recorder.probe(2, cosine={"ce": [1.0, math.nan]})
    first, second, third, fourth, event, probe = lines(tmp_path)[1:]
    assert all(one.pop("wall_s") >= 0 for one in (first, second, third, fourth, probe))
    assert first == {
        "kind": "step",
        "step": 0,
        "total": 1.5,
        "terms": {"ce": 1.0},
        "counts": {"ce": 7},
        "lr": [0.1],
        "grad_norm": 2.0,
        "log": {"x": 3},
    }
    assert second == {"kind": "step", "step": 1, "lr": [0.1, 0.2]}
    assert third == {"kind": "eval", "split": "eval", "step": 2, "terms": {"ce": 0.5}}
    assert fourth == {"kind": "eval", "split": "dev", "step": 2, "total": 4}
    assert event == {"kind": "event", "step": 2, "name": "stage", "text": "decoder unfrozen"}
    assert probe == {"kind": "probe", "step": 2, "cosine": {"ce": [1.0, "NaN"]}}


def test_weights_are_written_when_they_change(tmp_path: Path) -> None:
    """Declared and repeated weights are left out, per split; of several only the changed one."""
    with Recorder(tmp_path, weights={"ce": 1.0, "kl": 0.0}) as recorder:
        recorder.step(0, weights={"ce": 1.0, "kl": 0.0})
        recorder.step(1, weights={"ce": 1.0, "kl": 0.1})
        recorder.step(2, weights={"ce": 1.0, "kl": 0.1})
        recorder.eval(2, weights={"ce": 1.0, "kl": 0.1})
        recorder.step(3)
        recorder.step(4, weights={"kl": 0.1})
    written = [one.get("weights") for one in lines(tmp_path)[1:]]
    assert written == [None, {"kl": 0.1}, None, {"kl": 0.1}, None, None]


def test_each_call_reaches_the_file_at_once(tmp_path: Path) -> None:
    """A step recorded before a long pause does not wait for the next one."""
    with Recorder(tmp_path) as recorder:
        for step in range(3):
            recorder.step(step)
            assert len(lines(tmp_path)) == step + 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("step(0, terms={'kd': 1.0})", r"terms: expected declared terms \(ce\), got 'kd'"),
        ("step(0, weights={'kd': 1.0})", r"weights: expected declared terms \(ce\), got 'kd'"),
        ("step(0, counts={'kd': 1})", r"counts: expected declared terms \(ce\), got 'kd'"),
        ("step(0, terms={'ce': 'low'})", r"terms 'ce': expected a number, got str 'low'"),
        ("step(0, total=[1.0])", r"total: expected a number, got list"),
        ("step(0, grad_norm='1.0')", r"grad_norm: expected a number, got str"),
        ("step(0, lr='0.1')", r"lr: expected a number, got str '0'"),
        ("step(0, terms=['ce'])", r"terms: expected numbers by name, got list"),
        ("step(0, log=0.5)", r"log: expected numbers by name, got float 0.5"),
        ("step(0.5)", r"step: expected an integer up to 2\*\*53, got float 0.5"),
        ("step(2**60)", r"step: expected an integer up to 2\*\*53"),
        ("eval(0, split='train')", r"eval: expected the name of a split other than 'train'"),
        ("probe(0, kind='x')", r"probe: expected names other than .* got 'kind'"),
        ("probe(0, x=object())", r"expected a number, got object"),
        ("event('x', step='y')", r"step: expected an integer up to 2\*\*53, got str 'y'"),
    ],
)
def test_wrong_use_raises_and_writes_nothing(tmp_path: Path, call: str, message: str) -> None:
    """Each misuse is named, and the run goes on as if it had not been."""
    with Recorder(tmp_path, terms=["ce"]) as recorder:
        with pytest.raises(RecordError, match=message):
            eval(f"recorder.{call}", {"recorder": recorder})
        assert len(lines(tmp_path)) == 1
        assert recorder.lost == 0


def test_a_refused_record_does_not_swallow_its_weights(tmp_path: Path) -> None:
    """Weights of a record that was refused are written with the next one."""
    with Recorder(tmp_path) as recorder:
        with pytest.raises(RecordError, match="expected a number"):
            recorder.step(0, total="x", weights={"ce": 2.0})  # type: ignore[arg-type]
        recorder.step(0, weights={"ce": 2.0})
    assert lines(tmp_path)[1]["weights"] == {"ce": 2.0}


def test_weights_of_unknown_terms_are_refused_at_the_start(tmp_path: Path) -> None:
    """Declarations are checked against each other before anything is made."""
    with pytest.raises(RecordError, match=r"weights: expected declared terms \(ce\), got 'kd'"):
        Recorder(tmp_path / "run", terms=["ce"], weights={"kd": 1.0})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"terms": "ce"}, r"terms: expected names that differ, got 'ce'"),
        ({"terms": ["ce", 3]}, r"terms: expected names that differ"),
        ({"terms": ["ce", "ce"]}, r"terms: expected names that differ"),
        ({"terms": ["\ud800"]}, r"got a lone surrogate"),
        ({"shares": {"ce": "half"}, "terms": ["kl"]}, r"shares: expected declared terms"),
        ({"weights": [1.0]}, r"weights: expected numbers by name, got list"),
        ({"total_steps": 1.5}, r"total_steps: expected an integer up to 2\*\*53, got float 1.5"),
        ({"environment": {"x": object()}}, r"expected a number, got object"),
    ],
)
def test_wrong_declarations(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """What a header cannot hold is refused before anything is made."""
    with pytest.raises(RecordError, match=message):
        Recorder(tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_second_writer_in_this_process_is_refused(tmp_path: Path) -> None:
    """Two recorders never share a directory, and the refusal does not free the lock."""
    with Recorder(tmp_path):
        for _ in range(2):
            with pytest.raises(RecordError, match="another recorder has open"):
                Recorder(tmp_path)
        code = "import sys; from poise.record import Recorder; Recorder(sys.argv[1])"
        _, said = python(code, tmp_path).communicate()
        assert "RecordError" in said
    Recorder(tmp_path).close()


def test_a_lock_does_not_outlive_a_kill(tmp_path: Path) -> None:
    """Another process is refused while the first lives, and let in after its kill."""
    code = """
import sys, time
from poise.record import Recorder
recorder = Recorder(sys.argv[1])
recorder.step(0)
print("ready", flush=True)
time.sleep(60)
"""
    with python(code, tmp_path) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(RecordError, match="another recorder has open"):
            Recorder(tmp_path)
        first.kill()
        first.wait()
    with Recorder(tmp_path) as recorder:
        recorder.step(1)
    assert [one["kind"] for one in lines(tmp_path)] == ["header", "step", "header", "event", "step"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_holds_nothing(tmp_path: Path) -> None:
    """A child (a data loading worker) neither keeps nor frees its parent's lock."""
    code = """
import os, sys, time
from poise.record import Recorder
recorder = Recorder(sys.argv[1])
child = os.fork()
if child == 0:
    del recorder
    time.sleep(60)
time.sleep(0.1)
print(child, flush=True)
time.sleep(60)
"""
    with python(code, tmp_path) as first:
        assert first.stdout is not None
        child = int(first.stdout.readline())
        try:
            with pytest.raises(RecordError, match="another recorder has open"):
                Recorder(tmp_path)
            first.kill()
            first.wait()
            Recorder(tmp_path).close()
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("moment", [0.0, 0.011, 0.05])
def test_kill_loses_nothing_that_was_said_to_be_recorded(tmp_path: Path, moment: float) -> None:
    """After a kill at any moment every step whose call had returned is in the file."""
    code = """
import os, sys
from poise.record import Recorder
with Recorder(sys.argv[1], terms=["ce"]) as recorder:
    for step in range(10**9):
        recorder.step(step, total=0.5, terms={"ce": 0.5})
        os.write(1, b"%d\\n" % step)
"""
    with python(code, tmp_path) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moment)
        writer.kill()
        said = writer.stdout.read().splitlines()
    steps = read_record(tmp_path).splits[0].columns["step"][1]
    assert len(steps) >= len(said[:-1]) + 1
    assert steps.tolist() == list(range(len(steps)))


def test_a_cut_line_is_left_and_the_run_goes_on(tmp_path: Path) -> None:
    """Resuming closes a torn line by a newline and writes a header and an event after it."""
    with Recorder(tmp_path) as recorder:
        recorder.step(0, total=1.0)
    file = tmp_path / "run.jsonl"
    before = file.read_bytes() + b'{"kind":"step","st'
    file.write_bytes(before)
    with Recorder(tmp_path, weights={"ce": 3.0}) as recorder:
        recorder.step(1, total=2.0)
    assert file.read_bytes().startswith(before + b"\n")
    data = read_record(tmp_path)
    assert data.splits[0].columns["total"][1].tolist() == [1.0, 2.0]
    assert [(one.name, one.step) for one in data.events] == [("restart", 1)]
    assert data.declared == {"weights": {"ce": 3.0}}
    assert data.remarks == ("1 line is no record and is skipped: line 3",)


def test_closed_recorder_warns_once_and_counts(tmp_path: Path) -> None:
    """Recording after the end is no error."""
    recorder = Recorder(tmp_path)
    recorder.close()
    recorder.close()
    with pytest.warns(PoiseWarning, match="cannot be written .it is closed.") as caught:
        recorder.step(0, total=1.0)
    recorder.event("late")
    assert len(caught) == 1
    assert recorder.lost == 2


def test_a_file_that_can_no_longer_be_written(tmp_path: Path) -> None:
    """A descriptor that stops taking bytes is one warning; the training goes on."""
    recorder = Recorder(tmp_path)
    other = os.open(tmp_path / "run.jsonl", os.O_RDONLY)
    os.dup2(other, recorder._fd)  # as if write permission were withdrawn
    with pytest.warns(PoiseWarning, match="Bad file descriptor"):
        recorder.step(0)
    os.close(other)
    recorder.close()
    assert recorder.lost == 1


def test_every_size_at_which_a_disk_is_full_counts_what_is_lost(tmp_path: Path) -> None:
    """Wherever the line is cut, its newline included: what is not counted as lost is there."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in range(80):
        with warnings.catch_warnings(), Recorder(tmp_path / str(room)) as recorder:
            warnings.simplefilter("ignore", PoiseWarning)
            size = recorder.path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, limit[1]))
            try:
                recorder.step(0, terms={"a": 1.0})
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            there = read_record(recorder.path)
            assert sum(one.size for one in there.splits) == 1 - recorder.lost
            recorder.step(1, terms={"a": 2.0})
        (table,) = read_record(recorder.path).splits
        assert table.columns["a"][1].tolist() == [1.0, 2.0][recorder.lost :]


def test_disk_full_and_free_again(tmp_path: Path) -> None:
    """Lines that found no room are counted; later ones are whole, with the weights said anew."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Recorder(tmp_path, environment={}) as recorder:
        recorder.step(0, weights={"ce": 1.0})
        size = (tmp_path / "run.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limit[1]))
        try:
            with pytest.warns(PoiseWarning, match="File too large") as caught:
                recorder.step(1, weights={"ce": 2.0})
            recorder.step(2, weights={"ce": 2.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert len(caught) == 1
        assert recorder.lost == 2
        recorder.step(3, weights={"ce": 2.0})
    split = read_record(tmp_path).splits[0]
    assert split.columns["step"][1].tolist() == [0.0, 3.0]
    assert split.columns["weight/ce"][1].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_header_without_room_is_written_later(tmp_path: Path, room: int) -> None:
    """What the header declares is not lost with a disk that was full at the start."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
    try:
        with pytest.warns(PoiseWarning, match="File too large"):
            recorder = Recorder(tmp_path, terms=["ce"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    recorder.step(0, terms={"ce": 1.0})
    recorder.close()
    data = read_record(tmp_path)
    assert data.declared["terms"] == ("ce",)
    assert data.splits[0].size == 1


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A place that takes no record is an error at the start, in one line."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError, match="expected a directory to write a record in") as caught:
        Recorder(tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


def test_read_only_directory(tmp_path: Path) -> None:
    """So is a directory without write permission."""
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(RecordError, match=r"got Permission denied; .* make it writable"):
            Recorder(tmp_path)
    finally:
        os.seteuid(user)


def test_an_unclosed_recorder_lets_go(tmp_path: Path) -> None:
    """A recorder that nobody holds any more does not block the directory."""
    recorder = Recorder(tmp_path)
    del recorder
    Recorder(tmp_path).close()
