"""Fabricated runs and diagnoses for the tests of the report."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from poise.doctor.diagnosis import Diagnosis, NotChecked
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.run import Composition, Event, Floats, Kind, Run, Series, Table, TermWeight

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "[red]markup[/red] :smile: {{ 7*7 }}",
    "\x1b[31mred\x1b[0m\r\nnew\x00line",
    "right\u202eto left \u05d0\u05d1\u05d2",
    "emoji \U0001f600 \u2028 quotes ' \" ` & &amp;",
    "long_" * 60,
    "",
)


def series(name: str, values: Floats, kind: Kind = Kind.TERM, every: int = 1) -> Series:
    """A series logged in every `every`-th record."""
    rows = np.arange(len(values), dtype=np.int64) * every
    return Series(name=name, kind=kind, rows=rows, values=values, label=name)


def table(
    columns: Mapping[str, tuple[Kind, Floats]],
    *,
    split: str = "train",
    steps: np.ndarray | None = None,
    segments: np.ndarray | None = None,
    step_name: str = "step",
    grain: str = "step",
) -> Table:
    """A table whose series are all logged in every record."""
    size = len(next(iter(columns.values()))[1])
    rows = np.arange(size, dtype=np.int64)
    return Table(
        split=split,
        grain=grain,
        steps=rows * 10 if steps is None else steps,
        step_name=step_name,
        segments=np.zeros(size, dtype=np.int64) if segments is None else segments,
        series={
            name: Series(name=name, kind=kind, rows=rows, values=values, label=name)
            for name, (kind, values) in columns.items()
        },
    )


def sick_run() -> Run:
    """Three terms, a jump with a NaN, a learning rate, an evaluation, one restart."""
    size = 600
    x = np.arange(size)
    noise = np.random.default_rng(7).normal(size=(4, size))
    quality = 2.0 * np.exp(-x / 150) + 0.2 + 0.02 * noise[0]
    physics = 1e-3 * np.exp(-x / 300) * (1 + 0.1 * noise[1])
    physics[400:] *= 3000
    kinetic = 0.7 + 0.005 * noise[2]
    kinetic[520:526] = np.nan
    # Rounded, so that no platform's exponential shows in the golden files.
    quality, physics, kinetic = (np.round(one, 7) for one in (quality, physics, kinetic))
    total = quality + 5 * physics + 0.01 * kinetic
    steps = np.concatenate((np.arange(300) * 10, 2500 + np.arange(300) * 10))
    train = table(
        {
            "loss": (Kind.TOTAL, total),
            "quality": (Kind.TERM, quality),
            "physics": (Kind.TERM, physics),
            "kinetic": (Kind.TERM, kinetic),
            "lr": (Kind.LEARNING_RATE, np.round(np.minimum(x / 100, 1.0) * 3e-4, 7)),
            "gnorm": (Kind.GRAD_NORM, np.round(np.abs(1.5 + noise[3]) + 40 * (x == 400), 7)),
            "accuracy": (Kind.STATISTIC, np.round(1 - np.exp(-x / 200), 7)),
            "perplexity": (Kind.STATISTIC, np.round(300 * np.exp(-x / 100) + 2, 7)),
        },
        steps=steps,
        segments=(x >= 300).astype(np.int64),
    )
    few = np.arange(0, size, 50)
    val = table(
        {
            "loss": (Kind.TOTAL, np.nan_to_num(total[few]) * 1.1),
            "quality": (Kind.TERM, quality[few] * 1.2),
            "physics": (Kind.TERM, physics[few]),
            "accuracy": (Kind.STATISTIC, np.round(0.9 - 0.9 * np.exp(-few / 200), 7)),
        },
        split="val",
        steps=steps[few],
        segments=(few >= 300).astype(np.int64),
    )
    composition = Composition(
        total="loss",
        terms=(
            TermWeight(name="quality", weight=1.0, source="fitted"),
            TermWeight(name="physics", weight=5.0, source="fitted"),
            TermWeight(name="kinetic", weight=0.01, source="fitted"),
        ),
        residual=1.2e-7,
        tolerance=5e-7,
        exact=True,
        remainder=1e-8,
        records=594,
        why="Fitted by least squares on the records that mention the total and all terms.",
    )
    return Run(
        path=Path("runs/pendulum/metrics.csv"),
        format="csv",
        tables=(train, val),
        events=(
            Event(name="restart", step=2500, text="resumed from checkpoint 2500"),
            Event(name="overflow", step=4720, text="gradient overflow, scale 1024"),
        ),
        compositions=(composition,),
        remarks=("12 bytes at the end are an unfinished line and were left out.",),
    )


def finding(rule: str = "term-jump", **changes: object) -> Finding:
    """A complete warning about a jump of `physics`."""
    fields: dict[str, object] = {
        "rule": rule,
        "fault": Fault.JUMP,
        "severity": Severity.WARNING,
        "terms": ("physics",),
        "steps": (3500, 3510),
        "summary": "physics jumps from 0.00026 to 0.79 within one record, 3,000 times its noise.",
        "evidence": (
            Evidence(
                text="median of the 50 records before 0.000264, after 0.791",
                series="physics",
                steps=(3000, 4000),
                value=2996.0,
                threshold=8.0,
            ),
            Evidence(
                text="loss rises by 3.94 at the same step, quality by 0.01",
                series="loss",
                steps=(3500, 3510),
                value=3.94,
            ),
        ),
        "cause": "A weight or a unit of physics changed at this step; a planned stage would look "
        "the same.",
        "action": "Look up what the configuration changes at step 3500.",
        "verify": "poise compare runs/pendulum/metrics.csv runs/pendulum-constant/metrics.csv",
    }
    return Finding(**(fields | changes))  # pyright: ignore[reportArgumentType]


def sick() -> Diagnosis:
    """One cause with two symptoms, one independent error, one note."""
    return Diagnosis(
        run=sick_run(),
        findings=(
            finding(
                "first-nonfinite",
                fault=Fault.NONFINITE,
                severity=Severity.ERROR,
                terms=("kinetic",),
                steps=(4700, 4750),
                summary="kinetic is NaN in 6 records from step 4700 on, before any other term.",
                evidence=(
                    Evidence(
                        text="kinetic: 6 of 600 records are NaN, all others are finite",
                        series="kinetic",
                        steps=(4700, 4750),
                        value=float("nan"),
                    ),
                ),
                cause="An operation inside kinetic leaves its domain, e.g. a logarithm of zero.",
                action="Check the arguments of log, sqrt and division in kinetic.",
                verify="with torch.autograd.detect_anomaly():\n    train(steps=10, start=4690)",
            ),
            finding(),
            finding(
                "explosion",
                fault=Fault.EXPLOSION,
                terms=("loss",),
                steps=(3500, 5490),
                summary="loss stays 12 times above its earlier level from step 3500 on.",
                caused_by=("term-jump",),
            ),
            finding(
                "value-dominance",
                fault=Fault.DOMINANCE,
                severity=Severity.NOTE,
                terms=("physics", "quality"),
                steps=(3500, 5490),
                summary="physics has 93% of the weighted value; gradient unknown: attach "
                "poise.Watch to see it.",
                caused_by=("explosion",),
            ),
            finding(
                "restart",
                fault=Fault.RECORD,
                severity=Severity.NOTE,
                terms=(),
                steps=(2500, 2500),
                summary="The training was restarted once; steps 2500 to 2990 were done twice.",
                action="Nothing, if the restart was meant.",
            ),
        ),
        not_checked=(
            NotChecked(rule="token-scale", needs=("token counts or lengths beside the losses",)),
            NotChecked(rule="warmup-shape", needs=("logged term weights",)),
            NotChecked(rule="weights-constant", needs=("logged term weights",)),
        ),
        passed=("lr-zero", "stuck-ln-k", "unaccounted", "eval-identical"),
    )


def healthy() -> Diagnosis:
    """The same run without findings."""
    return Diagnosis(run=sick_run(), findings=(), not_checked=(), passed=("lr-zero", "jump"))


def hostile() -> Diagnosis:
    """Names and texts made to break out of wherever they are shown."""
    values = np.linspace(2.0, 1.0, 40)
    names = [*HOSTILE, *(f"{one}{index}" for index, one in enumerate(HOSTILE))]
    run = Run(
        path=Path("runs/<b>bold</b>/\x1b[2Jlog.txt"),
        format="text",
        tables=(table({one: (Kind.TERM, values * (k + 1)) for k, one in enumerate(names)}),),
        events=(Event(name="crash", step=200, text="\x1b]0;owned\x07 <script>alert(1)</script>"),),
        remarks=("name </script> seen",),
    )
    return Diagnosis(
        run=run,
        findings=tuple(
            finding(
                f"rule-{index}",
                terms=(one,),
                steps=(100, 200),
                summary=f"{one} is bad",
                evidence=(Evidence(text=f"{one}!", series=one, steps=(0, 1), value=1.0),),
                verify=f"echo {one}",
            )
            for index, one in enumerate(HOSTILE)
        ),
        not_checked=(),
        passed=(),
    )
