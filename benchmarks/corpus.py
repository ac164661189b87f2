"""How well do the findings agree with careful reading of real logs?

For every log of a directory of real logs: the verdict of a person who read the numbers, what
poise found, and whether the two agree. The expectations below restate the verdicts, so that the
comparison is mechanical. Prints the table and exits with 1 if a visible fault was missed or a
warning or error has no support in the verdict, apart from those in `EXPLAINED`, and with 77 if
there are no logs.

    python benchmarks/corpus.py [DIRECTORY] [--notes]
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

import poise
from poise.doctor import Diagnosis, Finding, Severity

HERE = Path(__file__).parent
LOGS = HERE.parents[1] / "shared" / "corpus" / "logs"
EXPLAINED = ("28",)
"""Logs whose disagreement docs/benchmarks.md explains."""

SKIPPED = 77
"""Exit status without logs; `python -m benchmarks` shows it as skipped."""


@dataclass(frozen=True)
class Visible:
    """A fault that the verdict names: any of `faults`, on a term named like one of `terms`."""

    faults: tuple[str, ...]
    terms: tuple[str, ...] = ("",)

    def seen_in(self, finding: Finding) -> bool:
        """Is this the fault that the finding names?"""
        named = not finding.terms and self.terms == ("",)
        named |= any(part in term for term in finding.terms for part in self.terms)
        return finding.fault in self.faults and named


@dataclass(frozen=True)
class Verdict:
    """What careful reading of one log shows."""

    text: str
    must: tuple[Visible, ...] = ()
    may: tuple[Visible, ...] = ()


def _v(text: str, *must: Visible, may: Iterable[Visible] = ()) -> Verdict:
    return Verdict(text, must, tuple(may))


DICE = (
    Visible(("dominance",), ("loss_dice",)),
    Visible(("starvation",), ("loss_mgm_entropy",)),
)
VERDICTS: dict[str, Verdict] = {
    "01": _v("healthy with spikes"),
    "03": _v("healthy, mel dominates by design"),
    "04": _v("healthy overfit test, late-growing terms"),
    "05": _v("healthy, long plateau"),
    "06": _v("healthy, two runs appended"),
    "08": _v(
        "dice stuck for two runs and dominant, mgm_entropy starved",
        *DICE,
        Visible(("stuck",), ("loss_dice",)),
        may=[Visible(("jump",))],
    ),
    "09": _v(
        "as 08",
        *DICE,
        Visible(("stuck",), ("loss_dice",)),
        may=[Visible(("jump",))],
    ),
    "10": _v("one run of 08", *DICE, may=[Visible(("stuck",), ("loss_dice",))]),
    "11": _v(
        "healthy, but dynamics is 99.99% of the loss after epoch 1000",
        may=[
            Visible(("dominance", "stuck"), ("dynamics",)),
            Visible(("starvation",), ("initial",)),
        ],
    ),
    "12": _v(
        "explosion at epoch 554, settles at a worse level",
        Visible(("explosion", "jump"), ("Copper", "port1", "mean_loss")),
        may=[
            Visible(("explosion", "jump", "dominance", "conflict")),
        ],
    ),
    "13": _v(
        "port terms dominate, dielectric starved",
        Visible(("dominance",), ("port",)),
        Visible(("starvation", "dominance"), ("dielectric", "port")),
    ),
    "14": _v(
        "codebook collapse behind a falling total",
        Visible(("collapse",), ("code_perplexity", "loss_1")),
        may=[
            Visible(("conflict",), ("loss_1",)),
            Visible(("nonfinite",)),
            Visible(("collapse",)),
        ],
    ),
    "15": _v("healthy, five restarts"),
    "17": _v(
        "box_loss rises while the others fall; theta dominates early",
        Visible(("conflict",), ("box_loss",)),
        may=[Visible(("dominance",), ("theta",))],
    ),
    "18": _v(
        "global_loss stuck at ln 65536, loss_vic starved, lr below its resolution",
        Visible(("stuck", "saturation"), ("global_loss",)),
        Visible(("starvation", "dominance"), ("loss_vic", "global_loss")),
        may=[Visible(("schedule", "record"))],
    ),
    "20": _v(
        "healthy RLHF; unsuper_loss is 0.0 always",
        Visible(("no-effect",), ("unsuper_loss",)),
        may=[Visible(("nonfinite",))],
    ),
    "22": _v("healthy distillation"),
    "23": _v(
        "kl and mmd are not in the total; recon degrades late",
        Visible(("unaccounted", "no-effect"), ("loss_kl", "loss_mmd", "loss_vae")),
        Visible(("explosion", "conflict"), ("loss_recon", "loss_vae")),
        may=[Visible(("explosion", "conflict", "jump"))],
    ),
    "24": _v(
        "kl spike at step 206; two reward functions are always 0",
        Visible(("jump", "explosion"), ("kl", "loss")),
        Visible(("starvation", "no-effect"), ("format",)),
    ),
    "25": _v(
        "critic exploded; sac drowns grpo by 2e4",
        Visible(("explosion", "dominance"), ("critic", "actor", "sac")),
        may=[Visible(("starvation", "dominance", "explosion", "unaccounted"))],
    ),
    "26": _v("healthy PINO"),
    "27": _v("dies in the learning rate scheduler", Visible(("schedule",))),
    "28": _v(
        "icm over 95%; entropy not in the total",
        Visible(("dominance",), ("icm",)),
        may=[Visible(("unaccounted", "no-effect"), ("entropy",))],
    ),
    "29": _v(
        "critic and actor grow without bound",
        Visible(("unbounded", "explosion"), ("critic", "actor")),
        may=[Visible(("unbounded", "explosion"))],
    ),
    "30": _v(
        "total is loss_simple alone; loss_simple flat for 500 epochs",
        Visible(("unaccounted", "no-effect"), ("retrieval", "clip")),
        Visible(("stuck",), ("loss_simple", "loss")),
        may=[Visible(("unaccounted", "no-effect"))],
    ),
    "31": _v("ctc is 98.5% of the total", Visible(("dominance",), ("ctc",))),
    "32": _v("healthy"),
    "33": _v("healthy start-up, crashed starts", may=[Visible(("record",))]),
    "36": _v(
        "dro_sat_loss_log switches on every odd epoch from 11; three terms always 0",
        Visible(("jump",), ("dro_sat_loss_log", "Loss")),
        Visible(("no-effect",), ("sat_dro", "dro_dro", "sat_sat")),
        may=[Visible(("jump", "explosion", "no-effect"))],
    ),
    "37": _v("one unnamed record, mel is 65%"),
    "38": _v("healthy; optimiser switch"),
    "46": _v(
        "grasp never learned at weight 0.001",
        Visible(("starvation", "stuck"), ("grasp",)),
    ),
    "47": _v("discriminator winning: f_adv rises", may=[Visible(("conflict",), ("f_adv",))]),
    "49": _v("healthy, then a plateau"),
    "60": _v("healthy short run"),
    "63": _v("val_loss NaN in the first 73 records", Visible(("nonfinite",), ("loss",))),
}


@dataclass(frozen=True)
class Outcome:
    """How the findings on one log compare with its verdict."""

    name: str
    verdict: Verdict
    diagnosis: Diagnosis | None
    error: str
    seconds: float

    @property
    def alarms(self) -> list[Finding]:
        """Findings of severity warning or error."""
        found = self.diagnosis.findings if self.diagnosis else ()
        return [one for one in found if one.severity is not Severity.NOTE]

    @property
    def missed(self) -> list[Visible]:
        """Visible faults that no warning or error names."""
        return [v for v in self.verdict.must if not any(v.seen_in(f) for f in self.alarms)]

    @property
    def unsupported(self) -> list[Finding]:
        """Warnings and errors without support in the verdict."""
        known = (*self.verdict.must, *self.verdict.may)
        return [f for f in self.alarms if not any(v.seen_in(f) for v in known)]


def examine(path: Path, verdict: Verdict) -> Outcome:
    """Diagnoses one log."""
    begin = time.perf_counter()
    try:
        diagnosis, error = poise.diagnose(path), ""
    except poise.PoiseError as problem:
        diagnosis, error = None, str(problem)
    return Outcome(path.name, verdict, diagnosis, error, time.perf_counter() - begin)


def _cell(findings: Iterable[Finding]) -> str:
    return "\n".join(
        f"{one.severity[0].upper()} {one.rule} ({', '.join(one.terms[:2])})" for one in findings
    )


def _agreement(outcome: Outcome) -> str:
    lines = [f"unreadable: {outcome.error}"] if outcome.error else []
    lines += [f"missed {'/'.join(one.faults)} {one.terms[0]}" for one in outcome.missed]
    lines += [f"unsupported {one.rule} {', '.join(one.terms[:2])}" for one in outcome.unsupported]
    return "\n".join(lines) or "agrees"


def report(outcomes: list[Outcome], *, notes: bool, console: Console) -> None:
    """Prints the table and the counts."""
    table = Table(title="real logs", show_lines=True)
    for head in ("log", "verdict", "findings", "agreement", "s"):
        table.add_column(head, overflow="fold")
    for one in outcomes:
        found = one.diagnosis.findings if one.diagnosis else ()
        shown = found if notes else one.alarms
        table.add_row(
            one.name[:24], one.verdict.text, _cell(shown), _agreement(one), f"{one.seconds:.2f}"
        )
    console.print(table)
    visible = sum(len(one.verdict.must) for one in outcomes)
    missed = sum(len(one.missed) for one in outcomes)
    unsupported = sum(len(one.unsupported) for one in outcomes)
    agree = sum(_agreement(one) == "agrees" for one in outcomes)
    console.print(
        f"{agree} of {len(outcomes)} logs agree; {visible - missed} of {visible} visible faults "
        f"named; {unsupported} unsupported warnings or errors; "
        f"{sum(one.seconds for one in outcomes):.1f} s in all"
    )


def markdown(outcomes: list[Outcome]) -> None:
    """Prints the table as docs/benchmarks.md has it."""
    print("| log | verdict | warnings and errors | agreement |")
    print("|---|---|---|---|")
    for one in outcomes:
        cells = (_cell(one.alarms) or "none", _agreement(one))
        found, agreement = (text.replace("\n", "; ") for text in cells)
        print(f"| {one.name[:2]} | {one.verdict.text} | {found} | {agreement} |")


def main() -> int:
    """Runs the comparison; 1 if anything disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=LOGS)
    parser.add_argument("--notes", action="store_true", help="show findings of severity note too")
    parser.add_argument("--markdown", action="store_true", help="print the table for the docs")
    options = parser.parse_args()
    console = Console(width=150)
    paths = [one for one in sorted(options.directory.glob("*")) if one.name[:2] in VERDICTS]
    if not paths:
        console.print(f"no logs under {options.directory}: give the directory that holds them")
        return SKIPPED
    outcomes = [examine(one, VERDICTS[one.name[:2]]) for one in track(paths, console=console)]
    if options.markdown:
        markdown(outcomes)
    report(outcomes, notes=options.notes, console=console)
    others = [one for one in outcomes if one.name[:2] not in EXPLAINED]
    return int(any(_agreement(one) != "agrees" for one in others))


if __name__ == "__main__":
    raise SystemExit(main())
