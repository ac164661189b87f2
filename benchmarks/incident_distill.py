"""The distillation incident: reported, the notes' fix and the cure, over seeds.

Trains every variant with every seed, prints the table of docs/incidents/distill.md, and with
`--write` puts table, alignment, diagnosis and picture into the page, between its markers.

    python benchmarks/incident_distill.py [--seeds 5] [--runs runs/distill] [--write]
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import Progress

import poise
from poise.losses.distill import ALIGN, end_gap
from poise.recipes import find, run
from poise.recipes.distill.data import corpus
from poise.recipes.text import read_text
from poise.report.ending import Ending, ending
from poise.report.terminal import diagnosis_text

VARIANTS = ("reported", "note-fix", "cured")
FURTHER = ("counter", "truncation", "interpolation")
"""Trained with the first seeds only: they take the cure apart."""
FEW = 3
PAGE = Path(__file__).parents[1] / "docs" / "incidents" / "distill.md"
METRICS = ("student_perplexity", "retained_kl", "retained_top5", "retention_reported")


def trained(folder: Path, seeds: int) -> Iterator[tuple[str, int, Ending]]:
    """Every variant with every seed; what is there already is read."""
    recipe = find("distill")
    jobs = [(variant, seed) for seed in range(seeds) for variant in VARIANTS]
    jobs += [(variant, seed) for seed in range(min(FEW, seeds)) for variant in FURTHER]
    with Progress(transient=True) as bar:
        task = bar.add_task("distill", total=len(jobs))
        for variant, seed in sorted(jobs, key=lambda job: job[1]):
            out = folder / f"{variant}-{seed}"
            if not (out / "done").exists():
                run(recipe, variant, out, seed=seed)
                (out / "done").touch()
            bar.advance(task)
            yield variant, seed, ending(poise.read_run(out))


def table(found: list[tuple[str, int, Ending]]) -> str:
    """Metrics by variant: mean and range over the seeds, in markdown."""
    head = "| variant | seeds | optimizer steps | " + " | ".join(f"`{one}`" for one in METRICS)
    lines = [head + " |", "|---|---" + "|---:" * (1 + len(METRICS)) + "|"]
    for variant in (*VARIANTS, *FURTHER):
        ends = [end for name, _, end in found if name == variant]
        cells = [spread([end.metrics[metric] for end in ends]) for metric in METRICS]
        steps = "/".join(sorted({str(end.steps) for end in ends}))
        lines.append(f"| `{variant}` | {len(ends)} | {steps} | " + " | ".join(cells) + " |")
    better = {name: wins(found, name) for name in ("reported", "note-fix")}
    lines += [
        "",
        "`cured` has the lower `student_perplexity` against "
        + " and against ".join(
            f"`{name}` in {won} of {of} seeds" for name, (won, of) in better.items()
        )
        + ".",
    ]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean, and smallest to largest."""
    low, high = min(values), max(values)
    return f"{statistics.mean(values):.4g} ({low:.4g} to {high:.4g})"


def wins(found: list[tuple[str, int, Ending]], other: str) -> tuple[int, int]:
    """In how many seeds `cured` is better, and of how many."""
    metric = find("distill").metric
    by = {(name, seed): end.metrics[metric.name] for name, seed, end in found}
    seeds = [seed for name, seed in by if name == other]
    better = (metric.better(by["cured", seed], by[other, seed]) for seed in seeds)
    return sum(better), len(seeds)


def gaps() -> str:
    """How far apart the ends of paired tokens are, on held-out text, in markdown."""
    batches = corpus(read_text(None)).fixed(8, 8)
    lines = [
        "| alignment | student tokens paired | characters between the ends |",
        "|---|---:|---:|",
    ]
    tokens = sum(int(one.student.mask.sum()) for one in batches)
    for name, align in ALIGN.items():
        paired, apart = 0, 0.0
        for one in batches:
            way = align(one.student.offsets, one.teacher.offsets)
            gap = end_gap(way, one.student.offsets, one.teacher.offsets)
            paired += int(gap.count)
            apart += float(gap.sum)
        lines.append(f"| `{name}` | {paired / tokens:.0%} | {apart / paired:.2f} |")
    return "\n".join(lines)


def picture(folder: Path, out: Path) -> None:
    """Held-out perplexity of the student over micro-batches, by variant, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "distill"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for variant in (*VARIANTS, "counter"):
        (evals,) = poise.read_run(folder / f"{variant}-0").evals
        rows, values = evals.aligned(["micro", "student_perplexity"])
        del rows
        axes.plot(values[:, 0], values[:, 1], marker="o", label=variant)
    axes.set(xlabel="micro-batches", ylabel="held-out perplexity", yscale="log")
    axes.legend()
    figure.savefig(out, metadata={"Date": None})


def put(page: str, name: str, block: str) -> str:
    """The page with what stands between two markers replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{block}\n{end}{after}"


def main() -> None:
    """Trains, prints, and writes if asked."""
    parser = argparse.ArgumentParser(description="the distillation incident over seeds")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/distill"))
    parser.add_argument("--write", action="store_true", help="update docs/incidents/distill.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = list(trained(options.runs, options.seeds))
    print(table(found))
    print(gaps())
    if options.write:
        page = PAGE.read_text()
        said = diagnosis_text(poise.diagnose(options.runs / "reported-0"), width=80)
        page = put(page, "table", table(found))
        page = put(page, "gaps", gaps())
        page = put(page, "diagnosis", f"```text\n{said.rstrip()}\n```")
        PAGE.write_text(page)
        picture(options.runs, PAGE.with_suffix(".svg"))


if __name__ == "__main__":
    main()
