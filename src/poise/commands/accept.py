"""The command `poise accept`."""

from pathlib import Path
from typing import Annotated

import typer

from poise.commands.output import progress


def accept(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="The log or run directory.")],
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule that found it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for later.")],
    terms: Annotated[
        list[str] | None,
        typer.Option("--term", metavar="T", help="Only what is about this term; may be repeated."),
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="For all runs of the project, not this one alone.")
    ] = False,
) -> None:
    """Accept a finding, with a reason: shown as accepted from now on, until it grows."""
    from rich.console import Console

    from poise.doctor.accept import accept as acknowledge
    from poise.report.accepted import render_acknowledgement

    with progress(f"reading {path.name}"):
        accepted = acknowledge(path, rule, why=why, terms=terms or (), project=project)
    for one in accepted:
        render_acknowledgement(one, Console())
