"""The command `poise watch`."""

import io
import sys
from pathlib import Path
from typing import Annotated, cast

import typer


def watch(
    path: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run directory; it need not exist yet.")
    ],
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
) -> None:
    """Show a run while it is recorded: progress, terms, shares, findings."""
    from rich.console import Console

    from poise.view.viewing import view

    # A name that the terminal's encoding lacks is shown escaped and must not end the view.
    shown: object = sys.stdout
    if isinstance(shown, io.TextIOWrapper):  # what was put in its place has no encoding
        cast(io.TextIOWrapper, shown).reconfigure(errors="backslashreplace")
    view(path, Console(), once=once)
