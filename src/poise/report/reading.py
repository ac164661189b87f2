"""What was read, in words and rows: the terminal and the HTML page show the same."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from poise.report import plain
from poise.report.measured import PROBE, Trend, ordered, share_trends
from poise.report.measured_rows import share_moves
from poise.report.shares import logged_weight
from poise.run import Composition, Kind, Run, Series, Table

EVENTS = 3
"""Events of one name shown in words."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Totals and terms of one table.

    Attributes:
        title: Split and grain.
        rows: Cells, a heading first; the first cell of a row is a name, escaped but not shortened.
        footnote: What the shares are of; empty without shares.
    """

    title: str
    rows: tuple[Row, ...]
    footnote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read from one log; all text is escaped.

    Attributes:
        path: Where it was read.
        facts: Format, records, steps, splits, terms, total: a few words each.
        tables: Cells, a heading first.
        totals: Per total its equation and what is to be said about it.
        terms: Per table with terms.
        others: Kind and names of all other series; those of probes are the measurements' own.
        events: Kind with its number, the first texts, how many more.
        remarks: What the reader has to say.
    """

    path: str
    facts: tuple[str, ...]
    tables: tuple[Row, ...]
    totals: tuple[tuple[str, tuple[str, ...]], ...]
    terms: tuple[Terms, ...]
    others: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, tuple[str, ...], int], ...]
    remarks: tuple[str, ...]


def reading(run: Run) -> Reading:
    """All that there is to say about a run before it is diagnosed."""
    return Reading(
        path=plain.plain(str(run.path)),
        facts=facts(run),
        tables=tuple(_tables(run)),
        totals=tuple(_total(one, ordered(run)) for one in run.compositions),
        terms=tuple(found for one in run.tables if (found := _terms(run, one))),
        others=tuple(_others(run)),
        events=tuple(_events(run)),
        remarks=tuple(plain.plain(one) for one in run.remarks),
    )


def facts(run: Run) -> tuple[str, ...]:
    """Format, records, steps, splits, terms and total, a few words each."""
    splits = list(dict.fromkeys(one.split for one in run.tables))
    found = [plain.plain(run.format), plain.count(run.records, "record")]
    if run.tables and len(run.train):
        steps = run.train.steps
        word = plain.name(run.train.step_name, 16)
        found.append(plain.span((int(steps.min()), int(steps.max())), word))
    found += [f"splits {plain.listed(splits)}"] if len(splits) > 1 else []
    terms = plain.count(len(run.terms), "term")
    if run.composition is not None and run.composition.total == "total":
        return (*found, f"{terms} and total")
    found.append(terms)
    if run.composition is not None:
        found.append(f"total {plain.name(run.composition.total)}")
    return tuple(found)


def _tables(run: Run) -> Iterator[Row]:
    yield ("split", "grain", "records", "from", "to", "counted in", "series", "restarts")
    for one in run.tables:
        steps = (f"{one.steps.min():,}", f"{one.steps.max():,}") if len(one) else ("", "")
        yield (
            plain.name(one.split, 12),
            plain.name(one.grain, 8),
            f"{len(one):,}",
            *steps,
            plain.name(one.step_name, 12),
            f"{len(one.series):,}",
            f"{max(len(np.unique(one.segments)) - 1, 0):,}",
        )


