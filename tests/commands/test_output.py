"""What commands have in common."""

import time
from pathlib import Path

import pytest
import typer

from poise.commands import output
from poise.commands.output import FailOn, fail, progress, write_page
from poise.doctor.finding import Severity
from poise.errors import ReportError


def test_a_page_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    """One line with the path and what to do."""
    with pytest.raises(ReportError, match=r"cannot write the report to .*none.*give a file"):
        write_page("<html>", tmp_path / "none" / "a.html")
    write_page("<p>é", tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "<p>é"


@pytest.mark.parametrize(
    ("worst", "asked", "ends"),
    [
        (Severity.ERROR, FailOn.ERROR, True),
        (Severity.WARNING, FailOn.ERROR, False),
        (Severity.WARNING, FailOn.WARNING, True),
        (Severity.NOTE, FailOn.WARNING, False),
        (Severity.ERROR, FailOn.NEVER, False),
        (None, FailOn.NOTE, False),
    ],
)
def test_the_exit_status_follows_the_worst_finding(
    worst: Severity | None, asked: FailOn, ends: bool
) -> None:
    """At or above what was asked is status 1."""
    if not ends:
        fail(worst, asked)
        return
    with pytest.raises(typer.Exit) as caught:
        fail(worst, asked)
    assert caught.value.exit_code == 1


def test_progress_of_quick_work_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A bar that flashes up is noise; and an error inside passes through."""
    with progress("reading") as done:
        done(0.0)
        done(0.5)
    with pytest.raises(ValueError, match="inside"), progress("reading"):
        raise ValueError("inside")
    assert capsys.readouterr() == ("", "")


def test_slow_work_shows_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that takes longer is named on standard error, never on standard output."""
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("reading [x]") as told:
        deadline = time.monotonic() + 30
        while "reading [x]" not in (shown := capsys.readouterr()).err:
            assert time.monotonic() < deadline
            told(0.5)
            time.sleep(0.01)
        assert shown.out == ""


def test_a_pipe_gets_no_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard error is no terminal, slow work writes nothing, not even an empty line."""
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress("reading") as told:
        for _ in range(10):
            time.sleep(0.01)
            told(0.5)
    assert capsys.readouterr() == ("", "")
