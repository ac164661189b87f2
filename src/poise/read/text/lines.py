"""From the bytes of a log to clean lines, and from lines to templates and numbers.

A log repeats a few line forms. A template is a line with every number replaced by `SLOT`, so that
a form is understood once and its numbers are then taken out of all its lines together.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from poise.read.source import decode
from poise.run import Floats, Ints

SLOT = "\x01"
"""Stands for one number in a template; no cleaned line holds it."""

NUMBER = (
    r"[-+]?(?:(?-u:\b)[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?"
    r"|\B\.[0-9]+(?:[eE][-+]?[0-9]+)?"
    r"|(?-u:\b)(?i:nan|inf|infinity)(?-u:\b))"
)
"""A number that does not stand inside a word, in the syntax of Rust's regex."""

LINE = 16_384
"""Characters of a line that are looked at."""

_CHUNK = 1 << 24
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_DECIMAL = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b\n]{0,200}\x07|[()][A-Z0-9])")
# The filling of a progress bar, with its right edge: █ to ▏, then ╸ ╺ and ━ ─, then the ASCII bars
# of Keras. A pattern that begins with fixed bytes is searched for six times as fast.
_FULL = "█".encode()
_BLOCKS = re.compile(rb"\xe2\x96[\x80-\x9f](?:\xe2\x96[\x80-\x9f])* *")
_HALVES = re.compile(rb"\xe2\x95[\xb8-\xbb](?:\xe2\x94[\x80\x81]|\xe2\x95[\xb8-\xbb])* *")
_RULES = re.compile(rb"\xe2\x94[\x80\x81](?:\xe2\x94[\x80\x81])* *")
_ARROWS = re.compile(rb"\[[=.>]{6,}\]")
_CONTROL = bytes(range(9)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f"
_SPACES = bytes.maketrans(_CONTROL + b"\r", b" " * len(_CONTROL) + b"\n")


def chunks(data: bytes, remarks: list[str]) -> Iterator[pl.Series]:
    """The lines of a log in pieces of about 16 MB: no colours, no control characters, no bars.

    Carriage returns end lines as newlines do. Lines longer than `LINE` characters are shortened,
    and bytes that are not UTF-8 are replaced; both become a remark.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = decode(data, remarks).encode()
    notes: list[str] = []
    cut = 0
    start = 0
    while start < len(data):
        end = _end(data, start)
        piece = _clean(data[start:end])
        start = end
        lines = decode(piece, notes).split("\n")
        if max(map(len, lines)) > LINE:
            cut += sum(len(one) > LINE for one in lines)
            lines = [one[:LINE] for one in lines]
        yield pl.Series("line", lines, dtype=pl.String)
    if notes:
        count = sum(int(one.split(" ", 1)[0]) for one in notes)
        remarks.append(f"{count} bytes of the text are not UTF-8 and are replaced")
    if cut:
        remarks.append(f"{cut} lines are longer than {LINE} characters; their ends are not read")


def _end(data: bytes, start: int) -> int:
    """Where the piece from `start` ends: behind a line end if there is one in reach."""
    end = start + _CHUNK
    if end >= len(data):
        return len(data)
    newline = data.rfind(b"\n", start, end)
    if newline < 0:
        newline = data.rfind(b"\r", start, end)
    return end if newline < 0 else newline + 1


def _clean(piece: bytes) -> bytes:
    if b"\x1b" in piece:
        piece = _ANSI.sub(b"", piece)
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n")
    if b"\xe2" in piece:
        for filling in (_BLOCKS, _HALVES, _RULES):
            piece = filling.sub(_FULL, piece)
        piece = piece.replace(_FULL * 2, _FULL)
    if b"[==" in piece or b"[>." in piece:
        piece = _ARROWS.sub(_FULL, piece)
    return piece.translate(_SPACES)


def templates(lines: pl.Series) -> pl.DataFrame:
    """The distinct forms of `lines`, in order of appearance.

    Returns:
        Columns `template` and `rows`, the latter the increasing indices of its lines.
    """
    frame = pl.DataFrame({"template": lines.str.replace_all(NUMBER, SLOT)}).with_row_index("rows")
    return frame.group_by("template", maintain_order=True).agg(pl.col("rows"))


def numbers(lines: pl.Series) -> tuple[Floats, Ints]:
    """Every number of every line.

    Returns:
        All numbers, shape (n,), and where each line's begin, shape (len(lines),).
    """
    found = lines.str.extract_all(NUMBER)
    counts = found.list.len().to_numpy().astype(np.int64)
    flat = found.explode().drop_nulls().cast(pl.Float64, strict=False)
    return flat.to_numpy(), np.cumsum(counts) - counts


def ungrouped(printed: Sequence[tuple[str, ...]], *, lossy: bool) -> tuple[Floats | None, bool]:
    """Numbers that commas divide, and whether the commas are decimal ones.

    Groups of three digits are thousands, except in a loss, which is hardly ever that large.

    Returns:
        None for the numbers where the commas divide different numbers.

    Example:
        >>> ungrouped([("12", "500"), ("1", "024.5")], lossy=False)
        (array([12500. ,  1024.5]), False)
        >>> ungrouped([("0", "125")], lossy=True), ungrouped([("0.1", "0.2")], lossy=True)
        ((array([0.125]), True), (None, False))
    """
    joined = [",".join(one) for one in printed]
    points = any("." in one for one in joined)
    if (points or not lossy) and all(map(_THOUSANDS.fullmatch, joined)):
        return np.array([float(one.replace(",", "")) for one in joined]), False
    if all(map(_DECIMAL.fullmatch, joined)):
        return np.array([float(one.replace(",", ".")) for one in joined]), True
    return None, False


def texts(lines: pl.Series, slots: Sequence[int]) -> list[tuple[str, ...]]:
    """The numbers in some slots as they are printed, for every line."""
    found = lines.str.extract_all(NUMBER)
    columns = [found.list.get(slot, null_on_oob=True).fill_null("").to_list() for slot in slots]
    return list(zip(*columns, strict=True))
