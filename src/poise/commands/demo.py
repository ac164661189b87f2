"""`poise demo`: an incident, its diagnosis, its cure, and the proof, in under a minute."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from poise.commands.output import progress, write_page
from poise.commands.recipe import module


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

    # Before torch is imported: so small a model gains nothing from threads, and on a busy machine
    # they wait for each other (minutes in place of seconds).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    reported, cured = _new(out / "reported"), _new(out / "cured")
    console = Console()
    _train("reported", reported)
    found = diagnose(read_run(reported))
    write_page(render_html(found), out / "diagnosis.html")
    render(found, console)
    console.print()
    console.print("The same training as the finding proposes:")
    console.print()
    _train("cured", cured)
    change = compare([reported], [cured])
    write_page(render_comparison_html(change), out / "comparison.html")
    render_comparison(change, console)
    console.print()
    console.print("reports with charts:", soft_wrap=True)
    for name in ("diagnosis.html", "comparison.html"):
        console.print(f"  {(out / name).resolve()}", soft_wrap=True, markup=False, highlight=False)


def _train(variant: str, folder: Path) -> None:
    recipes = module()
    running: Callable[..., Path] = recipes.run
    with progress(f"training, {variant}") as done:
        running(recipes.find("multitask"), variant, folder, progress=done)


def _new(folder: Path) -> Path:
    """The folder, without the run of an earlier demo."""
    run = folder / "run.jsonl"
    if run.is_file():  # unlink(missing_ok=True) raises where a parent is a file
        run.unlink()
    return folder
