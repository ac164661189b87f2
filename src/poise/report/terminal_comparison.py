"""A comparison on a terminal: what happened, to which term, and how sure that is."""

from rich.console import Console
from rich.style import Style

from poise.comparing.comparison import Comparison, Verdict
from poise.doctor.diagnosis import Diagnosis
from poise.report import comparison_rows, plain
from poise.report.page import BOLD, DIM, Page
from poise.report.reading import facts

COLOURS = {
    Verdict.BETTER: Style(color="green", bold=True),
    Verdict.WORSE: Style(color="red", bold=True),
    Verdict.MIXED: Style(color="yellow", bold=True),
}
KEPT = 3
"""Findings of both sides that are named."""


def render_comparison(one: Comparison, console: Console) -> None:
    """Prints a comparison; its width and colours are the console's.

    The verdict is always a word, so nothing is lost without colour.
    """
    page = Page(console)
    _side("before", one.before, page)
    _side("after", one.after, page)
    page.blank()
    style = COLOURS.get(one.verdict, BOLD)
    page.line((one.verdict.value, style), f": {comparison_rows.verdict(one)}", hang=2)
    for split in comparison_rows.splits(one):
        _split(one, split, page)
    _why(one, page)
    _measured(one, page)
    _findings(one, page)
    _warnings(one, page)


def _side(word: str, side: tuple[Diagnosis, ...], page: Page) -> None:
    for index, one in enumerate(side):
        head = f"{word}:".ljust(8) if index == 0 else " " * 8
        page.line((head, BOLD), plain.plain(str(one.run.path)), hang=8)
    page.line((", ".join(facts(side[0].run)), DIM), indent=8)


def _split(one: Comparison, split: str, page: Page) -> None:
    page.blank()
    page.line((f"{comparison_rows.window(one, split)}, aligned by {one.aligned}", DIM), hang=2)
    rows = comparison_rows.rows([each for each in one.changes if each.split == split])
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) + 2 <= page.width:
        page.table(rows)
    else:
        page.table([(*row[:3], row[4]) for row in rows])
        for row in rows[1:]:
            page.line(f"{row[0]}: {row[3]}", indent=2, hang=2)


def _why(one: Comparison, page: Page) -> None:
    if told := list(comparison_rows.reasons(one)):
        page.blank()
    for names, why in told:
        page.line((f"{names}: ", BOLD), why, hang=2)
    if words := comparison_rows.only(one):
        page.line(words, hang=2)


def _measured(one: Comparison, page: Page) -> None:
    rows, motion = comparison_rows.measured(one), comparison_rows.motion(one)
    if rows or motion:
        page.blank()
    if rows:
        where = comparison_rows.places(one)
        page.line(("measured ", BOLD), f"{where}, before -> after" if where else "before -> after")
        page.table(rows)
    if motion:
        page.line(("motion: ", BOLD), f"{motion} of its norm per optimizer step", indent=2, hang=8)


def _findings(one: Comparison, page: Page) -> None:
    page.blank()
    for word, lines in comparison_rows.findings(one):
        if word == "kept" and not lines:
            continue
        most = KEPT if word == "kept" else len(lines)
        page.line((f"findings {word}: ", BOLD), "" if lines else "none")
        for line in lines[:most]:
            page.line(line, indent=2, hang=2)
        if len(lines) > most:
            page.line((f"and {len(lines) - most} more", DIM), indent=2)


def _warnings(one: Comparison, page: Page) -> None:
    if one.warnings:
        page.blank()
    for text in one.warnings:
        page.line(("warning: ", BOLD), plain.plain(text), hang=9)
