"""The numbers of docs/incidents/peptide.md.

python -m benchmarks.incident_peptide [--seeds 5] [--variants V ...] [--write]
"""

import statistics
from dataclasses import dataclass

import numpy as np
from benchmarks.incidents import Column, Page, Paths, main, metric, spread

import poise
from poise.report.ending import Ending, ending
from poise.run import Floats, Run

TERMS = ("ce", "spectrum", "precursor")


def evaluated(name: str) -> "Column":
    """A term at the last evaluation."""

    def of(end: Ending) -> float:
        found = end.terms[name].evaluated
        return float("nan") if found is None else found

    return Column(head=f"held-out {name}, nats", of=of)


COLUMNS = (
    Column(head="token accuracy", of=metric("token_accuracy")),
    Column(head="mass error of the best tokens, Da", of=metric("best_mass_error_da")),
    evaluated("ce"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What happens when the precursor term starts.

    Attributes:
        before: Median total of the five steps before.
        after: Total at that step.
        ce: Cross-entropy at that step.
        value: Share of the term in the total there.
        first: Its gradient over that of cross-entropy at the first probe afterwards.
        median: The same, median of all probes afterwards.
    """

    before: float
    after: float
    ce: float
    value: float
    first: float
    median: float


def start_of(run: Run) -> Start:
    """Reads it off a run whose precursor term starts at some step."""
    train = run.train
    weights = {name: train.series[f"weight/{name}"].values for name in TERMS}
    at = int(np.flatnonzero(weights["precursor"])[0])
    total = train.series["total"].values
    parts = {name: float(train.series[name].values[at] * weights[name][at]) for name in TERMS}
    steps, ratios = gradient_ratios(run)
    since = ratios[steps >= train.steps[at]]
    return Start(
        before=float(np.median(total[at - 5 : at])),
        after=float(total[at]),
        ce=parts["ce"],
        value=parts["precursor"] / sum(parts.values()),
        first=float(since[0]),
        median=float(np.median(since)),
    )


def gradient_ratios(run: Run) -> tuple[Floats, Floats]:
    """Steps, and the weighted gradient of the precursor term over CE's at the shared parameters."""
    probes = next(one for one in run.tables if "gradient_norm/precursor" in one.series)
    upper, lower = (probes.series[f"gradient_norm/{name}"] for name in ("precursor", "ce"))
    return probes.steps_of(upper).astype(float), upper.values / lower.values


def start(paths: Paths) -> str:
    """The table of what happens at the start of the term, a row a variant."""
    heads = ("variant", "total before", "at its start", "ce there", "its value share",
             "its gradient over ce's, first probe", "median afterwards")  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, several in paths.items():
        found = [start_of(poise.read_run(path)) for path in several]
        share = statistics.median(one.value for one in found)
        cells = [
            f"`{name}`",
            spread([one.before for one in found]),
            spread([one.after for one in found]),
            spread([one.ce for one in found]),
            f"{share:.1%}",
            spread([one.first for one in found]),
            spread([one.median for one in found]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def criteria(paths: Paths) -> str:
    """What the note expects, and in how many runs it was so."""
    lines = ["| variant | " + " | ".join(EXPECTED) + " |", "|---" * (len(EXPECTED) + 1) + "|"]
    for name, several in paths.items():
        runs = [poise.read_run(path) for path in several]
        cells = [spread([of(run) for run in runs]) for of in EXPECTED.values()]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def second_stage(run: Run) -> float:
    """Median total over the second stage."""
    stage = run.train.series["stage"].values
    return float(np.median(run.train.series["total"].values[stage == 2]))


def contribution(run: Run) -> float:
    """Median of weight times value of the precursor term from its start on."""
    values = run.train.series["precursor_contribution"].values
    return float(np.median(values[run.train.series["stage"].values > 1]))


def last_ppm(run: Run) -> float:
    """The metric at the last evaluation."""
    return ending(run).metrics["precursor_error_ppm"]


EXPECTED = {
    "total in stage 2 (2 to 3)": second_stage,
    "contribution of the term (0.005 to 0.01)": contribution,
    "ppm in stage 10 (below 100)": last_ppm,
}
"""The note's targets in brackets, and how each is measured."""


PAGE = Page(
    recipe="peptide",
    columns=COLUMNS,
    curve="total",
    variants=("reported", "note-fix", "cured"),
    blocks={"start": start, "criteria": criteria},
)

if __name__ == "__main__":
    main(PAGE)
