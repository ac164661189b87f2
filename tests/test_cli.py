"""The command line: exit status, streams, one clear line for bad input."""

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from poise.read import read_run
from poise.record import Recorder
from tests.inside import Here
from tests.inside import here as here

HEALTHY = "step,total,a_loss,b_loss\n" + "".join(
    f"{k},{2 * 0.99**k + 0.95**k},{2 * 0.99**k},{0.95**k}\n" for k in range(60)
)
BROKEN = HEALTHY + "60,nan,nan,0.1\n61,nan,nan,0.1\n"


def poise(*words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would, 80 columns wide and without colour."""
    clean = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "poise", *map(str, words)],
        capture_output=True,
        text=True,
        env=clean | {"COLUMNS": "80", "NO_COLOR": "1"} | extra,
        timeout=60,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A log that ends in NaN."""
    path = tmp_path / "broken.csv"
    path.write_text(BROKEN)
    return path


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    """A log of two terms that fall."""
    path = tmp_path / "healthy.csv"
    path.write_text(HEALTHY)
    return path


def test_diagnose_prints_the_worst_first(here: Here, broken: Path) -> None:
    """The report names the fault, the term and the step, and fits 80 columns."""
    done = here("diagnose", broken)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nonfinite" in done.stdout
    assert "a_loss" in done.stdout
    assert "60" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("level", "status"), [("never", 0), ("error", 1), ("warning", 1), ("note", 1)]
)
def test_fail_on(here: Here, broken: Path, level: str, status: int) -> None:
    """The exit status follows `--fail-on`."""
    assert here("diagnose", broken, "--fail-on", level).returncode == status


def test_expected_ranges_are_held_against_a_log(here: Here, healthy: Path) -> None:
    """A broken one is a warning, a kept one nothing, and a wrong name one line with the nearest."""
    name = read_run(healthy).terms[0]
    kept = here("diagnose", str(healthy), "--expect", f"{name}>-1", "--fail-on", "warning")
    assert (kept.returncode, "expectation-broken" in kept.stdout) == (0, False)
    two = ("--expect", f"{name}>-1", "--expect", f"{name}<-1@0.5")
    missed = here("diagnose", str(healthy), *two, "--fail-on", "warning")
    assert (missed.returncode, "expectation-broken" in missed.stdout) == (1, True)
    wrong = here("diagnose", str(healthy), "--expect", f"{name}x<1")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith(f"got '{name}x'; the nearest is '{name}'\n")


def test_fail_on_a_healthy_log(here: Here, healthy: Path) -> None:
    """A healthy log never fails at warning."""
    done = here("diagnose", healthy, "--fail-on", "warning")
    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_the_documented_object(here: Here, broken: Path) -> None:
    """`--json` prints one strict JSON object with the contract's keys."""
    done = here("diagnose", broken, "--json")
    data = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"bare {word}"))
    assert data["schema"] == "poise.diagnosis/1"
    top = {"schema", "run", "measured", "suggestion", "findings", "accepted", "not_checked"}
    top |= {"passed"}
    assert set(data) == top
    assert set(data["run"]) == {"path", "format", "steps", "records", "total", "terms", "splits"}
    assert data["run"]["steps"] == [0, 61]
    assert data["run"]["total"] == "total"
    keys = [
        "rule",
        "fault",
        "severity",
        "terms",
        "steps",
        "summary",
        "evidence",
        "cause",
        "action",
        "verify",
    ]
    assert set(keys) <= set(data["findings"][0])


def test_html_is_written(here: Here, broken: Path, tmp_path: Path) -> None:
    """`--html` writes one file and says where."""
    target = tmp_path / "report.html"
    done = here("diagnose", broken, "--html", target)
    assert done.returncode == 0
    assert str(target) in done.stderr.replace("\n", "")
    assert target.read_text().lower().startswith("<!doctype html>")


def test_html_into_a_missing_folder(here: Here, broken: Path, tmp_path: Path) -> None:
    """An unwritable report is one line and status 2."""
    done = here("diagnose", broken, "--html", tmp_path / "no" / "report.html")
    assert done.returncode == 2
    assert done.stderr.startswith("poise: cannot write the report to ")
    assert len(done.stderr.splitlines()) == 1


def test_read_says_what_was_understood(here: Here, healthy: Path) -> None:
    """`poise read` shows format, total and terms; `--json` the same as data."""
    done = here("read", healthy)
    assert done.returncode == 0
    assert "a_loss" in done.stdout
    assert "csv" in done.stdout
    assert json.loads(here("read", healthy, "--json").stdout)["schema"] == "poise.read/1"


