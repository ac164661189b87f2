"""A card on a terminal."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.doctor.card import Card
from poise.report.terminal_card import render_card
from tests.report.cards import card
from tests.report.golden import compare


def printed(one: Card, width: int) -> str:
    """What is printed at a width."""
    file = io.StringIO()
    render_card(one, Console(file=file, width=width, color_system=None, force_terminal=False))
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_golden(width: int) -> None:
    """Findings first, then the curve, the slopes and the facts."""
    compare(f"card_{width}.txt", printed(card(), width))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_line_fits(width: int) -> None:
    """Nothing is wider than the terminal."""
    assert all(cell_len(line) <= width for line in printed(card(), width).split("\n"))


def test_a_clean_card() -> None:
    """It says so in one line."""
    assert "clean: no oddity found" in printed(replace(card(), findings=()), 80)
