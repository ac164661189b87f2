"""The table of terms of a growing run, in as many cells as there are."""

from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from poise.report import plain
from poise.view.growing import Growing
from poise.view.history import sparkline

TERMS = 30
"""More terms than these are counted."""
SPARK, SHORT_SPARK = 24, 8
"""Cells of a sparkline on a wide and on a narrow terminal."""
WIDE = 90
"""Cells of a wide terminal."""
NAME = 12
"""Cells for which names of terms get room before the columns that may be left out."""
GAP = 2
"""Cells between columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One column; those of the highest rank are left out first, of rank 0 never."""

    title: str
    cells: list[str]
    rank: int

    @property
    def taken(self) -> int:
        return GAP + max(cell_len(self.title), *map(cell_len, self.cells))


def last_probe(run: Growing) -> tuple[str, int, dict[str, float]] | None:
    """Where, at which step and with which shares gradients were measured last; None if never.

    The shared parameters say more than any other place.
    """
    if not run.probe:
        return None
    where = "shared" if "shared" in run.probe else next(iter(run.probe))
    return where, *run.probe[where]


def terms_table(run: Growing, width: int, heights: str) -> Table:
    """Weight, value and shares of each term; what does not fit is left out, never cut.

    Args:
        run: The run so far; has a term.
        width: Cells of the terminal.
        heights: Characters of a sparkline, from low to high.
    """
    names = list(run.terms)[:TERMS]
    columns = _columns(run, names, width, heights)
    while _room(columns, width) < NAME and any(one.rank for one in columns):
        columns.remove(max(columns, key=lambda one: one.rank))
    room = max(_room(columns, width), NAME)
    table = Table(box=None, padding=(0, GAP, 0, 0), show_edge=False, header_style="dim")
    table.add_column("term", no_wrap=True)
    for one in columns:
        side = "right" if one.title else "left"
        table.add_column(Text(one.title), justify=side, no_wrap=True)
    for at, name in enumerate(names):
        cells = (plain.name(name, room), *(one.cells[at] for one in columns))
        table.add_row(*map(Text, cells))
    if (more := len(run.terms) - TERMS) > 0:
        table.add_row(Text(f"and {more:,} more", "dim"))
    return table


def _room(columns: list[_Column], width: int) -> int:
    """Cells that the columns leave for the names."""
    return width - GAP - sum(one.taken for one in columns)


def _columns(run: Growing, names: list[str], width: int, heights: str) -> list[_Column]:
    values, spark = run.shares, SPARK if width >= WIDE else SHORT_SPARK
    weights = [plain.brief(run.weights[one]) if one in run.weights else "" for one in names]
    found = [
        _Column(title="weight", cells=weights, rank=3),
        _Column(title="value", cells=[plain.brief(run.terms[one].recent) for one in names], rank=0),
        _Column(
            title="",
            cells=[sparkline(run.terms[one].means, spark, heights) for one in names],
            rank=4,
        ),
        _Column(title="value %", cells=[plain.percent(values[one]) for one in names], rank=2),
    ]
    if (last := last_probe(run)) is not None:
        _, _, shares = last
        cells = [plain.percent(shares[one]) if one in shares else "" for one in names]
        found.append(_Column(title="gradient %", cells=cells, rank=1))
    return found