def _total(one: Composition, order: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The equation of a total, and what is to be said about it."""
    place = {name: at for at, name in enumerate(order)}
    inside = sorted(
        (term for term in one.terms if term.weight != 0.0),
        key=lambda term: place.get(term.name, len(place)),
    )
    parts = [
        plain.name(term.name)
        if term.weight == 1.0
        else f"{'?' if term.weight is None else plain.number(term.weight)} {plain.name(term.name)}"
        for term in inside[:12]
    ]
    if len(inside) > 12:
        parts.append(f"{len(inside) - 12} more")
    sentences = [plain.plain(one.why)]
    if math.isfinite(one.residual):
        sentences.append(_residual(one))
    outside = [term.name for term in one.terms if term.weight == 0.0]
    if outside:
        sentences.append(f"Not in the total: {plain.listed(outside, most=12)}.")
    return f"{plain.name(one.total)} = {' + '.join(parts) or 'unknown'}", tuple(sentences)


def _residual(one: Composition) -> str:
    """How well the weighted sum reproduces the total, in a sentence."""
    off = f"Residual {plain.number(one.residual)} of the total over "
    off += f"{plain.count(one.records, 'record')}"
    allowed = f"printing and averaging explain {plain.number(one.tolerance)}"
    if one.exact:
        return f"{off}: exact, for {allowed}."
    return f"{off}: not exact, for {allowed}; unexplained {plain.number(one.remainder)}."


def _terms(run: Run, table: Table) -> Terms | None:
    place = {name: at for at, name in enumerate(ordered(run))}
    terms = sorted(table.of_kind(Kind.TERM), key=lambda one: place[one.name])
    shown = [*table.of_kind(Kind.TOTAL), *terms]
    if not shown:
        return None
    shares, footnote = _shares(run, table)
    broken = any(plain.nonfinite(one.values) for one in shown)
    weights = _weights(run)
    extra = (["share"] if shares else []) + (["not finite"] if broken else [])
    rows: list[Row] = [("name", "weight", "first", "last", "min", "max", *extra)]
    for one in shown:
        more = [shares.get(one.name, "")] if shares else []
        more += [f"{plain.nonfinite(one.values):,}"] if broken else []
        summed = "" if one.name == "total" else "total"
        weight = summed if one.kind is Kind.TOTAL else weights.get(one.name, "")
        rows.append((plain.plain(one.name) or plain.name(""), weight, *_ends(one), *more))
    title = f"{plain.name(table.split)} by {plain.name(table.grain)}"
    return Terms(title=title, rows=tuple(rows), footnote=footnote)


def _weights(run: Run) -> dict[str, str]:
    """Weight and source of every term of the main total, in words."""
    terms = run.composition.terms if run.composition else ()
    return {
        one.name: "unknown" if one.weight is None else f"{plain.number(one.weight)} {one.source}"
        for one in terms
    }


def _ends(one: Series) -> tuple[str, str, str, str]:
    if not len(one):
        return ("", "", "", "")
    low, high = plain.ends(one.values) or (math.nan, math.nan)
    first, last = float(one.values[0]), float(one.values[-1])
    return plain.number(first), plain.number(last), plain.number(low), plain.number(high)


def _shares(run: Run, table: Table) -> tuple[dict[str, str], str]:
    """Share of every term over the whole table in words, and what it is a share of."""
    found = share_trends(run, table)
    if not found:
        return {}, ""
    shares = {name: _share(one) for name, one in found.items()}
    some = any(share_moves(one) for one in found.values())
    moved = ", or of its first -> last quarter" if some else ""
    members = [name for name in found if not _weight_known(run, table, name)]
    known = "; unknown weights count as 1" if members else ""
    return shares, f"share: of the weighted value, median over the run{moved}{known}"


def _share(one: Trend) -> str:
    if share_moves(one):
        return f"{plain.percent(one.first)} -> {plain.percent(one.last)}"
    return plain.percent(one.median)


def _weight_known(run: Run, table: Table, name: str) -> bool:
    terms = run.composition.terms if run.composition else ()
    known = any(one.name == name and one.weight is not None for one in terms)
    return known or logged_weight(table, name) is not None


def _others(run: Run) -> Iterator[tuple[str, str]]:
    """All series but totals, terms and what probes measured; of a term by the term's name."""
    groups: dict[Kind, dict[str, None]] = {}
    for table in run.tables:
        for one in table.series.values():
            if table.grain != PROBE and one.kind not in (Kind.TERM, Kind.TOTAL):
                name = f"of {one.of}" if _prefixed(one) else one.name
                groups.setdefault(one.kind, {})[name] = None
    for kind, names in groups.items():
        words = [one.removeprefix("of ") if at else one for at, one in enumerate(names)]
        yield kind.value.replace("_", " "), plain.listed(words, most=8)


def _prefixed(one: Series) -> bool:
    """Whether a name says no more than its kind and its term: `weight/kl`."""
    return one.of is not None and one.name == f"{one.kind.value}/{one.of}"


def _events(run: Run) -> Iterator[tuple[str, tuple[str, ...], int]]:
    groups: dict[str, list[str]] = {}
    for one in run.events:
        where = [] if one.step is None else [f"step {one.step:,}"]
        text = plain.shorten(plain.plain(one.text), 160)
        # Words alone, or a step alone: nothing stands before or after a colon that leads nowhere.
        said = ": ".join([*where, *([text] if text.strip() else [])])
        groups.setdefault(one.name, []).append(said or "no text")
    for kind, texts in groups.items():
        head = f"{plain.count(len(texts), 'event')} {plain.name(kind)}"
        yield head, tuple(texts[:EVENTS]), max(len(texts) - EVENTS, 0)
