"""Measured shares are seen on a healthy run, at every width."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.report.page import Page
from poise.report.terminal import render, render_run
from poise.report.terminal_measured import print_measured
from tests.report.builders import sick_run
from tests.report.golden import compare
from tests.report.probed import probed


def _console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_golden_diagnosis_of_a_probed_run(width: int) -> None:
    """A healthy run shows who owns the gradient, what moves, and where it was measured."""
    console = _console(width)
    render(probed(), console)
    compare(f"probed_{width}.txt", _text(console))


@pytest.mark.parametrize("width", [60, 80])
def test_golden_reading_of_a_probed_run(width: int) -> None:
    """`poise read` adds direction shares and further places, and lists no measurement by name."""
    console = _console(width)
    render_run(probed().run, console)
    compare(f"probed_read_{width}.txt", _text(console))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_line_fits(width: int) -> None:
    """Nothing is wider than the terminal."""
    console = _console(width)
    assert print_measured(probed().run, Page(console), full=True)
    assert all(cell_len(line) <= width for line in _text(console).split("\n"))


def test_nothing_is_printed_without_probes() -> None:
    """A foreign log gets no empty table."""
    console = _console(80)
    assert not print_measured(sick_run(), Page(console), full=True)
    assert _text(console) == ""
