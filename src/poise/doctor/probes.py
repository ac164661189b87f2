"""What rules ask of the probes of a watched run: shares, norms, cosines, motion, reach."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from poise.doctor.case import Case
from poise.doctor.hints import role_of
from poise.doctor.series import named, steps_between, weight_history
from poise.run import Floats, Ints, Kind, Series, Table

WINDOW = 10
"""Probes of one window: medians over it decide, because one batch proves nothing."""
ENOUGH = 2
"""Probes below which a share is told as a note: a single batch may be odd."""
STILL = 0.05
"""A term that lost less than this of its start hardly moves."""
MOVED = 0.3
"""A term that lost this part of its start shows that the training works."""
HALVED = 0.5
"""A term that lost half of its starting value has been learned, whatever its share."""
LAG = 1 / 3
"""A term whose log-improvement is below this part of the others' median is left behind."""
STEADY = 0.1
"""Relative change of a weight within one window up to which it is steady."""

Column = tuple[Ints, Floats]
"""Steps and values of one quantity at the probes that measured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Measurements of several terms at one place.

    Attributes:
        where: `shared`, `edge` or `fork:<name>`.
        names: The terms, k of them.
        steps: Optimizer step of each probe, shape (n,).
        values: What was measured, shape (n, k).
    """

    where: str
    names: tuple[str, ...]
    steps: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def span(self) -> tuple[int, int]:
        """First and last step."""
        return steps_between(self.steps)

    def of(self, name: str) -> Floats:
        """The values of one term, shape (n,)."""
        return self.values[:, self.names.index(name)]

    def median(self, name: str) -> float:
        """Median over all probes."""
        return float(np.median(self.of(name)))


def mapping(value: object) -> Mapping[str, object]:
    """What a run declares as a mapping; empty for anything else.

    Example:
        >>> mapping({"a": 1}), mapping(None)
        ({'a': 1}, {})
    """
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def listing(value: object) -> Sequence[object]:
    """What a run declares as a list; empty for anything else."""
    return cast(Sequence[object], value) if _listed(value) else ()


def _listed(value: object) -> bool:
    return isinstance(value, (list, tuple))


def probe_table(case: Case) -> Table | None:
    """The table of probes; None for a run without."""
    found = (one for one in case.run.tables if one.grain == "probe")
    return next(found, None)


def windows(count: int) -> list[slice]:
    """Windows of 10 probes; what is left at the end joins the last one, fewer are one window.

    Example:
        >>> windows(23), windows(4), windows(0)
        ([slice(0, 10, None), slice(10, 23, None)], [slice(0, 4, None)], [])
    """
    if not count:
        return []
    starts = list(range(0, max(1, count - WINDOW + 1), WINDOW))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], count], strict=True)]


def in_windows(values: Floats) -> Floats:
    """Median of each window, shape (w,), of one quantity, shape (n,)."""
    return np.array([np.median(values[one]) for one in windows(len(values))])


def places(case: Case, kind: Kind) -> tuple[Place, ...]:
    """What probes measured of each term at each place, all shared parameters first, edges last.

    A term without a value at a probe has 0 there: it had no gradient.
    """
    table = probe_table(case)
    if table is None:
        return ()
    told = listing(case.run.declared.get("probe_where"))
    wheres = [str(one) for one in told] or ["shared"]
    found = [
        _place(table, kind, where, f"@{where}" if at else "") for at, where in enumerate(wheres)
    ]
    order = {"shared": 0, "edge": 2}
    return tuple(
        sorted((one for one in found if len(one)), key=lambda one: order.get(one.where, 1))
    )


def _place(table: Table, kind: Kind, where: str, suffix: str) -> Place:
    columns = [
        one
        for one in table.of_kind(kind)
        if one.of is not None and one.name == f"{kind.value}/{one.of}{suffix}"
    ]
    rows = np.unique(np.concatenate([one.rows for one in columns])) if columns else np.arange(0)
    values = np.zeros((len(rows), len(columns)))
    for k, one in enumerate(columns):
        values[np.searchsorted(rows, one.rows), k] = one.values
    good = np.isfinite(values).all(axis=1)
    return Place(
        where=where,
        names=tuple(one.of or "" for one in columns),
        steps=table.steps[rows][good],
        values=values[good],
    )


def shares(case: Case) -> Place | None:
    """Gradient shares where they say most: at all shared parameters, else a fork, else an edge."""
    return next((one for one in places(case, Kind.GRADIENT_SHARE) if len(one.names) > 1), None)


def balanced(case: Case) -> Place | None:
    """Gradient shares at the fork where a balancer weighs the terms; None without one."""
    there = {one.where for one in places(case, Kind.FORK_WEIGHT)}
    found = (one for one in places(case, Kind.GRADIENT_SHARE) if one.where in there)
    return next((one for one in found if len(one.names) > 1), None)


def norms(case: Case) -> Place | None:
    """Norms of the weighted gradients, at the place that `shares` takes."""
    return next((one for one in places(case, Kind.GRADIENT_NORM_OF_TERM) if one.names), None)


def moved(case: Case) -> Mapping[str, Column]:
    """Relative motion of each module in the steps that were measured, by name."""
    table = probe_table(case)
    if table is None:
        return {}
    found = (one for one in table.of_kind(Kind.MOTION) if not one.name.startswith("motion/group/"))
    return {one.name.removeprefix("motion/"): (table.steps_of(one), one.values) for one in found}


