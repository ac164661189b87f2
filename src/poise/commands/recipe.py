"""`poise recipe list` and `poise recipe run`: the four reference trainings."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poise.commands.output import check_page, print_json, progress, write_page

if TYPE_CHECKING:
    from types import ModuleType

    from poise.recipes.recipe import Recipe

recipes = typer.Typer(
    name="recipe",
    help="Train one of four small systems: as it went wrong, as its note fixed it, cured.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def module() -> "ModuleType":
    """`poise.recipes`, which needs torch, so that no import of the command line does.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    import poise

    # Before torch is imported: models this small gain nothing from threads, and on a busy machine
    # these wait for each other, minutes in place of seconds.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _ = poise.Watch  # says which extra is missing without PyTorch
    return importlib.import_module("poise.recipes")


@recipes.command("list")
def list_() -> None:
    """List the recipes with their variants."""
    from rich.console import Console

    from poise.report.page import BOLD, DIM, Page

    found = module()
    page = Page(Console())
    for name in found.NAMES:
        one: Recipe = found.find(name)
        page.line((one.name, BOLD), f": {one.summary}")
        better = "higher" if one.metric.higher_is_better else "lower"
        unit = f" in {one.metric.unit}" if one.metric.unit else ""
        page.line((f"metric {one.metric.name}{unit}, {better} is better", DIM), indent=2, hang=2)
        for variant in one.variants:
            page.field(variant.name, variant.summary, column=20)


@recipes.command("run")
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `poise recipe list` names it.")],
    variant: Annotated[
        str, typer.Option("--variant", metavar="V", help="One of the recipe's variants.")
    ] = "reported",
    against: Annotated[
        str | None,
        typer.Option("--compare", metavar="V2", help="Then train this one, and compare."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short training, for a look.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run directory; else runs/NAME-VARIANT."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides weights, data and order.")] = 0,
    mgf: Annotated[
        Path | None, typer.Option("--mgf", metavar="FILE", help="peptide: MGF or mzML spectra.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="plasticity, distill: a text.")
    ] = None,
    ohlc: Annotated[
        Path | None, typer.Option("--ohlc", metavar="FILE", help="multitask: a CSV of bars.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the final table as one JSON object.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write a report; with --compare it is always written."
        ),
    ] = None,
) -> None:
    """Train a variant, and print how it ended and what is wrong with it."""
    recipe: Recipe = module().find(name)
    folder = out or Path("runs") / f"{name}-{variant}"
    data = _data(recipe, {"mgf": mgf, "text": text, "ohlc": ohlc})
    recipe.variant(variant)
    if html is not None and html.parent not in (folder, *folder.parents):  # made by the training
        check_page(html)
    other = None if against is None else _second(recipe, variant, folder, against)
    _train(recipe, variant, folder, seed, data, quick=quick)
    if against is not None and other is not None:
        _train(recipe, against, other, seed, data, quick=quick)
    if as_json:
        print_json(_as_json(recipe, variant, folder, against, other))
    else:
        _show(recipe, variant, folder)
        if against is not None and other is not None:
            _show_comparison(recipe, folder, against, other)
    if html is None and other is not None:
        html = folder / "comparison.html"
    if html is not None:
        write_page(_page(folder, other), html)
        typer.echo(f"report: {html}", err=True)


def _data(recipe: "Recipe", given: dict[str, Path | None]) -> Path | None:
    """The one file that was given, if the recipe takes it."""
    from poise.errors import RecipeError

    named = {option: path for option, path in given.items() if path is not None}
    wrong = [option for option in named if option != recipe.data]
    if wrong:
        takes = f"it takes --{recipe.data}" if recipe.data else "it makes its own data"
        raise RecipeError(f"recipe {recipe.name!r} does not take --{wrong[0]}; {takes}")
    return named.get(recipe.data or "")


def _second(recipe: "Recipe", variant: str, folder: Path, against: str) -> Path:
    """Where the variant to compare with is recorded; refused before the first one is trained."""
    from poise.errors import RecipeError

    recipe.variant(against)
    if against == variant:
        others = ", ".join(one.name for one in recipe.variants if one.name != variant)
        raise RecipeError(
            f"recipe {recipe.name!r}: expected another variant to compare with, got {against!r} on "
            f"both sides; give --compare one of {others}"
        )
    named = folder.resolve() if folder.name in ("", "..") else folder
    other = Path(f"{named}-against-{against}")
    module().running.vacant(other)
    return other


def _train(
    recipe: "Recipe", variant: str, folder: Path, seed: int, data: Path | None, *, quick: bool
) -> None:
    running: Callable[..., Path] = module().run
    with progress(f"{recipe.name}, {variant}") as done:
        running(recipe, variant, folder, seed=seed, quick=quick, data=data, progress=done)


def _show(recipe: "Recipe", variant: str, folder: Path) -> None:
    from rich.console import Console

    from poise.doctor.diagnose import diagnose
    from poise.read import read_run
    from poise.report.ending import ending
    from poise.report.terminal import render
    from poise.report.terminal_ending import render_ending

    found = read_run(folder)
    console = Console()
    title = f"{recipe.name}, {variant}: {recipe.variant(variant).summary}"
    render_ending(ending(found), console, title=title, metric=recipe.metric.name)
    console.print()
    render(diagnose(found), console)


def _show_comparison(recipe: "Recipe", folder: Path, against: str, other: Path) -> None:
    from rich.console import Console

    from poise.comparing.compare import compare
    from poise.read import read_run
    from poise.report.ending import ending
    from poise.report.terminal_comparison import render_comparison
    from poise.report.terminal_ending import render_ending

    console = Console()
    console.print()
    title = f"{recipe.name}, {against}: {recipe.variant(against).summary}"
    render_ending(ending(read_run(other)), console, title=title, metric=recipe.metric.name)
    console.print()
    render_comparison(compare([folder], [other]), console)


def _page(folder: Path, other: Path | None) -> str:
    from poise.doctor.diagnose import diagnose
    from poise.report.html import render_html

    if other is None:
        return render_html(diagnose(folder))
    from poise.comparing.compare import compare
    from poise.report.html_comparison import render_comparison_html

    return render_comparison_html(compare([folder], [other]))


def _as_json(
    recipe: "Recipe", variant: str, folder: Path, against: str | None, other: Path | None
) -> dict[str, object]:
    """The object of schema `poise.recipe/1`."""
    from poise.read import read_run
    from poise.report.ending import ending
    from poise.report.json_ending import ending_to_json

    found: dict[str, object] = {
        "schema": "poise.recipe/1",
        "recipe": recipe.name,
        "metric": {
            "name": recipe.metric.name,
            "higher_is_better": recipe.metric.higher_is_better,
            "unit": recipe.metric.unit,
        },
        "runs": [
            {"variant": name, "path": str(path), **ending_to_json(ending(read_run(path)))}
            for name, path in ((variant, folder), (against, other))
            if name is not None and path is not None
        ],
    }
    return found
