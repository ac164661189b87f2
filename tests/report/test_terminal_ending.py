"""The final table on a terminal."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from poise import read_run
from poise.recipes import run
from poise.report.ending import Ending, EndTerm, ending
from poise.report.terminal_ending import render_ending
from tests.recipes.fake import FAKE


def printed(found: Ending, metric: str = "") -> str:
    """What 80 columns show."""
    console = Console(width=80, record=True, file=StringIO())
    render_ending(found, console, title="fake, cured", metric=metric)
    return console.export_text()


def test_everything_that_is_known_is_told(tmp_path: Path) -> None:
    """Steps, terms, metrics with the deciding one first, motion."""
    text = printed(ending(read_run(run(FAKE, "cured", tmp_path / "a"))), "error")
    lines = text.splitlines()
    assert lines[:2] == ["fake, cured", "12 optimizer steps, 12 training records"]
    assert lines[2].split() == ["term", "train", "eval", "gradient", "%"]
    told = " ".join(text.split())
    assert "gradient % at the shared parameters ('trunk', 'head'): medians while a" in told
    assert text.index("error (decides): ") < text.index("drawn: ")
    assert "motion: trunk" in text
    assert max(map(len, lines)) <= 80


def test_what_is_not_known_is_left_blank() -> None:
    """No gradient, no evaluation, no steps; names from a log are shown escaped."""
    term = EndTerm(train=0.5, evaluated=None, gradient=None)
    found = Ending(
        steps=None, records=1, split=None, terms={"a\x1b[31m": term}, metrics={}, motion={},
        place="",
    )  # fmt: skip
    text = printed(found)
    assert "optimizer steps unknown, 1 training record\n" in text
    assert "\x1b" not in text
    assert "motion" not in text
