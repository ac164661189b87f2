"""Suggested weights on a terminal: for `poise diagnose` and `poise suggest`."""

from rich.console import Console

from poise.doctor.suggest import Suggestion
from poise.report import plain, suggested_rows
from poise.report.page import BOLD, DIM, Page

MOVES = "right weight, first -> last quarter: "


def render_suggestion(found: Suggestion, console: Console) -> None:
    """Prints a suggestion alone."""
    print_suggestion(found, Page(console))


def print_suggestion(found: Suggestion, page: Page) -> None:
    """Prints the line to paste, the table it comes from, and what would move terms that lag."""
    if found.refused:
        page.line(("no weights to suggest: ", BOLD), plain.plain(found.refused), hang=2)
        return
    page.line(("constant weights ", BOLD), suggested_rows.title(found), hang=2)
    page.line(suggested_rows.code(found), indent=2, hang=4)
    page.table(suggested_rows.rows(found))
    if moves := suggested_rows.moves(found):
        page.line((MOVES, DIM), moves, indent=2, hang=2)
    for text in suggested_rows.wished(found):
        page.line(("share: ", BOLD), text, indent=2, hang=2)
