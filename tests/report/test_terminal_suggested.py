"""Suggested weights on a terminal."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.doctor.suggest import Suggestion
from poise.report.terminal_suggested import render_suggestion
from tests.report.golden import compare
from tests.report.suggested import offer, with_wish


def printed(found: Suggestion, width: int) -> str:
    """What is printed at a width."""
    file = io.StringIO()
    render_suggestion(
        found, Console(file=file, width=width, color_system=None, force_terminal=False)
    )
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_golden(width: int) -> None:
    """The line to paste, the table, and what would move a term that lags."""
    compare(f"suggested_{width}.txt", printed(with_wish(), width))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_line_fits(width: int) -> None:
    """Nothing is wider than the terminal."""
    assert all(cell_len(line) <= width for line in printed(offer(), width).split("\n"))


def test_a_refusal_is_one_sentence() -> None:
    """No empty table."""
    assert printed(Suggestion(source="", refused="no probe"), 80) == (
        "no weights to suggest: no probe\n"
    )
