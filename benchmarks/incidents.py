"""What the variants of a recipe come to, over several seeds: the numbers of docs/incidents.

One script a page uses it: `python -m benchmarks.incident_multitask [--write]`. Runs are kept under
`--runs` and not trained again; remove them after a change. With `--write` the page's generated
blocks are replaced, between `<!-- begin NAME -->` and `<!-- end NAME -->`, and its picture is drawn
(`pip install 'poise[bench]'`).
"""

import argparse
import io
import re
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

import poise
from poise.comparing.compare import compare
from poise.recipes import Recipe, find, run
from poise.report.ending import Ending, ending
from poise.report.terminal import render
from poise.report.terminal_comparison import render_comparison
from poise.run import Run

ROOT = Path(__file__).parents[1]
COLOURS = {"reported": "#b3261e", "note-fix": "#e69f00", "cured": "#0072b2"}
WIDTH = 96
"""Columns of what poise prints on a page."""

Paths = Mapping[str, Sequence[Path]]
"""Run directories by variant, one a seed, in the order of the seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One more column of the table, beside the metric that decides.

    Attributes:
        head: Its heading, with the unit.
        of: The number, from the end of a run; NaN where there is none.
    """

    head: str
    of: Callable[[Ending], float]


def metric(name: str) -> Callable[[Ending], float]:
    """A statistic of the last evaluation."""
    return lambda end: end.metrics.get(name, float("nan"))


def trained(name: str) -> Callable[[Ending], float]:
    """A term's mean over the last ten training records."""

    def of(end: Ending) -> float:
        found = end.terms.get(name)
        return float("nan") if found is None or found.train is None else found.train

    return of


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page about an incident is made of.

    Attributes:
        recipe: Name of the recipe.
        columns: What the table shows beside the metric.
        curve: The training series that the picture shows beside the metric.
        variants: What is trained; empty: all variants of the recipe.
        blocks: Further generated blocks by name, made from the runs.
    """

    recipe: str
    columns: tuple[Column, ...] = ()
    curve: str = "total"
    variants: tuple[str, ...] = ()
    blocks: Mapping[str, Callable[[Paths], str]] = field(default_factory=dict)


def train_all(recipe: Recipe, seeds: Mapping[str, int], folder: Path, *, quick: bool) -> Paths:
    """Runs of every variant with its number of seeds; what is there is not trained again."""
    found: dict[str, list[Path]] = {name: [] for name in seeds}
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(recipe.name, total=float(sum(seeds.values())))
        for seed in range(max(seeds.values())):
            for name in (one for one, count in seeds.items() if seed < count):
                path = folder / f"{name}-{seed}{'-quick' * quick}"
                start = bar.tasks[0].completed
                bar.update(task, description=f"{recipe.name}, {name}, seed {seed}")
                if not path.exists():
                    told = _telling(bar, start)
                    _train(recipe, name, seed, path, quick=quick, told=told)
                bar.update(task, completed=start + 1)
                found[name].append(path)
    return found


def _telling(bar: Progress, start: float) -> Callable[[float], None]:
    return lambda share: bar.update(bar.tasks[0].id, completed=start + share)


def _train(
    recipe: Recipe, name: str, seed: int, path: Path, *, quick: bool, told: Callable[[float], None]
) -> None:
    """Trains beside the place and moves there, so that what is there is whole."""
    making = path.with_name(path.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    run(recipe, name, making, seed=seed, quick=quick, progress=told)
    making.rename(path)


def spread(values: Sequence[float]) -> str:
    """Median, and least to largest."""
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:.3g} [{low:.3g}, {high:.3g}]"


def wins(recipe: Recipe, ends: Mapping[str, Sequence[Ending]], name: str, other: str) -> str:
    """In how many seeds a variant has the better metric, compared seed by seed."""
    if name == other or other not in ends:
        return ""
    value = metric(recipe.metric.name)
    pairs = list(zip(ends[name], ends[other], strict=False))  # a variant may have fewer seeds
    better = sum(recipe.metric.better(value(a), value(b)) for a, b in pairs)
    return f"{better} of {len(pairs)}"


def table(recipe: Recipe, paths: Paths, columns: Sequence[Column]) -> str:
    """A row a variant: the metric, how often it is better, and the further columns."""
    ends = {
        name: [ending(poise.read_run(path)) for path in several] for name, several in paths.items()
    }
    unit = f", {recipe.metric.unit}" if recipe.metric.unit else ""
    direction = "higher" if recipe.metric.higher_is_better else "lower"
    metric_head = f"{recipe.metric.name}{unit} ({direction} is better)"
    heads = ["variant", metric_head, "better than `reported`", "better than `note-fix`"]
    lines = ["| " + " | ".join([*heads, *(one.head for one in columns)]) + " |"]
    lines.append("|---" * (len(heads) + len(columns)) + "|")
    value = metric(recipe.metric.name)
    for name, several in ends.items():
        cells = [f"`{name}`", spread([value(one) for one in several])]
        cells += [wins(recipe, ends, name, other) for other in ("reported", "note-fix")]
        cells += [spread([one.of(end) for end in several]) for one in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def printed(show: Callable[[Console], None]) -> str:
    """What poise prints to a terminal, as a fenced block."""
    text = io.StringIO()
    show(Console(file=text, width=WIDTH, color_system=None, force_terminal=False))
    lines = (line.rstrip() for line in text.getvalue().strip("\n").splitlines())
    return "```\n" + "\n".join(lines) + "\n```"


def named(recipe: Recipe, variant: str, path: Path) -> Run:
    """A run under the path that `poise recipe run` gives it, so that a page shows no other one."""
    return replace(poise.read_run(path), path=Path("runs") / f"{recipe.name}-{variant}")


def diagnosis(run: Run) -> str:
    """What `poise diagnose` prints."""
    return printed(lambda console: render(poise.diagnose(run), console))


def comparison(before: Sequence[Run], after: Sequence[Run]) -> str:
    """What `poise compare` prints."""
    found = compare(list(before), list(after))
    return printed(lambda console: render_comparison(found, console))


def picture(recipe: Recipe, paths: Paths, curve: str, out: Path) -> None:
    """Draws the training series and the metric of the three main variants, a line a seed."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = recipe.name  # the same file for the same runs
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, colour in COLOURS.items():
        for number, path in enumerate(paths.get(name, ())):
            label = {"color": colour, "linewidth": 1.0, "label": name if number == 0 else None}
            found = poise.read_run(path)
            series = found.train.series[curve]
            left.plot(found.train.steps_of(series), series.values, **label)
            for one in found.evals:
                if recipe.metric.name in one.series:
                    measured = one.series[recipe.metric.name]
                    right.plot(one.steps_of(measured), measured.values, marker=".", **label)
    unit = f", {recipe.metric.unit}" if recipe.metric.unit else ""
    left.set(xlabel="optimizer step", title=f"'{curve}' in training")
    right.set(xlabel="optimizer step", title=f"{recipe.metric.name}{unit}, held out")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def write_blocks(page: Path, blocks: Mapping[str, str]) -> None:
    """Replaces the generated blocks of a page.

    Raises:
        SystemExit: The page has no such block.
    """
    text = page.read_text()
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.escape(begin) + r".*?" + re.escape(end)
        if not re.search(pattern, text, re.DOTALL):
            raise SystemExit(f"{page}: expected {begin} ... {end}; write the two lines first")
        whole = f"{begin}\n{block}\n{end}"
        text = re.sub(pattern, lambda _, whole=whole: whole, text, flags=re.DOTALL)
    page.write_text(text)


