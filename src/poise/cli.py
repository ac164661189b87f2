"""The `poise` command.

Exit status: 0 done, 1 findings at or above `--fail-on`, 2 bad usage or unreadable input (one
line on standard error), 130 interrupted. Everything slow is imported by the command that needs it.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poise import __version__
from poise.commands.accept import accept
from poise.commands.demo import demo
from poise.commands.output import FailOn, fail, print_json, progress, write_page
from poise.commands.recipe import recipes
from poise.commands.watch import watch
from poise.errors import PoiseError

if TYPE_CHECKING:
    from poise.doctor.card import Card

app = typer.Typer(
    name="poise",
    help="Finds out why a training with several loss terms does not learn.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FORMATS = "poise csv jsonl trainer-state tfevents wandb wandb-summary text"
"""What `--format` takes; spelt out because asking the readers would cost their import."""


LogPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A log, a run directory, or a folder with logs.")
]
AsFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="F", help=f"Read as this format, not as recognised: {FORMATS}."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app.add_typer(recipes)
app.command()(demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"poise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def diagnose(
    path: LogPath,
    as_format: AsFormat = None,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report with charts.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 on findings of this severity or worse.")
    ] = FailOn.NEVER,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect", metavar="NAME<BELOW@AFTER", help="An expected range; may be repeated."
        ),
    ] = None,
) -> None:
    """Read a log or run directory and print what is wrong, worst first."""
    from poise.doctor.diagnose import diagnose as examine
    from poise.read import read_run

    with progress(f"reading {path.name}") as done:
        run = read_run(path, format=as_format, progress=done)
        diagnosis = examine(run, expect=expect or ())
    if html is not None:
        # Written before anything is printed: a closed pipe (`| head`) must not lose it.
        from poise.report.html import render_html

        write_page(render_html(diagnosis), html)
    if as_json:
        from poise.report.json import diagnosis_to_json

        print_json(diagnosis_to_json(diagnosis))
    else:
        from rich.console import Console

        from poise.report.terminal import render

        render(diagnosis, Console())
    if html is not None:
        typer.echo(f"report: {html}", err=True)
    fail(diagnosis.worst, fail_on)


@app.command()
def read(path: LogPath, as_format: AsFormat = None, as_json: AsJson = False) -> None:
    """Print what was understood of a log: format, steps, splits, total, terms, weights."""
    from poise.read import read_run

    with progress(f"reading {path.name}") as done:
        run = read_run(path, format=as_format, progress=done)
    if as_json:
        from poise.report.json import run_to_json

        print_json(run_to_json(run))
    else:
        from rich.console import Console

        from poise.report.terminal import render_run

        render_run(run, Console())


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The log or run before.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The same with the change.")],
    and_before: Annotated[
        list[Path] | None,
        typer.Option("--before", metavar="PATH", help="Another seed of BEFORE; may be repeated."),
    ] = None,
    and_after: Annotated[
        list[Path] | None,
        typer.Option("--after", metavar="PATH", help="Another seed of AFTER; may be repeated."),
    ] = None,
    align: Annotated[
        str, typer.Option("--align", metavar="A", help="By auto, step or progress.")
    ] = "auto",
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report with charts.")
    ] = None,
) -> None:
    """Print what a change did to each term, beyond noise: no effect, better or worse."""
    from poise.comparing.compare import compare as examine

    with progress(f"comparing {before.name} and {after.name}"):
        sides = [before, *(and_before or [])], [after, *(and_after or [])]
        found = examine(*sides, align=align)
    if html is not None:
        from poise.report.html_comparison import render_comparison_html

        write_page(render_comparison_html(found), html)
    if as_json:
        from poise.report.json_comparison import comparison_to_json

        print_json(comparison_to_json(found))
    else:
        from rich.console import Console

        from poise.report.terminal_comparison import render_comparison

        render_comparison(found, Console())


@app.command()
def inspect(
    function: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="A loss function or module; FILE.py:F.")
    ],
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            metavar="NAME=8x5[:KIND]",
            help="An argument of the example, in order: float, positive, prob, bool or int5.",
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option("--example", metavar="MODULE:NAME", help="A tuple of arguments, or its maker"),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="What the first compares with.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option("--mask", metavar="NAME", help="The argument that masks.")
    ] = None,
    role: Annotated[
        str, typer.Option("--role", metavar="R", help="As in poise.Role: task, adversary, ...")
    ] = "task",
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the card with charts.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 on findings of this severity or worse.")
    ] = FailOn.NEVER,
) -> None:
    """Print a loss function's card before any training: what is odd about it."""
    import importlib

    import poise

    _ = poise.inspect  # says which extra is missing without PyTorch
    loading = importlib.import_module("poise.card.loading")  # torch, which no import here may need
    with progress(f"inspecting {function}"):
        card: Card = loading.inspect_named(
            function, shapes=shapes or (), example=example, target=target, mask=mask, role=role
        )
    if html is not None:
        from poise.report.html_card import render_card_html

        write_page(render_card_html(card), html)
    if as_json:
        from poise.report.json_card import card_to_json

        print_json(card_to_json(card))
    else:
        from rich.console import Console

        from poise.report.terminal_card import render_card

        render_card(card, Console())
    fail(card.worst, fail_on)


@app.command()
def suggest(
    path: LogPath,
    shares: Annotated[
        str | None,
        typer.Option(
            "--shares", metavar="A=0.1,B=0.9", help="Wished gradient shares; else the declared."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the constant weights that would give a watched run its wished gradient shares."""
    from poise.doctor.suggest import parse_shares
    from poise.doctor.suggest import suggest as find
    from poise.read import read_run

    wished = None if shares is None else parse_shares(shares)
    with progress(f"reading {path.name}") as done:
        found = find(read_run(path, progress=done), wished)
    if as_json:
        from poise.report.json import offer_to_json

        print_json(offer_to_json(found))
    else:
        from rich.console import Console

        from poise.report.terminal import render_suggestion

        render_suggestion(found, Console())


app.command()(accept)
app.command()(watch)


@app.command()
def rules() -> None:
    """List the rules: name, fault class, symptom, and the data each needs."""
    from rich.console import Console

    from poise.doctor.rules import RULES
    from poise.report.terminal import render_rules

    render_rules(RULES, Console())


@app.command()
def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule, or a fault class.")],
) -> None:
    """Print what a rule looks at, its threshold, and which healthy trainings look the same."""
    from rich.console import Console

    from poise.doctor.rules import find_rules
    from poise.report.terminal import render_explanation

    for one in find_rules(rule):
        render_explanation(one, Console())


def main() -> None:
    """Entry point of the `poise` command."""
    try:
        app()
    except PoiseError as error:
        typer.echo(f"poise: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        # The reader of our output has gone (`poise rules | head`): no fault, but Rich and Typer end
        # with 1 then, which stands for findings. Python would complain at exit.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
