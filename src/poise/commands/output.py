"""What commands have in common: progress, JSON, pages, and the exit status."""

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from poise.doctor.finding import Severity

PATIENCE_S = 2.0
"""Work that takes longer than this shows a progress bar."""


class FailOn(StrEnum):
    """From which severity on findings make the exit status 1."""

    NEVER = "never"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@contextmanager
def progress(label: str) -> Generator[Callable[[float], None]]:
    """A callback for the share done; draws a bar on standard error once `PATIENCE_S` is over.

    As long as the share is unknown (one large file), the bar pulses. Where standard error is no
    terminal nothing is drawn: a log or a pipe gets messages only.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(label, total=None)
    timer = threading.Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    if console.is_terminal:
        timer.start()
    try:
        yield lambda share: bar.update(task, total=1.0 if share > 0 else None, completed=share)
    finally:
        timer.cancel()
        if console.is_terminal:
            timer.join()  # it may just be starting the bar
        if bar.live.is_started:
            bar.stop()


def print_json(data: object) -> None:
    """Prints one JSON object, indented, as UTF-8."""
    import orjson

    text = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.buffer.write(text)
    sys.stdout.flush()


def check_page(target: Path) -> None:
    """Says before long work that its page could not be written.

    Raises:
        ReportError: There is no such folder.
    """
    from poise.errors import ReportError

    if not target.parent.is_dir():
        raise ReportError(
            f"cannot write the report to {target}: there is no folder {target.parent}; make it or "
            "give another file"
        )


def write_page(text: str, target: Path) -> None:
    """Writes an HTML page.

    Raises:
        ReportError: The file cannot be written.
    """
    from poise.errors import ReportError

    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        message = (
            f"cannot write the report to {target}: {error.strerror}; "
            "give a file in a folder that exists and can be written"
        )
        raise ReportError(message) from error


def fail(worst: "Severity | None", fail_on: FailOn) -> None:
    """Ends with status 1 where a finding is as severe as asked."""
    if fail_on is FailOn.NEVER or worst is None:
        return
    from poise.doctor.finding import Severity

    if worst.rank <= Severity(fail_on.value).rank:
        raise typer.Exit(1)
