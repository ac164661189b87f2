"""What was read, on a terminal: the answer of `poise read`."""

from rich.console import Console

from poise.report import plain
from poise.report.heading import header
from poise.report.page import BOLD, DIM, Page
from poise.report.reading import Reading, Row, reading
from poise.run import Run


def render_run(run: Run, console: Console) -> None:
    """Prints a run: tables, total, terms with weights and ranges, other series, events, remarks.

    Names and log lines are shown escaped and shortened, and are never interpreted.
    """
    page = Page(console)
    found = reading(run)
    header(run, page)
    page.blank()
    page.table(list(found.tables), left=2)
    for equation, sentences in found.totals:
        page.blank()
        page.line(("total: ", BOLD), equation, hang=7)
        for sentence in sentences:
            page.line(sentence, indent=7)
    for one in found.terms:
        page.blank()
        page.line((one.title, BOLD))
        page.table(_fitting(one.rows, page.width), left=2)
        if one.footnote:
            page.line((one.footnote, DIM), indent=2)
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
    """The rows with their names shortened to what the other columns leave."""
    taken = sum(max(len(row[column]) for row in rows) + 2 for column in range(1, len(rows[0])))
    room = max(width - taken - 2, 16)
    return [(plain.name(row[0], room), *row[1:]) for row in rows]
