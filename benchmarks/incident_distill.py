"""The numbers of docs/incidents/distill.md.

python -m benchmarks.incident_distill [--seeds 5] [--variants V ...] [--write]
"""

from benchmarks.incidents import (
    Column,
    Page,
    Paths,
    diagnosis,
    main,
    metric,
    named,
    table,
    train_all,
)

import poise
from poise.losses.distill import ALIGN, end_gap
from poise.recipes import find
from poise.recipes.distill.data import corpus
from poise.recipes.text import read_text

APART = ("counter", "truncation", "interpolation")


def alignments(paths: Paths) -> str:
    """How far apart the ends of paired tokens are, on held-out text."""
    del paths
    batches = corpus(read_text(None)).fixed(16, 8)
    lines = [
        "| alignment | student tokens that have a partner | characters between their ends, mean |",
        "|---|---|---|",
    ]
    tokens = sum(int(one.student.mask.sum()) for one in batches)
    for name, align in ALIGN.items():
        paired, apart = 0, 0.0
        for one in batches:
            student, teacher = one.student.offsets, one.teacher.offsets
            gap = end_gap(align(student, teacher), student, teacher)
            paired, apart = paired + int(gap.count), apart + float(gap.sum)
        lines.append(f"| `{name}` | {paired / tokens:.0%} | {apart / paired:.2f} |")
    return "\n".join(lines)


def evaluations(paths: Paths) -> str:
    """Evaluation after evaluation of the first seed, total and perplexity as they were printed."""
    lines = ["| variant | total of each evaluation | `perplexity` | held-out perplexity |"]
    lines.append("|---" * 4 + "|")
    for name, several in paths.items():
        (table,) = poise.read_run(several[0]).evals
        _, values = table.aligned(["total", "perplexity", "student_perplexity"])
        cells = [", ".join(f"{one:.10g}" for one in column) for column in values.T.round(2)]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def further(paths: Paths) -> Paths:
    """The variants that take the incident and the cure apart, with the first seed."""
    folder = paths["reported"][0].parent
    return train_all(find("distill"), dict.fromkeys(APART, 1), folder, quick=False)


def apart(paths: Paths) -> str:
    """Their table, beside the main ones of the same seed."""
    first = {name: several[:1] for name, several in paths.items()}
    return table(find("distill"), {**first, **further(paths)}, COLUMNS)


def counter(paths: Paths) -> str:
    """What poise says once the second count is taken out and nothing else."""
    return diagnosis(named(find("distill"), "counter", further(paths)["counter"][0]))


COLUMNS = (
    Column(head="optimizer steps", of=lambda end: float(end.steps or 0)),
    Column(head="retained_kl, nats", of=metric("retained_kl")),
    Column(head="retained_top5", of=metric("retained_top5")),
    Column(head="retention as reported", of=metric("retention_reported")),
)
PAGE = Page(
    recipe="distill",
    columns=COLUMNS,
    variants=("reported", "note-fix", "cured"),
    blocks={
        "alignments": alignments,
        "evaluations": evaluations,
        "apart": apart,
        "counter": counter,
    },
)

if __name__ == "__main__":
    main(PAGE)
