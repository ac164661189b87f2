"""Trains every variant of the recipe `plasticity` with several seeds and prints the table.

    python benchmarks/incident_plasticity.py [--seeds 5] [--runs runs/plasticity] [--write]

A run that is there already is not trained again. `--write` puts the tables, what poise prints of
the reported run and the picture into docs/incidents/plasticity.md.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

import poise
from poise.recipes import find, run
from poise.run import Run

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "incidents" / "plasticity.md"
SHOWN = ("reported", "note-fix", "cured")
Floats = NDArray[np.float64]


def trained(folder: Path, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """The runs by variant, one a seed; trains those that are missing."""
    recipe = find("plasticity")
    jobs = [(variant.name, seed) for seed in seeds for variant in recipe.variants]
    with Progress() as bar:
        task = bar.add_task("training", total=len(jobs))
        for at, (variant, seed) in enumerate(jobs):
            out = folder / f"{variant}-{seed}"
            if not (out / "done").exists():

                def told(share: float, base: int = at) -> None:
                    bar.update(task, completed=base + share)

                run(recipe, variant, out, seed=seed, progress=told)
                (out / "done").touch()
            bar.update(task, completed=at + 1)
    return {
        variant.name: [poise.read_run(folder / f"{variant.name}-{seed}") for seed in seeds]
        for variant in recipe.variants
    }


def evaluations(one: Run, name: str) -> tuple[Floats, Floats]:
    """Steps and values of a statistic of the evaluations."""
    table = next(table for table in one.tables if table.split == "eval")
    series = table.series[name]
    return table.steps_of(series).astype(float), series.values


def last(one: Run, name: str) -> float:
    """Its last value."""
    return float(evaluations(one, name)[1][-1])


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def outcome(runs: Mapping[str, Sequence[Run]]) -> str:
    """The table of what each variant reaches."""
    seeds = len(runs["reported"])
    lines = [
        f"| variant | relative error, {seeds} seeds | logit error | v_a like attention | "
        "better than reported | better than note-fix |",
        "|---|---|---|---|---|---|",
    ]
    reached = {name: [last(one, "relative_error") for one in some] for name, some in runs.items()}
    start = [float(evaluations(one, "relative_error")[1][0]) for one in runs["reported"]]
    lines.append(f"| before training | {spread(start)} | | | | |")
    for name, some in runs.items():
        logits = [last(one, "logit_error") for one in some]
        alike = [last(one, "v_a_attention_similarity") for one in some]
        wins = [
            sum(a < b for a, b in zip(reached[name], reached[other], strict=True))
            for other in ("reported", "note-fix")
        ]
        told = ["" if name == other else f"{won} of {seeds}"
                for won, other in zip(wins, ("reported", "note-fix"), strict=True)]  # fmt: skip
        lines.append(
            f"| `{name}` | {spread(reached[name])} | {spread(logits)} | {np.median(alike):.2f} | "
            f"{told[0]} | {told[1]} |"
        )
    return "\n".join(lines)


def monitoring(runs: Mapping[str, Sequence[Run]]) -> str:
    """The note's monitoring list at the end of stage 1 and at the end, medians over the seeds."""
    names = (
        "v_a_norm",
        "v_b_norm",
        "v_a_attention_similarity",
        "modulation_magnitude",
        "modulation_scalar_variance",
    )
    lines = [
        "| statistic | " + " | ".join(f"`{name}`" for name in SHOWN) + " |",
        "|---|" + "---|" * len(SHOWN),
    ]
    for name in names:
        cells: list[str] = []
        for variant in SHOWN:
            values = np.array([evaluations(one, name)[1] for one in runs[variant]])
            start, stage, end = np.median(values[:, [0, 1, -1]], axis=0)
            cells.append(f"{start:.3g}, {stage:.3g}, {end:.3g}")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def printed(path: Path) -> str:
    """What `poise diagnose` prints of a run."""
    command = [sys.executable, "-m", "poise", "diagnose", str(path)]
    environment = {"COLUMNS": "80", "NO_COLOR": "1", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    head, _, rest = done.stdout.partition("\n")
    return "```text\n" + Path(head).name + "\n" + rest.rstrip() + "\n```"


def picture(runs: Mapping[str, Sequence[Run]]) -> str:
    """A chart of the held-out error over the steps, as SVG."""
    from benchmarks.svg import Line, chart

    lines: list[Line] = []
    for name in SHOWN:
        steps = evaluations(runs[name][0], "relative_error")[0]
        values = np.array([evaluations(one, "relative_error")[1] for one in runs[name]])
        lines.append(Line(name, steps, np.median(values, axis=0), values.min(0), values.max(0)))
    return chart(lines, x="optimizer step", y="relative error, held out", top=1.0)


def put(text: str, marker: str, block: str) -> str:
    """The page with the block between its two markers replaced."""
    first, last = f"<!-- {marker} -->\n", f"\n<!-- end of {marker} -->"
    before, found, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not found or not end:
        raise SystemExit(f"{PAGE}: expected the markers {first.strip()} and {last.strip()}")
    return before + first + block + last + after


def main() -> None:
    """Trains what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/plasticity"))
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    torch.set_num_threads(1)
    runs = trained(told.runs, range(told.seeds))
    blocks = {"outcome": outcome(runs), "monitoring": monitoring(runs)}
    for block in blocks.values():
        print(block, end="\n\n")
    if told.write:
        blocks["diagnosis"] = printed(told.runs / "reported-0")
        page = PAGE.read_text()
        for marker, block in blocks.items():
            page = put(page, marker, block)
        PAGE.write_text(page)
        PAGE.with_suffix(".svg").write_text(picture(runs))


if __name__ == "__main__":
    main()
