"""What was read, on a terminal: the answer of `poise read`."""

from rich.cells import cell_len
from rich.console import Console

from poise.report import plain
from poise.report.heading import header
from poise.report.page import BOLD, DIM, Page
from poise.report.reading import Reading, Row, reading
from poise.report.terminal_measured import print_measured
from poise.run import Run

NAME_LEAST = 16
"""Cells for the names of terms, however narrow the terminal."""


def render_run(run: Run, console: Console) -> None:
    """Prints a run: tables, total, terms with weights and ranges, other series, events, remarks.

    Names and log lines are shown escaped and shortened, and are never interpreted.
    """
    page = Page(console)
    found = reading(run)
    header(run, page)
    page.blank()
    tables = list(found.tables)
    if _room(tables, page.width) < max(cell_len(row[0]) for row in tables):
        tables = _without(tables, ("series", "restarts"))
    page.table(tables, left=2)
    for equation, sentences in found.totals:
        page.blank()
        label = "" if equation.startswith("total = ") else "total: "
        page.line((label, BOLD), equation, hang=7)
        for sentence in sentences:
            page.line(sentence, indent=max(len(label), 2))
    for one in found.terms:
        page.blank()
        page.line((one.title, BOLD))
        page.table(_fitting(one.rows, page.width), left=2)
        if one.footnote:
            page.line((one.footnote, DIM), indent=2)
    print_measured(run, page, full=True)
    _rest(found, page)


def _rest(found: Reading, page: Page) -> None:
    if found.others:
        page.blank()
    for kind, names in found.others:
        page.line((f"{kind}: ", BOLD), names, hang=2)
    _events(found, page)
    if found.remarks:
        page.blank()
    for remark in found.remarks:
        page.line("remark: ", remark, hang=8)


def _events(found: Reading, page: Page) -> None:
    if found.events:
        page.blank()
    for head, texts, more in found.events:
        page.line((head, BOLD))
        for text in texts:
            page.line("- ", text, indent=2, hang=2)
        if more:
            page.line((f"and {more:,} more", DIM), indent=4)


def _fitting(rows: tuple[Row, ...], width: int) -> list[Row]:
    """The rows without ranges if these do not fit, their names shortened to what is left."""
    kept = list(rows)
    if _room(kept, width) < NAME_LEAST:
        kept = _without(kept, ("min", "max"))
    room = max(_room(kept, width), NAME_LEAST)
    return [(plain.name(row[0], room), *row[1:]) for row in kept]


def _without(rows: list[Row], titles: tuple[str, ...]) -> list[Row]:
    kept = [place for place, title in enumerate(rows[0]) if title not in titles]
    return [tuple(row[place] for place in kept) for row in rows]


def _room(rows: list[Row], width: int) -> int:
    """Cells that the other columns leave for the names; no more than the longest name needs."""
    taken = sum(max(len(row[column]) for row in rows) + 2 for column in range(1, len(rows[0])))
    longest = max(cell_len(row[0]) for row in rows)
    left = width - taken - 2
    return max(left, NAME_LEAST) if left >= longest else left
