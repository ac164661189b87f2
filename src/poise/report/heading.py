"""The first lines of everything poise prints about a run."""

from poise.report import plain
from poise.report.page import BOLD, DIM, Page
from poise.report.reading import facts
from poise.run import Run


def header(run: Run, page: Page) -> None:
    """Prints what was read, in two lines."""
    page.line((plain.plain(str(run.path)), BOLD), hang=2)
    page.line((", ".join(facts(run)), DIM), hang=2)
