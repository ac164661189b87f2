"""A breakdown as text."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

HEAD: Final = ("term", "value", "weight", "weighted", "share", "count", "")


def number(value: float | None) -> str:
    """Four digits; nothing for None.

    Example:
        >>> number(0.123456), number(None)
        ('0.1235', '')
    """
    return "" if value is None else f"{value:.4g}"


def row(
    name: str,
    column: str,
    standing: str,
    numbers: Mapping[str, float],
    shares: Mapping[str, float],
) -> tuple[str, ...]:
    """One term: name, value, weight, weighted value, value share, count, standing."""
    weighted, count = numbers.get(f"weighted/{column}"), numbers.get(f"count/{column}")
    return (
        name,
        number(numbers.get(column)),
        number(numbers[f"weight/{column}"]),
        number(weighted),
        "" if weighted is None else f"{shares[name]:.1%}",
        "" if count is None else f"{count:.10g}",
        "" if standing == "counted" else standing,
    )


def plain(rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """Aligned columns; the first and the last to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    lines = (
        "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join((*lines, *notes))


def table(rows: Sequence[Sequence[str]], notes: Sequence[str]) -> Table:
    """The same as a rich table."""
    made = Table(box=None, pad_edge=False, caption="\n".join(notes) or None, caption_justify="left")
    last = len(HEAD) - 1
    for i, title in enumerate(HEAD):
        made.add_column(title, justify="left" if i in (0, last) else "right")
    for row in rows[1:]:
        made.add_row(*map(Text, row), style="bold" if row is rows[-1] else "")
    return made
