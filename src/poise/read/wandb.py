"""W&B offline run files (`run-*.wandb`): the history records they hold."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import orjson

from poise.errors import ReadError
from poise.read.frame import Parsed
from poise.read.gather import Gather
from poise.read.leveldb import Damage, payloads
from poise.read.protobuf import MalformedError, fields, signed, varint
from poise.read.source import Source

NAME = "wandb"

Json: TypeAlias = object

_HEADER = struct.Struct("<4sHB")
_MAGIC = b":W&B"
_HISTORY = 2
_ITEM, _HISTORY_STEP = 1, 2
_KEY, _NESTED_KEY, _VALUE_JSON = 1, 2, 16
_PLAIN_KEYS = (_KEY << 3 | 2, _NESTED_KEY << 3 | 2)
_PLAIN_VALUE = b"\x82\x01"  # field 16, length-delimited
STEP = "_step"
CLOCKS = frozenset({"_runtime", "_timestamp", "_wandb"})
_DEPTH = 8  # objects inside objects that are still looked at
_NON_FINITE = {
    b"NaN": float("nan"), b"Infinity": float("inf"), b"-Infinity": float("-inf"),
    b'"NaN"': float("nan"), b'"Infinity"': float("inf"), b'"-Infinity"': float("-inf"),
}  # fmt: skip


def matches(source: Source) -> bool:
    """True for a file with W&B's header."""
    return source.head.startswith(_MAGIC)


def read(source: Source) -> Parsed:
    """History of one offline run.

    Records of one `_step` that follow each other and share no key are one record.

    Raises:
        ReadError: The file holds no history with numbers.
    """
    data = source.read()
    damage = Damage()
    rows = _Rows()
    for payload in payloads(data, _HEADER.size, damage):
        rows.take(payload)
    rows.close()
    frame = rows.gather.frame()
    remarks = [*_remarks(damage, len(data)), *rows.gather.remarks]
    if rows.odd:
        remarks.append(f"{rows.odd} history records are malformed and were left out")
    if not set(frame.columns) - {STEP} - CLOCKS:
        raise ReadError(
            f"{source.path}: expected W&B history, got a run file without logged numbers"
            f"{'; ' + remarks[0] if remarks else ''}; was wandb.log called?"
        )
    return Parsed(format=NAME, frames=(frame,), remarks=tuple(remarks))


def _remarks(damage: Damage, size: int) -> Iterator[str]:
    if damage.pieces:
        yield f"{damage.pieces} damaged pieces were left out"
    if damage.cut:
        yield f"the last record is cut off at byte {size}; everything before it was read"


@dataclass(slots=True)
class _Rows:
    """Merges partial history records into rows."""

    gather: Gather = field(default_factory=Gather)
    open: dict[str, Json] = field(default_factory=dict[str, Json])
    odd: int = 0

    def take(self, payload: bytes) -> None:
        """Take one record, if it is history."""
        try:
            history = _history(payload)
        except MalformedError:
            self.odd += 1
            return
        if history is None:
            return
        if self.open and not self._continues(history):
            self.close()
        self.open |= history

    def _continues(self, history: dict[str, Json]) -> bool:
        if STEP not in history or history[STEP] != self.open.get(STEP):
            return False
        return not (self.open.keys() & history.keys()) - CLOCKS - {STEP}

    def close(self) -> None:
        """Give the open row to the columns."""
        if self.open:
            self.gather.add(self.open)
            self.open = {}


def _history(payload: bytes) -> dict[str, Json] | None:
    """Numbers of a history record by name; None for any other record."""
    row: dict[str, Json] | None = None
    for number, wire, start, stop in fields(payload, 0, len(payload)):
        if number == _HISTORY and wire == 2:
            row = _items(payload, start, stop)
    return row


def _items(payload: bytes, start: int, stop: int) -> dict[str, Json]:
    row: dict[str, Json] = {}
    step: int | None = None
    for number, wire, first, last in fields(payload, start, stop):
        if number == _ITEM and wire == 2:
            name, value = _item(payload, first, last)
            if name and value is not None:
                row[name] = value
        elif number == _HISTORY_STEP and wire == 2:
            step = _own_step(payload, first, last)
    if step is not None and STEP not in row:
        return {STEP: step, **row}
    return row


def _own_step(payload: bytes, start: int, stop: int) -> int:
    """Step of a record that carries it beside its items; zero is not written out."""
    for number, wire, first, last in fields(payload, start, stop):
        if number == 1 and wire == 0:
            return signed(varint(payload, first, last)[0])
    return 0


def _item(payload: bytes, start: int, stop: int) -> tuple[str, Json]:
    """Name and numbers of one item."""
    # Nearly all items are one short key and one short value: worth a short cut.
    if stop - start > 5 and payload[start] in _PLAIN_KEYS and payload[start + 1] < 0x80:
        ends = start + 2 + payload[start + 1]
        value_at = ends + 3
        size = stop - value_at
        if 0 < size < 0x80 and payload[ends:value_at] == b"%b%c" % (_PLAIN_VALUE, size):
            name = payload[start + 2 : ends].decode("utf-8", "replace")
            return name, number_of(payload[value_at:stop])
    return _any_item(payload, start, stop)


def _any_item(payload: bytes, start: int, stop: int) -> tuple[str, Json]:
    key: list[bytes] = []
    nested: list[bytes] = []
    value: Json = None
    for number, wire, first, last in fields(payload, start, stop):
        if wire != 2:
            continue
        if number == _VALUE_JSON:
            value = number_of(payload[first:last])
        elif number == _KEY:
            key = [payload[first:last]]
        elif number == _NESTED_KEY:
            nested.append(payload[first:last])
    return b"/".join(nested or key).decode("utf-8", "replace"), value


def number_of(text: bytes) -> Json:
    """What one JSON value holds in numbers.

    Returns:
        A number, or an object or list of them; None for text, truth values, media and no JSON.

    Example:
        >>> number_of(b"2.5"), number_of(b'"NaN"'), number_of(b'{"_type": "image-file"}')
        (2.5, nan, None)
    """
    try:
        return float(text)
    except ValueError:
        pass
    if text in _NON_FINITE:
        return _NON_FINITE[text]
    try:
        return without_media(orjson.loads(text))
    except (orjson.JSONDecodeError, RecursionError):
        return None


def without_media(value: Json, depth: int = _DEPTH) -> Json:
    """`value` without media objects, text, truth values, and objects deeper than `depth`.

    Example:
        >>> without_media({"a": 1, "b": {"_type": "histogram"}, "c": "x", "d": {"e": "NaN"}})
        {'a': 1, 'd': {'e': 'NaN'}}
    """
    if isinstance(value, dict):
        inner = cast("dict[str, Json]", value)
        if "_type" in inner or not depth:
            return None
        kept = {key: without_media(one, depth - 1) for key, one in inner.items()}
        return {key: one for key, one in kept.items() if one is not None} or None
    if isinstance(value, list):
        parts = cast("list[Json]", value)
        return parts if all(_is_number(one) for one in parts) else None
    return value if _is_number(value) else None


def _is_number(value: Json) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
