"""JSON: one object a line (mmengine, mmcv, DETR, Detectron2, any other), or one document."""

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

import orjson

from poise.errors import ReadError
from poise.read.frame import Parsed
from poise.read.gather import Gather, to_number
from poise.read.naming import is_position
from poise.read.source import Source
from poise.read.words import SPLITS

NAME = "jsonl"

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"
Record: TypeAlias = Mapping[str, Json]

_BLOCK = 1 << 22
_MODE_KEYS = ("mode", "split", "phase", "stage")


def matches(source: Source) -> bool:
    """True for text that begins like a JSON object, or like a list of them."""
    head = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    rest = head[1:].lstrip()[:1]
    if head[:1] == b"[":
        return rest == b"{"
    if head[:1] != b"{" or rest not in (b'"', b"}"):
        return False
    lines = [line for line in head.splitlines()[:-1] if line.strip()]
    good = sum(load(line) is not None for line in lines[:50])
    # a text log that begins with one JSON line is a text log; a spread-out document has no
    # line that is an object by itself
    return good == 0 or 2 * good >= len(lines[:50])


def read(source: Source) -> Parsed:
    """Every object of the file as a record.

    Records that name their split (`"mode": "val"`) get it as a prefix of their names.

    Raises:
        ReadError: No object in the file holds a number.
    """
    data = source.read().removeprefix(b"\xef\xbb\xbf")
    gather = Gather()
    skipped, last_bad = 0, False
    for line in _lines(data):
        record = load(line)
        last_bad = record is None
        if record is None:
            skipped += 1
        elif record:
            gather.add(_labelled(record))
    remarks = list(source.remarks)
    if len(gather) <= max(skipped, 1):
        return _document(source, data)
    if last_bad:
        remarks.append("the last line is cut off and is left out")
        skipped -= 1
    if skipped:
        remarks.append(f"{skipped} of the lines are not JSON objects and are left out")
    return _parsed(source, NAME, gather, remarks)


def _parsed(source: Source, form: str, gather: Gather, remarks: list[str]) -> Parsed:
    frame = gather.frame()
    if not frame.columns:
        raise ReadError(f"{source.path}: JSON without any number in it; expected a training log")
    return Parsed(format=form, frames=(frame,), remarks=(*remarks, *gather.remarks))


def load(text: bytes) -> dict[str, Json] | None:
    """One JSON object; None for anything else. NaN and Infinity are understood."""
    value = loads(text)
    return value if isinstance(value, dict) else None


def loads(text: bytes) -> Json:
    """Any JSON value; None for what is none."""
    try:
        return cast("Json", orjson.loads(text))
    except orjson.JSONDecodeError:
        pass
    try:
        return cast("Json", json.loads(text.decode("utf-8", errors="replace")))
    except (ValueError, RecursionError):
        return None


def _lines(data: bytes) -> Iterator[bytes]:
    """Lines that are not blank, without a copy of the whole file."""
    start = 0
    while start < len(data):
        stop = data.rfind(b"\n", start, start + _BLOCK)
        if stop < 0:
            stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop + 1
        for line in data[start:stop].split(b"\n"):
            if line and not line.isspace():
                yield line
        start = stop


def _labelled(record: dict[str, Json]) -> Record:
    for key in _MODE_KEYS:
        label = record.get(key)
        if isinstance(label, str):
            split = SPLITS.get(label.strip().lower(), "train")
            del record[key]
            if split == "train":
                return record
            return {
                name if is_position(name) else f"{split}/{name}": value
                for name, value in record.items()
            }
    return record


def _document(source: Source, data: bytes) -> Parsed:
    """One JSON value that spans lines: a list of records, or an object around one."""
    document = loads(data)
    remarks = list(source.remarks)
    if document is None:
        found = salvage(data)
        if not found:
            raise ReadError(
                f"{source.path}: begins like JSON but is not (or is nested too deeply); expected "
                "one object a line, or a list of objects"
            )
        remarks.append(f"the JSON is damaged after {len(found)} records; the rest is left out")
        document = found
    gather = Gather()
    for record in _records(document, 0):
        gather.add(_labelled(dict(record)))
    return _parsed(source, "json", gather, remarks)


def salvage(data: bytes) -> list[Json]:
    """The objects of the first list of objects in damaged JSON, up to the damage."""
    text = data.decode("utf-8", errors="replace")
    start = text.find("{", text.find("[") + 1) if "[" in text else -1
    decoder = json.JSONDecoder()
    found: list[Json] = []
    while start >= 0 and start < len(text):
        try:
            value, stop = cast("tuple[Json, int]", decoder.raw_decode(text, start))
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            found.append(value)
        start = text.find("{", stop)
        if text[stop:start].strip() != ",":
            break
    return found


def _records(value: Json, depth: int) -> list[Record]:
    """The longest list of objects in a document; lists of numbers side by side are a table."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, dict)]
    if not isinstance(value, dict) or depth > 3:
        return []
    lists = {
        name: one
        for name, one in value.items()
        if isinstance(one, list) and len(one) > 1 and to_number(one[0]) is not None
    }
    single = sum(to_number(one) is not None for one in value.values())
    if len(lists) > single:
        return _transposed(lists)
    found = [_records(one, depth + 1) for one in value.values() if isinstance(one, list | dict)]
    return max(found, key=len, default=list[Record]()) or [value]


def _transposed(lists: dict[str, list[Json]]) -> list[Record]:
    length = max(len(one) for one in lists.values())
    return [
        {name: one[row] for name, one in lists.items() if row < len(one)} for row in range(length)
    ]
