"""`poise accept` on the command line."""

import json
from pathlib import Path

import pytest

from tests.inside import Here
from tests.test_cli import BROKEN

RULE = "nonfinite-term"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that ends in NaN."""
    path = tmp_path / "broken.csv"
    path.write_text(BROKEN)
    return path


def test_accept_and_diagnose(here: Here, log: Path) -> None:
    """Accepted findings are shown with the reason and do not fail a build any more."""
    assert here("diagnose", log, "--fail-on", "note").returncode == 1
    findings = json.loads(here("diagnose", log, "--json").stdout)["findings"]
    done = here("accept", log, RULE, "--term", "a_loss", "--why", "no labels yet")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"[{RULE}]" in done.stdout
    assert "broken.csv.accepted.toml" in done.stdout
    for rule in {one["rule"] for one in findings} - {RULE}:
        assert here("accept", log, rule, "--why", "follows from it").returncode == 0
    after = here("diagnose", log, "--fail-on", "note", "--html", log.parent / "report.html")
    assert after.returncode == 0
    assert "nothing new" in after.stdout
    assert "why: no labels yet" in after.stdout
    assert "no labels yet" in (log.parent / "report.html").read_text()


def test_errors_are_one_line(here: Here, log: Path) -> None:
    """An unknown rule, an empty reason, a foreign term, a damaged file: status 2 and one line."""
    for words, said in (
        ((RULE + "s", "--why", "x"), f"did you mean '{RULE}'?"),
        ((RULE, "--why", " "), "expected a reason"),
        ((RULE, "--why", "x", "--term", "b_lss"), "expected a term that 'nonfinite-term' is about"),
    ):
        done = here("accept", log, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
    (log.parent / "broken.csv.accepted.toml").write_text("[accepted")
    done = here("diagnose", log)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected readable TOML" in done.stderr
