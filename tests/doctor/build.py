"""Runs built in memory, for tests of the doctor: `from tests.doctor.build import make_run`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from poise.doctor.case import Case
from poise.run import (
    Composition,
    Event,
    Floats,
    Ints,
    Kind,
    Run,
    Series,
    Table,
    TermWeight,
)

Columns: TypeAlias = Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike]]
"""Values of every record, or a pair of the records' row numbers and the values there."""


def make_table(
    columns: Mapping[str, tuple[Kind, ArrayLike | tuple[ArrayLike, ArrayLike], str | None]],
    *,
    split: str = "train",
    grain: str = "step",
    steps: ArrayLike | None = None,
    segments: ArrayLike | None = None,
) -> Table:
    """A table from `name: (kind, values, of)`."""
    series: dict[str, Series] = {}
    size = 0 if steps is None else len(np.asarray(steps))
    whole: dict[int, Ints] = {}
    for name, (kind, given, of) in columns.items():
        if isinstance(given, tuple):
            rows, values = np.asarray(given[0], np.int64), np.asarray(given[1], np.float64)
        else:
            values = np.asarray(given, np.float64)
            rows = whole.setdefault(len(values), np.arange(len(values)))
        size = max(size, int(rows[-1]) + 1 if len(rows) else 0)
        series[name] = Series(name=name, kind=kind, rows=rows, values=values, label=name, of=of)
    where = np.arange(size) if steps is None else np.asarray(steps, np.int64)
    parts = np.zeros(size, np.int64) if segments is None else np.asarray(segments, np.int64)
    return Table(
        split=split, grain=grain, steps=where, step_name="step", segments=parts, series=series
    )


def compose(
    table: Table, total: str, weights: Mapping[str, float], *, tolerance: float, source: str
) -> Composition:
    """How `total` is made of terms, with residual and remainder measured plainly."""
    names = list(weights)
    _, values = table.aligned([total, *names])
    values = values[np.isfinite(values).all(axis=1)]
    left = values[:, 0] - values[:, 1:] @ np.array([weights[name] for name in names])
    unit = float(np.median(np.abs(values[:, 0]))) if len(values) else float("nan")
    known = np.isfinite(unit) and unit > 0
    residual = float(np.median(np.abs(left))) / unit if known else float("nan")
    return Composition(
        total=total,
        terms=tuple(TermWeight(name=name, weight=weights[name], source=source) for name in names),
        residual=residual,
        tolerance=tolerance,
        exact=bool(residual <= tolerance),
        remainder=float(np.median(left)) if known else float("nan"),
        records=len(values),
        why=f"{source} for a test",
    )


def _weighted_sum(terms: Columns, weights: Mapping[str, float]) -> Floats:
    values = {
        name: given[1] if isinstance(given, tuple) else given for name, given in terms.items()
    }
    return np.sum([np.asarray(values[name]) * weights[name] for name in terms], axis=0)


def make_run(
    terms: Columns,
    *,
    total: ArrayLike | str | None = "sum",
    weights: Mapping[str, float] | None = None,
    weight_history: Columns | None = None,
    lr: ArrayLike | None = None,
    grad_norm: ArrayLike | None = None,
    loss_scale: ArrayLike | None = None,
    evals: Columns | None = None,
    eval_steps: ArrayLike | None = None,
    statistics: Columns | None = None,
    eval_statistics: Columns | None = None,
    counts: Columns | None = None,
    events: Sequence[Event] = (),
    steps: ArrayLike | None = None,
    segments: ArrayLike | None = None,
    grain: str = "step",
    declared: Mapping[str, object] | None = None,
    remarks: Sequence[str] = (),
    tolerance: float = 1e-6,
    source: str = "fitted",
    total_name: str = "loss",
    format: str = "test",
) -> Run:
    """A run with one training table and, if `evals` is given, one table of the split `val`.

    Args:
        terms: Training terms by name: values of all records, or (rows, values).
        total: `"sum"` for the weighted sum, an array, or None for a log without a total.
        weights: Weight of each term in the total; 1 where it is not given.
        weight_history: Logged weights, by the term they belong to.
        lr: Learning rates.
        grad_norm: Gradient norms.
        loss_scale: Factors of mixed precision.
        evals: Evaluation values by name; the name of the total makes it the evaluation total.
        eval_steps: Steps of the evaluations; evenly spread over the training by default.
        statistics: Anything else in the training table.
        eval_statistics: Anything else in the evaluation table.
        counts: Counts by name.
        events: Events.
        steps: Step of every training record; 0, 1, ... by default.
        segments: (Re)start number of every training record; all 0 by default.
        grain: Granularity of both tables.
        declared: What the run declares.
        remarks: What the reader remarks.
        tolerance: Tolerance of the composition.
        source: Where the weights come from: `fitted` or `declared`.
        total_name: Name of the total.
        format: Format of the run.
    """
    factors = dict.fromkeys(terms, 1.0) | dict(weights or {})
    columns: dict[str, tuple[Kind, ArrayLike | tuple[ArrayLike, ArrayLike], str | None]] = {}
    if isinstance(total, str):
        columns[total_name] = (Kind.TOTAL, _weighted_sum(terms, factors), None)
    elif total is not None:
        columns[total_name] = (Kind.TOTAL, total, None)
    columns |= {name: (Kind.TERM, given, None) for name, given in terms.items()}
    histories = weight_history or {}
    columns |= {f"{name}_weight": (Kind.WEIGHT, given, name) for name, given in histories.items()}
    singles = {
        "lr": (Kind.LEARNING_RATE, lr),
        "grad_norm": (Kind.GRAD_NORM, grad_norm),
        "loss_scale": (Kind.LOSS_SCALE, loss_scale),
    }
    columns |= {k: (kind, v, None) for k, (kind, v) in singles.items() if v is not None}
    columns |= {name: (Kind.STATISTIC, v, None) for name, v in (statistics or {}).items()}
    columns |= {name: (Kind.COUNT, v, None) for name, v in (counts or {}).items()}
    train = make_table(columns, grain=grain, steps=steps, segments=segments)
    tables = [train]
    if evals is not None or eval_statistics is not None:
        tables.append(
            _eval_table(train, evals or {}, eval_statistics or {}, eval_steps, total_name)
        )
    compositions = ()
    if total is not None and terms:
        found = compose(train, total_name, factors, tolerance=tolerance, source=source)
        compositions = (found,)
    return Run(
        path=Path("log"),
        format=format,
        tables=tuple(tables),
        events=tuple(events),
        compositions=compositions,
        declared=dict(declared or {}),
        remarks=tuple(remarks),
    )


def _eval_table(
    train: Table,
    evals: Columns,
    statistics: Columns,
    eval_steps: ArrayLike | None,
    total_name: str,
) -> Table:
    kinds = {name: Kind.TOTAL if name == total_name else Kind.TERM for name in evals}
    columns = {name: (kinds[name], given, None) for name, given in evals.items()}
    columns |= {name: (Kind.STATISTIC, given, None) for name, given in statistics.items()}
    table = make_table(columns, split="val", steps=eval_steps, grain=train.grain)
    if eval_steps is not None or not len(table):
        return table
    ends = np.linspace(0, len(train) - 1, len(table) + 1)[1:].astype(np.int64)
    return make_table(columns, split="val", steps=train.steps[ends], grain=train.grain)


def make_case(terms: Columns, **given: object) -> Case:
    """The case of `make_run`."""
    return Case(make_run(terms, **given))  # type: ignore[arg-type]  # passed on as they are
