"""Printed tables: a line of names, and rows of numbers below it."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from poise.read.text import dialects
from poise.read.text.dialects import DEAD, S
from poise.run import Ints

_LIST = rf"\[{S}(?:,?\s+{S})*\]"
_CELL = re.compile(rf"{_LIST}|{S}(?:/{S})?(?:%|[A-Za-z]{{1,2}})?(?![\w.])|{DEAD}+|-(?=\s|$)")
_GAP = re.compile(r"[\s|│┃]+")
_BAR = re.compile(rf":\s+{S}%\|")
_WIDE_GAP = re.compile(r"\s*[|│┃]\s*|\t|\s{2,}")
_ABOVE = 3  # lines above a row in which its names may stand
_HEADER = 1_000  # characters of the longest line of names

Cells = tuple[tuple[int, ...], ...]
"""Slots of every cell of a row; none where a cell holds no value."""


def cells_of(text: str) -> tuple[Cells, str]:
    """The cells of a row of numbers, and the progress bar behind it; no cells if it is no row."""
    found: list[tuple[int, ...]] = []
    slot = 0
    place = len(text) - len(text.lstrip(" \t|│┃"))
    while cell := _CELL.match(text, place):
        printed = cell.group()
        count = printed.count(S) + printed.count(DEAD)
        found.append(tuple(range(slot, slot + count)) if S in printed else ())
        slot += count
        place = cell.end()
        if not (gap := _GAP.match(text, place)):
            break
        place = gap.end()
    rest = text[place:]
    if len(found) < 2 or (rest.strip() and not _BAR.match(rest)):
        return (), ""
    return tuple(found), rest


def names_of(line: str) -> tuple[str, ...]:
    """The names in the head of a table; none if the line is no such head.

    Example:
        >>> names_of("| step | loss |"), names_of("epoch  train loss  time"), names_of("hello you")
        (('step', 'loss'), ('epoch', 'train loss', 'time'), ())
    """
    line = line.strip(" \t|│┃")
    if len(line) > _HEADER:
        return ()
    wide = _WIDE_GAP.split(line)
    names = tuple(wide if len(wide) > 1 else line.split())
    known = any(dialects.LOSSY.search(one) or dialects.POSITION.match(one) for one in names)
    spelled = all(one[:1].isalpha() and not re.search(r"[=:]", one) for one in names)
    return names if len(names) > 1 and known and spelled else ()


class Heads:
    """The names above the rows of a log, which is read in pieces."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, ...]] = {}

    def of(
        self, lines: pl.Series, rows: Sequence[tuple[int, Ints]]
    ) -> list[tuple[list[tuple[str, ...]], Ints]]:
        """Names for rows of given widths.

        Args:
            lines: The lines of a piece.
            rows: Number of cells, and indices of the lines that have so many.

        Returns:
            For every entry of `rows` the different heads, and the index of its head for each of
            the lines; the empty tuple stands for no head.
        """
        every = np.sort(np.concatenate([one for _, one in rows]))
        begins = every[np.append(True, np.diff(every) > 1)]
        turns: dict[int, tuple[list[int], list[tuple[str, ...]]]] = {
            width: ([-1], [self._last.get(width, ())]) for width, _ in rows
        }
        for row in begins.tolist():
            names = _above(lines, row)
            if names and len(names) not in turns:
                names = ("row", *names)  # an index without a name in front
            if len(names) in turns:
                turns[len(names)][0].append(row)
                turns[len(names)][1].append(names)
        found: list[tuple[list[tuple[str, ...]], Ints]] = []
        for width, some in rows:
            at, names = turns[width]
            number = {one: i for i, one in enumerate(dict.fromkeys(names))}
            turn = np.searchsorted(at, some, side="right") - 1
            found.append((list(number), np.array([number[one] for one in names])[turn]))
            self._last[width] = names[-1]
        return found


def _above(lines: pl.Series, row: int) -> tuple[str, ...]:
    """Names in the next line above a row that is neither blank nor a ruler."""
    for line in lines[max(0, row - _ABOVE) : row].to_list()[::-1]:
        if line.strip(dialects.EDGE + ":"):
            return names_of(line)
    return ()


def named(
    cells: Cells, names: Sequence[str]
) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    """Pairs and positions of a row, as a `Plan` has them."""
    pairs: list[tuple[int, str]] = []
    positions: list[tuple[int, str]] = []
    for slots, name in zip(cells, names, strict=True):
        word = dialects.POSITION.match(name)
        if word and slots:
            kind = dialects.WORDS.get(word["word"][:2].lower(), "step")
            positions += zip(slots, (kind, f"{kind}_total"), strict=False)
        elif len(slots) == 1:
            pairs.append((slots[0], name))
        else:
            pairs += [(slot, f"{name}_{i}") for i, slot in enumerate(slots)]
    return tuple(pairs), tuple(positions)
