"""Measurements in words: one table of terms that fits the page, and a few lines under it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from poise.report import plain
from poise.report.measured import QUARTERS, Measured, Place, Trend

Row = tuple[str, ...]

NAME_WANTED = 16
"""Cells for which the names of terms get room before the further columns."""
MOVED = 0.1
"""A share that rises or falls by this much, or to a third or threefold, is told as moving."""
FACTOR = 3.0
SEEN = 0.01
"""Both shares below this: too small for their movement to be told."""
TOLD = 6
"""Terms whose movement is told in one line."""
MODULES = 6
"""Modules whose motion is told in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the table of terms.

    Attributes:
        title: Its heading.
        short: Its heading where there is little room.
        values: By term.
        form: How a value is printed; `plain.percent` for a share.
    """

    title: str
    short: str
    values: Mapping[str, Trend]
    form: Callable[[float], str]

    def cell(self, term: str) -> str:
        """The median in few digits; empty where nothing was measured."""
        found = self.values.get(term)
        return "" if found is None else self.shown(found.median)

    def shown(self, value: float) -> str:
        """A value of this column as it is printed."""
        return self.form(value)


def _cosine(value: float) -> str:
    """Two decimals; what is smaller is noise of a few probes."""
    return f"{value:.2f}".replace("-0.00", "0.00")


def columns(found: Measured, *, full: bool) -> tuple[Column, ...]:
    """The columns in which anything was measured, at the first place; the last are dispensable."""
    place = found.places[0] if found.places else None
    every = [
        Column(title="weight", short="weight", values=found.weight, form=plain.brief),
        Column(title="value", short="value", values=found.value, form=plain.brief),
        Column(title="value %", short="val %", values=found.share, form=plain.percent),
        *(() if place is None else _of_place(place, full=full)),
        Column(title="response", short="resp", values=found.response, form=plain.brief),
    ]
    return tuple(one for one in every if one.values)


def _of_place(place: Place, *, full: bool) -> list[Column]:
    found = [
        Column(title="gradient %", short="grad %", values=place.gradient, form=plain.percent),
        Column(title="update %", short="upd %", values=place.update, form=plain.percent),
        Column(title="cosine", short="cos", values=place.cosine, form=_cosine),
    ]
    if full:
        found.append(
            Column(title="direction %", short="dir %", values=place.direction, form=plain.percent)
        )
    return found


def place_columns(place: Place) -> tuple[Column, ...]:
    """The columns of a further place, values left out."""
    return tuple(one for one in _of_place(place, full=True) if one.values)


def rows(terms: Sequence[str], shown: Sequence[Column], width: int | None = None) -> list[Row]:
    """Cells, a heading first; in `width` cells with short headings, and columns left out if needed.

    Names are escaped; they are shortened only where `width` asks for it.
    """
    kept = list(shown)
    short = False
    longest = max((cell_len(plain.plain(term)) for term in terms), default=0)
    needed = min(longest, NAME_WANTED)
    while width is not None and kept and width - _taken(kept, terms, short=short) < needed:
        if short:
            kept.pop()
        short = True
    room = None if width is None else max(width - _taken(kept, terms, short=short), needed)
    made: list[Row] = [("term", *(one.short if short else one.title for one in kept))]
    for term in terms:
        name = plain.plain(term) if room is None else plain.name(term, room)
        made.append((name or plain.name(""), *(one.cell(term) for one in kept)))
    return made


def _taken(kept: Sequence[Column], terms: Sequence[str], *, short: bool) -> int:
    """Cells of the columns with the blanks before each."""
    heads = (cell_len(one.short if short else one.title) for one in kept)
    cells = (max((len(one.cell(term)) for term in terms), default=0) for one in kept)
    return sum(2 + max(both) for both in zip(heads, cells, strict=True))


def title(place: Place) -> str:
    """Where and how often something was measured.

    Example: `at the shared parameters ('lstm'), medians of 8 probes, steps 1 to 119`.
    """
    often = "1 probe" if place.probes == 1 else f"medians of {place.probes:,} probes"
    return f"{plain.plain(place.words)}, {often}, {plain.span(place.steps)}"


def moves(shown: Sequence[Column], terms: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Per column of shares or weights what moves from the first to the last quarter of a run.

    Shares move if they change by 10 points or threefold; weights if the printed numbers differ.
    """
    for one in shown:
        parts = [
            f"{plain.name(term)} {one.shown(found.first)} -> {one.shown(found.last)}"
            for term in terms
            if (found := one.values.get(term)) and _moving(one, found)
        ]
        if parts:
            more = f" and {len(parts) - TOLD} more" if len(parts) > TOLD else ""
            yield one.title, ", ".join(parts[:TOLD]) + more


def share_moves(found: Trend) -> bool:
    """Whether a share changes by 10 points or threefold from the first to the last quarter.

    Example:
        >>> share_moves(Trend(median=0.5, first=0.5, last=0.55, count=8))
        False
        >>> share_moves(Trend(median=0.5, first=0.01, last=0.05, count=8))
        True
    """
    low, high = sorted((abs(found.first), abs(found.last)))
    steep = high > SEEN and high > FACTOR * low
    return found.count >= QUARTERS and (steep or abs(found.last - found.first) > MOVED)


def _moving(column: Column, found: Trend) -> bool:
    if column.form is plain.percent:
        return share_moves(found)
    printed = column.shown(found.first) != column.shown(found.last)
    return column.title == "weight" and found.count >= QUARTERS and printed


def motion(found: Measured) -> str:
    """How far the modules move in a step; empty if that was not measured."""
    if not found.motion:
        return ""
    parts = [f"{plain.name(one)} {plain.percent(t.median)}" for one, t in found.motion.items()]
    more = f" and {len(parts) - MODULES} more" if len(parts) > MODULES else ""
    count = max(one.count for one in found.motion.values())
    steps = "1 step" if count == 1 else f"median of {count:,} steps"
    return f"{', '.join(parts[:MODULES])}{more} of its norm per optimizer step ({steps})"


def costs(found: Measured) -> str:
    """What a probe took, by place; empty if the record does not tell."""
    parts = [
        f"{1000 * one.seconds.median:.2g} ms {plain.plain(one.words)}"
        for one in found.places
        if one.seconds is not None
    ]
    return ", ".join(parts)
