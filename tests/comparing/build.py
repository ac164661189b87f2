"""Small runs with known values."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from poise.comparing.course import Course
from poise.doctor.diagnosis import Diagnosis
from poise.run import Composition, Floats, Kind, Run, Series, Table, TermWeight


def table(
    columns: Mapping[str, Floats], *, kinds: Mapping[str, Kind] | None = None, split: str = "train"
) -> Table:
    """A table whose steps count from 0; columns are terms unless said otherwise."""
    size = len(next(iter(columns.values())))
    rows = np.arange(size)
    told = kinds or {}
    series = {
        name: Series(
            name=name,
            kind=told.get(name, Kind.TERM),
            rows=rows,
            values=np.asarray(values, dtype=np.float64),
        )
        for name, values in columns.items()
    }
    return Table(
        split=split,
        grain="step",
        steps=rows,
        step_name="step",
        segments=np.zeros(size, dtype=np.int64),
        series=series,
    )


def run(*tables: Table, weights: Mapping[str, float] | None = None) -> Run:
    """A run of these tables, with declared weights if any are given."""
    terms = tuple(
        TermWeight(name=name, weight=one, source="declared")
        for name, one in (weights or {}).items()
    )
    made = Composition(
        total="total", terms=terms, residual=0.0, tolerance=0.0, exact=True, remainder=0.0,
        records=10, why="declared",
    )  # fmt: skip
    return Run(
        path=Path("made"), format="csv", tables=tables, compositions=(made,) if weights else ()
    )


def plain(*tables: Table, weights: Mapping[str, float] | None = None) -> Diagnosis:
    """A diagnosis without findings."""
    return Diagnosis(run=run(*tables, weights=weights), findings=(), not_checked=(), passed=())


def course(values: Floats, *, updates: bool = True) -> Course:
    """A course that starts at step 0."""
    steps = np.arange(len(values))
    return Course(
        at=steps.astype(float), values=np.asarray(values, dtype=float), steps=steps, updates=updates
    )


def noisy(level: Floats | float, seed: int, *, size: int = 200, scatter: float = 0.01) -> Floats:
    """A level with independent noise, shape (size,)."""
    return level + scatter * np.random.default_rng(seed).normal(size=size)


def falling(start: float, end: float, *, size: int = 200, pace: float = 20.0) -> Floats:
    """An exponential fall, shape (size,)."""
    return end + (start - end) * np.exp(-np.arange(size) / pace)
