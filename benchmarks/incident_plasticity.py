"""The numbers of docs/incidents/plasticity.md.

python -m benchmarks.incident_plasticity [--seeds 5] [--others 3] [--variants V ...] [--write]
"""

import statistics

import numpy as np
from benchmarks import npt_proposals
from benchmarks.incidents import Column, Page, Paths, main, metric
from numpy.typing import NDArray

import poise
from poise.run import Run

SHOWN = ("reported", "note-fix", "cured")
MONITORED = (
    "v_a_norm",
    "v_b_norm",
    "v_a_attention_similarity",
    "modulation_magnitude",
    "modulation_scalar_variance",
)
STAGE_1, JUMP, STEPS = 60, 180, 360
"""Optimizer steps: the end of stage 1, the beginning of stage 3, all."""


def logged(run: Run, name: str) -> NDArray[np.float64]:
    """A training series."""
    return run.train.series[name].values


def monitoring(paths: Paths) -> str:
    """The note's monitoring list: at the start, at the end of stage 1, at the end of training."""
    found = {name: [poise.read_run(path) for path in paths[name]] for name in SHOWN}
    lines = ["| statistic | " + " | ".join(f"`{name}`" for name in SHOWN) + " |"]
    lines.append("|---" * (len(SHOWN) + 1) + "|")
    for name in MONITORED:
        cells: list[str] = []
        for variant in SHOWN:
            values = np.stack([logged(one, name) for one in found[variant]])
            places = (values[:, :5], values[:, STAGE_1 - 5 : STAGE_1], values[:, -5:])
            cells.append(" → ".join(f"{np.median(one):.3g}" for one in places))
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def facts(paths: Paths) -> str:
    """What the page says about stage 1 and the jump, each from all seeds of `reported`."""
    runs = [poise.read_run(path) for path in paths["reported"]]
    probes = [next(one for one in run.tables if one.grain == "probe") for run in runs]
    moved = 0.0
    for one in probes:
        for series in one.series.values():
            if series.name.startswith("motion/"):
                early = one.steps_of(series) < STAGE_1
                moved = max(moved, float(np.abs(series.values[early]).max(initial=0.0)))
    rates = np.concatenate([logged(run, "lr")[:STAGE_1] for run in runs])
    shown = np.concatenate([logged(run, "printed_lr")[:STAGE_1] for run in runs])
    jumps = [
        float(np.median(logged(run, run.compositions[0].total)[JUMP : JUMP + 5]))
        / float(np.median(logged(run, run.compositions[0].total)[JUMP - 5 : JUMP]))
        for run in runs
    ]
    lines = [
        "| `reported`, stage 1 (60 steps), all seeds | |",
        "|---|---|",
        f"| learning rate the optimizer has | {rates.min():g} to {rates.max():g} |",
        f"| learning rate that is printed | {shown.min():g} to {shown.max():g} |",
        f"| largest motion of any module in a measured step | {moved:g} |",
        f"| total after over total before step {JUMP} | {statistics.median(jumps):.1f} "
        f"[{min(jumps):.1f}, {max(jumps):.1f}] |",
    ]
    return "\n".join(lines)


def proposals(paths: Paths) -> str:
    """The note's proposals on made tensors."""
    del paths
    return npt_proposals.table()


def second(paths: Paths) -> str:
    """What poise finds first in the note's fix."""
    found = poise.diagnose(paths["note-fix"][0]).findings[:3]
    return "\n".join(f"* {one.severity}: {one.summary} [{one.rule}]" for one in found)


COLUMNS = (
    Column(head="logit_error", of=metric("logit_error")),
    Column(head="v_a_attention_similarity", of=metric("v_a_attention_similarity")),
    Column(head="modulation_magnitude", of=metric("modulation_magnitude")),
)
PAGE = Page(
    recipe="plasticity",
    columns=COLUMNS,
    blocks={
        "monitoring": monitoring,
        "facts": facts,
        "note-fix": second,
        "proposals": proposals,
    },
)

if __name__ == "__main__":
    main(PAGE)