def reach(case: Case) -> Mapping[str, tuple[str, ...]]:
    """Names of the parameters that each term reaches; empty for a run that did not record it."""
    told = mapping(case.run.declared.get("reach"))
    return {name: tuple(map(str, listing(one))) for name, one in told.items() if _listed(one)}


def hidden(case: Case) -> bool:
    """True if parameters may hide from the reach map: inside a reentrant checkpoint.

    Compiled regions are in `opaque` too, but they connect too much, not too little.
    """
    return any("Checkpoint" in str(one) for one in listing(case.run.declared.get("opaque")))


def shared_modules(case: Case, term: str) -> tuple[str, ...]:
    """Modules in which a term shares parameters with another term."""
    reached = reach(case)
    others = {name for key, names in reached.items() if key != term for name in names}
    both = (name for name in reached.get(term, ()) if name in others)
    return tuple(dict.fromkeys(name.rpartition(".")[0] or name for name in both))


def at(case: Case, place: Place, term: str) -> str:
    """Where something was measured, in words.

    Example: `at the shared parameters ('lstm')`.
    """
    if place.where.startswith("fork:"):
        return f"at the fork '{place.where[5:]}'"
    if place.where == "edge":
        return "at the last tensor that all terms share"
    modules = shared_modules(case, term)
    return "at the shared parameters" + (f" ({named(modules)})" if modules else "")


def optimizers(case: Case) -> tuple[str, ...]:
    """Class names of the optimizers; empty if the run does not tell."""
    told = map(mapping, listing(case.run.declared.get("optimizers")))
    return tuple(str(one["class"]) for one in told if "class" in one)


def scale_free(case: Case) -> bool:
    """True if every optimizer is of the Adam family, which undoes a constant factor."""
    known = optimizers(case)
    return bool(known) and all("adam" in one.lower() for one in known)


def weights_of(case: Case, term: str) -> Floats:
    """The weights a term had, one a record where they are logged; empty if nothing is known."""
    logged = weight_history(case.train, term)
    if logged is not None:
        return logged.values
    weight = case.weight(term)
    return np.empty(0) if weight is None else np.array([weight])


def weight_at(case: Case, term: str, steps: Ints) -> Floats:
    """Weight of a term at some steps, shape (n,); 1 where nothing is known."""
    logged = weight_history(case.train, term)
    if logged is None:
        weight = case.weight(term)
        return np.full(len(steps), 1.0 if weight is None else weight)
    known = case.train.steps_of(logged)
    order = np.argsort(known, kind="stable")  # after a restart steps go back: the latest holds
    where = np.clip(np.searchsorted(known[order], steps, side="right") - 1, 0, None)
    return logged.values[order][where]


def acting_weight_at(case: Case, term: str, steps: Ints) -> Floats:
    """What a term's gradient is multiplied with at some steps: its weight times a balancer's."""
    weight = weight_at(case, term, steps)
    forks = (one for one in places(case, Kind.FORK_WEIGHT) if term in one.names)
    found = next(forks, None)
    if found is None:
        return weight
    where = np.clip(np.searchsorted(found.steps, steps, side="right") - 1, 0, None)
    return weight * found.of(term)[where]


def judged(case: Case, term: str) -> bool:
    """True for a task, by its declared role or else its name, whose weight is not always zero."""
    weights = weights_of(case, term)
    return role_of(case, term) == "task" and (not len(weights) or bool(np.any(weights != 0)))


def fallen(case: Case, term: str) -> float | None:
    """Share of its start that a term has lost; None where that says nothing or is not known yet."""
    trace = case.stretches[0].traces.get(term)
    if trace is None or len(trace) < 2 * WINDOW or not np.isfinite(trace.fall):
        return None
    return trace.fall


def level(case: Case, term: str) -> tuple[float, float]:
    """Level of a term at its start and its end; NaN if it was never finite."""
    trace = case.stretches[0].traces.get(term)
    return (float("nan"), float("nan")) if trace is None else (trace.start, trace.end)


def movers(case: Case, besides: str) -> Iterator[str]:
    """Other tasks that lost at least 30% of their start."""
    for one in case.terms:
        lost = fallen(case, one.name)
        if one.name != besides and lost is not None and lost > MOVED and judged(case, one.name):
            yield one.name


def held_back(case: Case, term: str) -> bool:
    """True if a task hardly moves while another one does."""
    lost = fallen(case, term)
    return lost is not None and lost < STILL and any(True for _ in movers(case, term))


def lags(case: Case, term: str) -> bool:
    """True if a task has not halved and fell far less than the other tasks, in the logarithm."""
    lost = fallen(case, term)
    paces = [-np.log(max(1 - (fallen(case, one) or 0.0), 1e-12)) for one in movers(case, term)]
    if lost is None or lost >= HALVED or not paces:
        return False
    return bool(-np.log(1 - lost) < LAG * np.median(paces))


def series_at(case: Case, kind: Kind) -> tuple[Series, ...]:
    """All probe series of a kind."""
    table = probe_table(case)
    return () if table is None else tuple(table.of_kind(kind))