def main(page: Page) -> None:
    """Trains, prints the table and the other blocks, and writes them into the page if asked to."""
    recipe = find(page.recipe)
    parser = argparse.ArgumentParser(description=f"docs/incidents/{page.recipe}.md, measured")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--others", type=int, metavar="N", help="seeds of the further variants")
    parser.add_argument("--variants", nargs="+", metavar="V")
    parser.add_argument("--runs", type=Path, default=Path("runs/incidents"))
    parser.add_argument("--quick", action="store_true", help="short trainings, for a look")
    parser.add_argument("--write", action="store_true", help="into the page and its picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    every = page.variants or tuple(one.name for one in recipe.variants)
    variants = [recipe.variant(one).name for one in options.variants or every]
    folder = options.runs / recipe.name
    few = options.seeds if options.others is None else min(options.others, options.seeds)
    seeds = {one: options.seeds if one in COLOURS else few for one in variants}
    seeds = {one: count for one, count in seeds.items() if count > 0}
    paths = train_all(recipe, seeds, folder, quick=options.quick)
    blocks = {"table": table(recipe, paths, page.columns)}
    if "reported" in paths:
        blocks["diagnosis"] = diagnosis(named(recipe, "reported", paths["reported"][0]))
    if {"reported", "cured"} <= paths.keys():
        sides = [
            [named(recipe, f"{one}-{seed}", path) for seed, path in enumerate(paths[one])]
            for one in ("reported", "cured")
        ]
        blocks["comparison"] = comparison(*sides)
    blocks |= {name: make(paths) for name, make in page.blocks.items()}
    for name, block in blocks.items():
        print(f"\n{name}\n\n{block}")
    if options.write:
        write_blocks(ROOT / "docs" / "incidents" / f"{recipe.name}.md", blocks)
        target = ROOT / "docs" / "incidents" / f"{recipe.name}.svg"
        picture(recipe, paths, page.curve, target)
        print(f"\nwritten: docs/incidents/{recipe.name}.md, docs/incidents/{recipe.name}.svg")
