"""`poise demo`: an incident, its diagnosis, its cure, and the proof, in under a minute."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from poise.commands.output import progress, write_page
from poise.commands.recipe import module
from poise.errors import RecipeError

PAGES = ("diagnosis.html", "comparison.html")
"""What the demo writes beside its runs."""


def demo(
    out: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory for both runs and the reports.")
    ] = Path("runs/demo"),
) -> None:
    """Train a small incident, diagnose it, cure it, compare, and write reports with charts."""
    from rich.console import Console

    from poise.comparing.compare import compare
    from poise.doctor.diagnose import diagnose
    from poise.read import read_run
    from poise.report.html import render_html
    from poise.report.html_comparison import render_comparison_html
    from poise.report.terminal import render
    from poise.report.terminal_comparison import render_comparison

    reported, cured = _cleared(out)
    console = Console()
    _train("reported", reported)
    found = diagnose(read_run(reported))
    write_page(render_html(found), out / PAGES[0])
    render(found, console)
    console.print()
    console.print(
        "The same training as the finding proposes, rare steps of the span weighted up:",
        soft_wrap=True,
    )
    console.print()
    _train("cured", cured)
    change = compare([reported], [cured])
    write_page(render_comparison_html(change), out / PAGES[1])
    render_comparison(change, console)
    console.print()
    console.print("reports with charts:", soft_wrap=True)
    for name in PAGES:
        console.print(f"  {(out / name).resolve()}", soft_wrap=True, markup=False, highlight=False)


def _train(variant: str, folder: Path) -> None:
    recipes = module()
    running: Callable[..., Path] = recipes.run
    with progress(f"training, {variant}") as done:
        running(recipes.find("multitask"), variant, folder, progress=done)


def _cleared(out: Path) -> tuple[Path, Path]:
    """The directories of both runs, without those of an earlier demo.

    Raises:
        RecipeError: There are runs that no demo has left.
    """
    folders = out / "reported", out / "cured"
    for folder in folders:
        run = folder / "run.jsonl"
        if run.exists() and not (out / PAGES[0]).exists():
            message = (
                f"{folder} holds a run, and {out} no {PAGES[0]}, so it is of no earlier demo; give "
                "another directory or remove it"
            )
            raise RecipeError(message)
        if run.is_file():  # unlink(missing_ok=True) raises where a parent is a file
            run.unlink()
    return folders
