"""Tables in text: comma, tab, semicolon or blanks between the fields, names in the first line."""

import csv
import io
import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from poise.errors import ReadError
from poise.read.frame import Column, Frame, Parsed
from poise.read.gather import MAX_COLUMNS, to_number
from poise.read.source import Source, decode
from poise.run import Event, Ints

NAME = "csv"

_BLANKS = re.compile(r"[ \t]+")
_WIDE = re.compile(r" {2,}|\t+")
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_PAIR = re.compile(r"[:=]\s*[-+.\d]")
_EMPTY = frozenset({"", "-", "none", "null", "n/a", "na"})


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is written: its separator (a blank stands for runs of blanks) and its names."""

    separator: str
    wide: bool
    names: tuple[str, ...]
    skip: int  # lines before the header
    comment: str = ""

    def split(self, line: str) -> list[str]:
        if self.separator == " ":
            return [one for one in (_WIDE if self.wide else _BLANKS).split(line.strip()) if one]
        rows = list(csv.reader([line], delimiter=self.separator))
        return rows[0] if rows else []


def matches(source: Source) -> bool:
    """True for a line of names over lines with as many numbers."""
    return _layout(_head_lines(source)) is not None


def read(source: Source) -> Parsed:
    """The table as one frame; empty cells are not mentioned, other words are dropped.

    Raises:
        ReadError: There are too many columns, or no line of numbers.
    """
    remarks: list[str] = []
    text = decode(source.read(), remarks)
    # the first lines in full: a header may be longer than the head
    layout = _layout(text[: _end_of_line(text, 30)].splitlines())
    if layout is None:
        raise ReadError(f"{source.path}: no line of names over lines of numbers")
    if len(layout.names) > MAX_COLUMNS:
        raise ReadError(
            f"{source.path}: a table with more than {MAX_COLUMNS:,} columns; expected a training "
            "log with some hundreds at most"
        )
    body = _without_stump(_body(text, layout), layout, remarks)
    table = _parse(body.encode(), layout, source, remarks)
    table, events = _without_headers(table, layout)
    frame = _frame(table, layout, events, remarks)
    if not frame.columns:
        raise ReadError(f"{source.path}: a table without any number; expected a training log")
    return Parsed(
        format="tsv" if layout.separator == "\t" else NAME,
        frames=(frame,),
        remarks=(*source.remarks, *remarks),
    )


def _end_of_line(text: str, count: int) -> int:
    """Where the line of this number ends."""
    at = -1
    for _ in range(count):
        at = text.find("\n", at + 1)
        if at < 0:
            return len(text)
    return at


def _head_lines(source: Source) -> list[str]:
    text = decode(source.head, [])
    lines = text.splitlines()
    if len(source.head) >= 65_536 and len(lines) > 1:
        lines.pop()
    return lines[:200]


def _layout(lines: list[str]) -> _Layout | None:
    for skip, line in enumerate(lines[:5]):
        if not line.strip():
            continue
        found = _layout_of(line, [one for one in lines[skip + 1 :] if one.strip()], skip)
        if found is not None or not line.startswith("#"):
            return found
    return None


def _layout_of(header: str, below: list[str], skip: int) -> _Layout | None:
    bare = header.removeprefix("#").strip(" ")
    comment = "#" if header.startswith("#") else ""
    for separator, wide in ((",", False), ("\t", False), (";", False), (" ", True), (" ", False)):
        layout = _Layout(separator, wide, (), skip, comment)
        try:
            names = tuple(one.strip() for one in layout.split(bare))
            fits = _fits(names, [layout.split(one) for one in below[:20]], separator)
        except csv.Error:
            continue
        if fits:
            return _Layout(separator, wide, names, skip, comment)
    return None


def _fits(names: tuple[str, ...], rows: list[list[str]], separator: str) -> bool:
    words = [one for one in names if one and to_number(one) is None]
    if names[:1] and names[0].startswith("{"):
        return False
    if any("." in one and to_number(one) is not None for one in names):
        return False
    if len(names) > MAX_COLUMNS and separator != " ":
        return True
    if len(words) < max(1, len(names) // 2) or (len(names) < 2 and not _one_word(names)):
        return False
    if separator == " " and len(words) < len(names):
        return False
    if not rows:
        return separator != " " and len(names) > 1 and not any(map(_PAIR.search, names))
    good = sum(_is_row(row, len(names), exact=separator == " ") for row in rows)
    return good >= max(1, 0.6 * len(rows))


def _one_word(names: tuple[str, ...]) -> bool:
    return len(names) == 1 and names[0].isidentifier()


def _is_row(cells: list[str], width: int, *, exact: bool) -> bool:
    if (exact and len(cells) != width) or abs(len(cells) - width) > 1:
        return False
    filled = [one for one in cells if one.strip().lower() not in _EMPTY]
    numbers = sum(_to_number(one.strip()) is not None for one in filled)
    return numbers > 0 and (1 if exact else 2) * numbers >= len(filled)


def _body(text: str, layout: _Layout) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    start = 0
    for _ in range(layout.skip + 1):
        start = text.find("\n", start) + 1 or len(text)
    body = text[start:]
    if layout.separator == " ":
        blanks = _WIDE if layout.wide else _BLANKS
        body = "\n".join(blanks.sub("\t", line.strip()) for line in body.split("\n"))
    return body


def _parse(body: bytes, layout: _Layout, source: Source, remarks: list[str]) -> pl.DataFrame:
    names = [f"{index}" for index in range(len(layout.names))]
    separator = "\t" if layout.separator == " " else layout.separator
    if not body.strip():
        raise ReadError(f"{source.path}: a line of names and no records below it yet")
    for quote in ('"', None):
        try:
            return pl.read_csv(
                io.BytesIO(body),
                has_header=False,
                separator=separator,
                quote_char=quote,
                schema=dict.fromkeys(names, pl.String),
                truncate_ragged_lines=True,
            )
        except pl.exceptions.PolarsError:
            continue
    remarks.append("the table is damaged; lines that do not fit are left out")
    rows = [line.split(separator) for line in body.decode().split("\n")]
    rows = [row for row in rows if len(row) == len(names)]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _without_stump(body: str, layout: _Layout, remarks: list[str]) -> str:
    """A last line that ends before the columns that the others have was cut off in writing."""
    lines = body[-(1 << 20) :].rstrip("\n").rsplit("\n", 20)
    if len(lines) < 3 or body.endswith("\n"):
        return body
    separator = "\t" if layout.separator == " " else layout.separator
    if lines[-1].count(separator) >= lines[-2].count(separator):
        decimals = [len(one.rsplit(separator, 1)[-1].partition(".")[2].strip()) for one in lines]
        if decimals[-1] < min(decimals[1:-1]):
            remarks.append("the file ends without a line end, maybe in the middle of a number")
        return body
    remarks.append("the last line is cut off and is left out")
    return body[: -len(lines[-1])]


def _without_headers(
    table: pl.DataFrame, layout: _Layout
) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Drop blank lines and repeated headers; each of these begins a restart."""
    first = table[:, 0].str.strip_chars("# ")
    is_header = (first == layout.names[0]).fill_null(value=False)
    blank = table.select(
        pl.all_horizontal(pl.all().is_null() | (pl.all().str.strip_chars() == ""))
    ).to_series()
    keep = (~is_header & ~blank).to_numpy()
    at = np.cumsum(keep)[is_header.to_numpy()]
    text = "the header line is repeated"
    events = tuple(Event(name="restart", step=int(one), text=text) for one in at if one)
    return table.filter(pl.Series(keep)), events