def test_rules_and_explain(here: Here) -> None:
    """Every rule that `poise rules` lists can be explained; an unknown one is one line."""
    listed = here("rules").stdout
    from poise.doctor.rules import RULES

    for rule in RULES:
        assert rule.name in listed
    done = here("explain", RULES[0].name)
    assert done.returncode == 0
    assert RULES[0].name in done.stdout
    wrong = here("explain", "no-such-rule")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("poise: unknown rule 'no-such-rule'")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_format_can_be_forced(here: Here, healthy: Path) -> None:
    """`--format` overrides recognition; an unknown format lists the known ones."""
    assert here("read", healthy, "--format", "csv").returncode == 0
    wrong = here("read", healthy, "--format", "xml")
    assert wrong.returncode == 2
    assert "unknown format 'xml'" in wrong.stderr
    assert "csv" in wrong.stderr


def test_help_lists_the_formats() -> None:
    """The list in `--help` is the readers' own."""
    from poise.cli import FORMATS
    from poise.read.sniff import FORMATS as READERS

    assert set(FORMATS.split()) == set(READERS)
    assert "trainer-state" in poise("diagnose", "-h", COLUMNS="200").stdout


def test_the_choice_in_a_folder_is_said(here: Here, tmp_path: Path) -> None:
    """With several logs in a folder, the report begins with which one was read."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(HEALTHY)
    text = " ".join(here("diagnose", tmp_path).stdout.split())
    assert "remark: read from one/metrics.csv in this directory" in text
    assert "passed over: two/metrics.csv" in text


def png() -> bytes:
    """A valid picture of one pixel."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + zlib.compress(b"\0" * 40)


def test_options_are_frozen(here: Here) -> None:
    """The options change only on purpose: by editing this test."""
    text = here("diagnose", "--help").stdout
    for option in ("--format", "--json", "--html", "--fail-on", "--expect"):
        assert option in text
    assert set(here("--help").stdout.split()) >= {"diagnose", "read", "rules", "explain"}


BAD = {
    "missing": None,
    "empty": b"",
    "png": png(),
    "junk": bytes(range(256)) * 40,
    "one line of 10 MB": b"x" * 10_000_000,
    "column bomb": b",".join(b"c%d" % k for k in range(50_000)) + b"\n" + b"1," * 50_000,
    "deep json": b"[" * 100_000 + b"]" * 100_000,
    "no numbers": b"hello\nworld\n" * 10,
    "only a header": b"step,loss\n",
    "short gzip": b"\x1f\x8b\x08",
    "nul bytes": b"\x00" * 5000,
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(here: Here, case: str, tmp_path: Path) -> None:
    """Unreadable input never shows a traceback."""
    path = tmp_path / "input.log"
    if BAD[case] is not None:
        path.write_bytes(BAD[case])
    done = here("diagnose", path)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout[:200]
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("poise: ")
    assert len(done.stderr) < 500


def test_a_fifo_is_refused_at_once(here: Here, tmp_path: Path) -> None:
    """A pipe that nobody writes to must not hang the command."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    done = here("diagnose", path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_logs(here: Here, tmp_path: Path) -> None:
    """An empty folder is one line that says what was looked for."""
    done = here("diagnose", tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_pipe_is_quiet(broken: Path) -> None:
    """`poise ... | head` ends without a complaint."""
    command = f"{sys.executable} -m poise diagnose {broken} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize("words", [("rules",), ("diagnose",), ("diagnose", "--json")])
def test_a_closed_pipe_is_no_finding(broken: Path, words: tuple[str, ...]) -> None:
    """Status 0, as before the reader of the output went: 1 would stand for findings."""
    path = [str(broken)] if "diagnose" in words else []
    command = [sys.executable, "-m", "poise", *words, *path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        done.stdout.close()
        assert done.wait(timeout=60) == 0
        assert done.stderr is not None
        assert done.stderr.read() == b""


def test_suggest_prints_weights_to_paste(here: Here, tmp_path: Path) -> None:
    """Shares from the command line; the same as JSON; a log without probes is refused."""
    run = tmp_path / "run"
    with Recorder(run, terms=["a", "b"]) as recorder:
        for step in range(4):
            recorder.step(step, terms={"a": 2.0, "b": 1.0}, weights={"a": 1.0, "b": 1.0})
            recorder.probe(step, where="shared", terms=["a", "b"], norms={"a": 9, "b": 1})
    done = here("suggest", run, "--shares", "a=1,b=4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "weights = {'a': 0.222, 'b': 8.0}" in done.stdout
    found = json.loads(here("suggest", run, "--json").stdout)
    assert found["weights"] == {"a": 5 / 9, "b": 5.0}
    assert "constant weights" in here("diagnose", run).stdout
    bad = here("suggest", run, "--shares", "a")
    assert bad.returncode == 2
    assert "expected name=number" in bad.stderr


def test_suggest_refuses_a_log_without_probes(here: Here, healthy: Path) -> None:
    """One line that says what to do."""
    done = here("suggest", healthy)
    assert (done.returncode, done.stdout) == (2, "")
    assert "poise.Watch" in done.stderr
