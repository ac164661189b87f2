"""What probes measured of every term, beside its weight and its value: plain numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np

from poise.report.shares import logged_weight, value_shares
from poise.run import Floats, Ints, Kind, Run, Series, Table

PROBE = "probe"
"""Grain of the table of probes."""
BINS = 400
"""Stretches of records over which value shares are taken before their median."""
QUARTERS = 4
"""First and last are medians over the first and the last quarter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One quantity over a run, of its finite values.

    Attributes:
        median: Over all values.
        first: Median of the first quarter of the values, at least one.
        last: Median of the last quarter.
        count: How many values.
    """

    median: float
    first: float
    last: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What was measured at one place, each by term.

    Attributes:
        where: `shared`, `edge` or `fork:<name>`.
        words: The place in words.
        probes: How many probes measured gradients here.
        steps: First and last step of these.
        seconds: What a probe took here, in seconds.
        gradient: Gradient shares.
        direction: Direction shares.
        update: Update shares.
        cosine: Cosine between a term's weighted gradient and the sum of the other terms'.
    """

    where: str
    words: str
    probes: int
    steps: tuple[int, int]
    seconds: Trend | None
    gradient: Mapping[str, Trend]
    direction: Mapping[str, Trend]
    update: Mapping[str, Trend]
    cosine: Mapping[str, Trend]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements of a run that was probed.

    Attributes:
        terms: All terms: as the record declares them, then in log order.
        weight: Weights in the total, by term.
        value: Values, by term, in the units of the log.
        share: Value shares, by term.
        places: The place that says most first: shared parameters, a fork, an edge.
        response: Change on the same batch by one optimizer step, by term, in units of the term.
        motion: By module: distance moved in one optimizer step over the norm.
    """

    terms: tuple[str, ...]
    weight: Mapping[str, Trend]
    value: Mapping[str, Trend]
    share: Mapping[str, Trend]
    places: tuple[Place, ...]
    response: Mapping[str, Trend]
    motion: Mapping[str, Trend]


def trend(values: Floats) -> Trend | None:
    """Median, start and end of the finite values, shape (n,); None without any.

    Example:
        >>> trend(np.array([4.0, 1.0, np.nan, 1.0, 2.0]))
        Trend(median=1.5, first=4.0, last=2.0, count=4)
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    quarter = max(values.size // QUARTERS, 1)
    with np.errstate(over="ignore"):
        return Trend(
            median=float(np.median(values)),
            first=float(np.median(values[:quarter])),
            last=float(np.median(values[-quarter:])),
            count=int(values.size),
        )


def ordered(run: Run) -> tuple[str, ...]:
    """All terms: those the record declares in its order, then the others in log order."""
    told = run.declared.get("terms")
    names = cast("Sequence[object]", told) if isinstance(told, (list, tuple)) else ()
    known = set(run.terms)
    declared = (one for one in names if isinstance(one, str) and one in known)
    return tuple(dict.fromkeys((*declared, *run.terms)))


def probes_of(run: Run) -> Table | None:
    """The table of probes; None for a run without."""
    return next((one for one in run.tables if one.grain == PROBE and len(one)), None)


def suffixes(run: Run) -> dict[str, str]:
    """Every place where probes measured, with what its columns end in; what says most first."""
    told = run.declared.get("probe_where")
    names = cast("Sequence[object]", told) if isinstance(told, (list, tuple)) else ()
    wheres = [str(one) for one in names] or ["shared"]
    found = {one: f"@{one}" if at else "" for at, one in enumerate(wheres)}
    order = {"shared": 0, "edge": 2}
    return dict(sorted(found.items(), key=lambda one: order.get(one[0], 1)))


def place_words(run: Run, where: str) -> str:
    """A place in words, the shared modules named where the run knows them."""
    if where.startswith("fork:"):
        return f"at the fork '{where[5:]}'"
    if where == "edge":
        return "at the last tensor that all terms share"
    modules = _shared_modules(run)
    more = f" and {len(modules) - 3} more" if len(modules) > 3 else ""
    named = ", ".join(f"'{one}'" for one in modules[:3])
    return "at the shared parameters" + (f" ({named}{more})" if modules else "")


def by_term(table: Table, kind: Kind, suffix: str = "") -> dict[str, Series]:
    """The series of a kind at one place, by term, in log order."""
    return {
        one.of: one
        for one in table.of_kind(kind)
        if one.of is not None and one.name == f"{kind.value}/{one.of}{suffix}"
    }


def pairs(table: Table, terms: Sequence[str], suffix: str) -> Iterator[tuple[str, str, Series]]:
    """The cosines at one place: both terms and the series."""
    for first, second in combinations(terms, 2):
        for a, b in ((first, second), (second, first)):
            one = table.series.get(f"cosine/{a}/{b}{suffix}")
            if one is not None and one.kind is Kind.COSINE and one.of == a:
                yield first, second, one
                break


def motions(table: Table) -> dict[str, Series]:
    """Motion by module, without that of whole parameter groups."""
    named = ((one.name.removeprefix("motion/"), one) for one in table.of_kind(Kind.MOTION))
    return {name: one for name, one in named if not name.startswith("group/")}


def measured(run: Run) -> Measured | None:
    """All that probes measured; None if they measured nothing of terms or modules."""
    table = probes_of(run)
    if table is None:
        return None
    terms = ordered(run)
    found = (_place(run, table, terms, *one) for one in suffixes(run).items())
    places = tuple(one for one in found if one is not None)
    motion = _trends(motions(table))
    if not places and not motion:
        return None
    values = {one.name: one for one in run.train.of_kind(Kind.TERM)}
    return Measured(
        terms=terms,
        weight=_weights(run),
        value=_trends(values),
        share=share_trends(run, run.train),
        # Several terms at one place say more than one term alone.
        places=tuple(sorted(places, key=lambda one: len(one.gradient) < 2)),
        response=_trends(by_term(table, Kind.RESPONSE)),
        motion=motion,
    )


def share_trends(run: Run, table: Table) -> dict[str, Trend]:
    """Value share of every term over a table; empty with fewer than two terms."""
    found = value_shares(table, run.composition, BINS)
    if found is None:
        return {}
    edges = np.append(found.rows, len(table))
    trends: dict[str, Trend] = {}
    for name, values in zip(found.names, found.values.T, strict=True):
        # A stretch in which a term is not logged says nothing about its share.
        logged = np.diff(np.searchsorted(table.series[name].rows, edges)) > 0
        if (one := trend(values[logged])) is not None:
            trends[name] = one
    return trends


def _place(run: Run, table: Table, terms: tuple[str, ...], where: str, suffix: str) -> Place | None:
    gradient = by_term(table, Kind.GRADIENT_SHARE, suffix)
    if not gradient:
        return None
    rows = _rows(gradient)
    seconds = table.series.get(f"seconds{suffix}")
    return Place(
        where=where,
        words=place_words(run, where),
        probes=len(rows),
        steps=(int(table.steps[rows].min()), int(table.steps[rows].max())),
        seconds=None if seconds is None else trend(seconds.values),
        gradient=_trends(gradient),
        direction=_trends(by_term(table, Kind.DIRECTION_SHARE, suffix)),
        update=_trends(by_term(table, Kind.UPDATE_SHARE, suffix)),
        cosine=_to_the_rest(table, [one for one in terms if one in gradient], suffix),
    )


def _to_the_rest(table: Table, terms: list[str], suffix: str) -> dict[str, Trend]:
    """Cosine of each term's gradient to the sum of the others', from norms and cosines of pairs."""
    norms = by_term(table, Kind.GRADIENT_NORM_OF_TERM, suffix)
    terms = [one for one in terms if one in norms]
    if len(terms) < 2:
        return {}
    rows = _rows({one: norms[one] for one in terms})
    size = len(terms)
    lengths = np.column_stack([_filled(norms[one], rows, 0.0) for one in terms])
    cosines = np.full((len(rows), size, size), np.nan)
    cosines[:, range(size), range(size)] = 1.0
    for first, second, one in pairs(table, terms, suffix):
        i, j = terms.index(first), terms.index(second)
        cosines[:, i, j] = cosines[:, j, i] = _filled(one, rows, np.nan)
    with np.errstate(all="ignore"):
        products = lengths[:, :, None] * lengths[:, None, :]
        inner = np.where(products == 0.0, 0.0, products * cosines)
        sums, own = inner.sum(axis=2), lengths**2
        rest = inner.sum(axis=(1, 2))[:, None] - 2.0 * sums + own
        found = ((sums - own) / (lengths * np.sqrt(rest))).clip(-1.0, 1.0)
    both = zip(terms, found.T, strict=True)
    return {name: one for name, values in both if (one := trend(values))}


def _filled(one: Series, rows: Ints, otherwise: float) -> Floats:
    """Values at some records, shape (len(rows),); `otherwise` where the series has none."""
    out = np.full(len(rows), otherwise)
    _, here, there = np.intersect1d(rows, one.rows, assume_unique=True, return_indices=True)
    out[here] = one.values[there]
    return out


def _rows(columns: Mapping[str, Series]) -> Ints:
    return np.unique(np.concatenate([one.rows for one in columns.values()]))


def _trends(columns: Mapping[str, Series]) -> dict[str, Trend]:
    return {name: found for name, one in columns.items() if (found := trend(one.values))}


def _weights(run: Run) -> dict[str, Trend]:
    """The logged weights, else the one of the main total."""
    terms = run.composition.terms if run.composition else ()
    known = {one.name: np.array([one.weight]) for one in terms if one.weight is not None}
    for name in run.terms:
        if (logged := logged_weight(run.train, name)) is not None:
            known[name] = logged.values
    return {name: found for name, values in known.items() if (found := trend(values))}


def _shared_modules(run: Run) -> tuple[str, ...]:
    """Modules with a parameter that two terms or more reach."""
    told = run.declared.get("reach")
    reach = cast("Mapping[str, object]", told if isinstance(told, dict) else {})
    seen: dict[str, int] = {}
    for names in reach.values():
        listed = cast("Sequence[object]", names if isinstance(names, (list, tuple)) else ())
        for one in dict.fromkeys(map(str, listed)):
            seen[one] = seen.get(one, 0) + 1
    known = (one for one, times in seen.items() if times > 1)
    return tuple(dict.fromkeys(one.rpartition(".")[0] or one for one in known))