def _frame(
    table: pl.DataFrame, layout: _Layout, events: tuple[Event, ...], remarks: list[str]
) -> Frame:
    every = np.arange(len(table))
    columns: dict[str, Column] = {}
    shared: dict[bytes, Ints] = {}
    trimmed = table.select(pl.all().str.strip_chars(' \t"').str.strip_suffix("%"))
    numbers = trimmed.select(pl.all().cast(pl.Float64, strict=False))
    empty = trimmed.select((pl.all().is_null() | pl.all().str.to_lowercase().is_in(_EMPTY)).sum())
    lacking = zip(numbers.null_count().row(0), empty.row(0), strict=True)
    for index, (label, (lost, blank)) in enumerate(zip(layout.names, lacking, strict=True)):
        column = numbers[:, index]
        if lost > blank:
            column = _spelled(trimmed[:, index], column, label, remarks)
        rows = every if not lost else column.is_not_null().arg_true().to_numpy().astype(np.int64)
        if not len(rows):
            continue
        name = label or ("Unnamed: 0" if not index else f"column {index + 1}")
        if name in columns:
            name = f"{name} ({index + 1})"
        if rows is not every:
            rows = every if len(rows) == len(every) else shared.setdefault(rows.tobytes(), rows)
        columns[name] = Column(rows=rows, values=column.drop_nulls().to_numpy())
    return Frame(size=len(table), columns=columns, events=events)


def _spelled(cells: pl.Series, cast: pl.Series, label: str, remarks: list[str]) -> pl.Series:
    """The numbers of a column with those that polars does not know as such."""
    at = (cast.is_null() & cells.is_not_null()).arg_true()
    texts = cells.gather(at).to_list()
    found = [_to_number(one) for one in texts]
    filled = sum(one.lower() not in _EMPTY for one in texts)
    known = sum(one is not None for one in found)
    if known < filled and (known or cast.null_count() < len(cast)):
        lost = filled - known
        remarks.append(f"{label!r}: {lost} of the cells hold no number and are left out")
    if any(one is not None and "," in text for text, one in zip(texts, found, strict=True)):
        said = "numbers have decimal commas and are read as such"
        remarks += [] if said in remarks else [said]
    return cast.scatter(at, pl.Series(found, dtype=pl.Float64))


def _to_number(cell: str) -> float | None:
    return to_number(cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell)
