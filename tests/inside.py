"""The command in the process of the tests: most of the time of a real one goes into imports."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from poise.cli import main

Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """As `tests.test_cli.poise`: 80 columns, without colour."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1"), ("OMP_NUM_THREADS", "1")):
        monkeypatch.setenv(name, value)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["poise", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = int(ended.value.code or 0)
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return run
