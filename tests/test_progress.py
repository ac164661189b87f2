"""The bar for slow work."""

import time

import pytest

from poise import progress


def test_quick_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Work that is over in time draws nothing, also after it."""
    with progress.progress_bar("reading") as told:
        told(0.5)
    assert capsys.readouterr() == ("", "")


def test_slow_work_shows_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that takes longer is named on standard error, never on standard output."""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.progress_bar("reading [x]") as told:
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
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress.progress_bar("reading") as told:
        for _ in range(10):
            time.sleep(0.01)
            told(0.5)
    assert capsys.readouterr() == ("", "")
