"""What a finished training came to: the last evaluation beside what the training did for it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.report.measured import (
    Trend,
    by_term,
    measured,
    ordered,
    probes_of,
    suffixes,
    trend,
)
from poise.report.shares import logged_weight
from poise.run import Ints, Kind, Run, Series, Table

TAIL = 10
"""Training records whose mean stands for the end of a term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTerm:
    """One term at the end of a run.

    Attributes:
        train: Mean of the last ten training records that have it; None if none has.
        evaluated: Its value in the last evaluation; None if that lacks it.
        gradient: Median of its gradient share at the first place that was measured, over the
            probes at which its weight was not 0; None without any.
    """

    train: float | None
    evaluated: float | None
    gradient: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a run.

    Attributes:
        steps: Optimizer steps that were made; None if the run does not tell.
        records: Training records (micro-batches).
        split: The evaluated split that `metrics` and `EndTerm.evaluated` are from; None without.
        terms: By name.
        metrics: The other quantities of the last evaluation by name.
        motion: By module: distance moved in one optimizer step over the norm.
        place: Where gradient shares were measured, in words; empty if they were not.
    """

    steps: int | None
    records: int
    split: str | None
    terms: Mapping[str, EndTerm]
    metrics: Mapping[str, float]
    motion: Mapping[str, Trend]
    place: str


def ending(run: Run) -> Ending:
    """Reads the end of a run off its tables; what was not recorded is None or empty."""
    table = next((one for one in run.tables if one.split != "train" and len(one)), None)
    found = measured(run)
    place = found.places[0] if found is not None and found.places else None
    shares = {} if place is None else _shares(run, place.where)
    return Ending(
        steps=_steps(run, table),
        records=len(run.train) if run.tables else 0,
        split=None if table is None else table.split,
        terms={one: _term(run, table, one, shares.get(one)) for one in ordered(run)},
        metrics={} if table is None else _metrics(table),
        motion={} if found is None else found.motion,
        place="" if place is None else place.words,
    )


def _steps(run: Run, table: Table | None) -> int | None:
    """A record of an evaluation carries the steps made before it."""
    if table is not None:
        return int(table.steps[-1])
    return int(run.train.steps[-1]) + 1 if run.tables and len(run.train) else None


def _term(run: Run, table: Table | None, name: str, share: float | None) -> EndTerm:
    train = run.train.series.get(name)
    return EndTerm(
        train=None if train is None or not len(train) else float(np.mean(train.values[-TAIL:])),
        evaluated=None if table is None else _last(table, table.series.get(name)),
        gradient=share,
    )


def _shares(run: Run, where: str) -> dict[str, float]:
    """Median gradient share of each term at one place while it had a weight.

    A term that starts late has share 0 at every probe before, which says nothing about its part.
    """
    probes = probes_of(run)
    assert probes is not None
    found: dict[str, float] = {}
    for name, one in by_term(probes, Kind.GRADIENT_SHARE, suffixes(run)[where]).items():
        had = _has_weight(run, name, probes.steps_of(one))
        if (middle := trend(one.values[had])) is not None:
            found[name] = middle.median
    return found


def _has_weight(run: Run, name: str, steps: Ints) -> NDArray[np.bool_]:
    """Whether the weight of a term was not 0 at some steps, shape (n,); True where unknown."""
    weight = logged_weight(run.train, name)
    if weight is None:
        told = run.composition.terms if run.composition is not None else ()
        zero = any(one.name == name and one.weight == 0.0 for one in told)
        return np.full(len(steps), not zero)
    # Steps go back where a training was restarted; of two records of a step the later one holds.
    known = run.train.steps_of(weight)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known[order], steps, side="right") - 1
    return weight.values[order][np.maximum(place, 0)] != 0.0


def _metrics(table: Table) -> dict[str, float]:
    kinds = (Kind.STATISTIC, Kind.TOTAL)
    values = ((one.name, _last(table, one)) for one in table.of_kind(*kinds))
    return {name: value for name, value in values if value is not None}


def _last(table: Table, one: Series | None) -> float | None:
    """The value of the last record; None if that record lacks it."""
    if one is None or not len(one) or one.rows[-1] != len(table) - 1:
        return None
    return float(one.values[-1])
