"""A progress bar for work that takes longer than one likes to wait in the dark."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

PATIENCE_S = 2.0
"""Work that takes longer than this shows a progress bar."""


@contextmanager
def progress_bar(label: str) -> Generator[Callable[[float], None]]:
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
        if bar.live.is_started:
            bar.stop()
