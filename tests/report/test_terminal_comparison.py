"""A comparison reads well on a terminal and interprets nothing."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.comparing.comparison import Comparison
from poise.report.terminal_comparison import render_comparison
from tests.report.compared import compared, hostile_comparison
from tests.report.golden import compare


def shown(one: Comparison, width: int = 80) -> str:
    """What is printed without colour."""
    file = io.StringIO()
    render_comparison(one, Console(file=file, width=width, color_system=None))
    return file.getvalue()


def test_golden_comparison() -> None:
    """Every verdict, measurements, findings gone, warnings."""
    compare("compared_80.txt", shown(compared()))


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_prose_fits(width: int) -> None:
    """No line but those of tables is wider than the terminal; none ends in blanks."""
    for one in (compared(), hostile_comparison()):
        for line in shown(one, width).split("\n"):
            assert line == line.rstrip()
            assert cell_len(line) <= max(width, 60)


def test_nothing_hostile_reaches_the_terminal() -> None:
    """No control, format or direction character from a log is printed raw."""
    text = shown(hostile_comparison())
    assert all(one.isprintable() for one in text.replace("\n", ""))
    assert "[red]markup[/red]" in text
