"""The lines of a run record: their names, and how one line is written and read back.

docs/record.md is the same for people. Every line is strict JSON, so any tool can read it; the three
numbers that JSON has no word for are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
"""

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import NoReturn, TypeAlias, cast

import orjson

from poise.errors import RecordError

SCHEMA = "poise.run/1"
"""Written into every header. The number after the slash changes when old readers would misread."""
FILE = "run.jsonl"
"""Name of the record inside a run directory."""

MAX_STEP = 2**53
"""Steps stay exact as float64."""

Record: TypeAlias = dict[str, object]
"""One decoded line."""

SCALARS = (
    "step",
    "wall_s",
    "total",
    "grad_norm",
    "grad_norm_used",
    "micro",
    "skipped",
    "discarded",
)
"""Keys of `step` and `eval` records that hold one number."""
MAPS = ("terms", "weights", "counts", "log")
"""Keys of `step` and `eval` records that hold numbers by name."""
KEYS = frozenset({"kind", "split", "lr", *SCALARS, *MAPS})
"""All keys of `step` and `eval` records."""

_TEXTS = frozenset({"kind", "split", "name", "text"})
_PLAIN = frozenset({float, int})
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(record: Mapping[str, object]) -> bytes:
    r"""One line with its newline, of a `step`, `eval` or `event` record.

    Raises:
        RecordError: A value is no number, or a name is no Unicode text; the message names it.

    Example:
        >>> encode({"kind": "step", "step": 3, "terms": {"ce": float("nan"), "kl": -0.0}})
        b'{"kind":"step","step":3,"terms":{"ce":"NaN","kl":-0.0}}\n'
    """
    try:
        if _is_plain(record):
            return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, OverflowError):
        pass  # an integer beyond 64 bits, or a misuse that the other path names
    return encode_free({key: _checked(key, value) for key, value in record.items()})


def encode_free(record: Mapping[str, object]) -> bytes:
    """One line with its newline, of any nesting of mappings, lists, texts, numbers and None.

    Raises:
        RecordError: Something in it has no place in JSON.
    """
    try:
        text = json.dumps(
            _spelled(record), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode() + b"\n"
    except UnicodeEncodeError as error:
        name = ascii(error.object[max(error.start - 20, 0) : error.end + 20])
        raise RecordError(
            f"Recorder: expected names that are Unicode text, got a lone surrogate in {name}; "
            "rename it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"Recorder: expected values that JSON can hold, got one it cannot ({error}); "
            "pass shorter numbers or a flatter structure"
        ) from error


def decode(line: bytes) -> Record | None:
    """The object that one line holds, its numbers still as written; None if it holds none.

    Example:
        >>> decode(b'{"kind":"step","step":3}')
        {'kind': 'step', 'step': 3}
        >>> decode(b'{"kind":"st') is None
        True
    """
    try:
        found: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = _decode_slowly(line)
    return cast(Record, found) if isinstance(found, dict) else None


def number(value: object) -> float | None:
    """The float64 nearest to a number as a line holds it; None if it is no number.

    An integer beyond the range of float64 is infinite. `null`, which other writers use for numbers
    that JSON cannot spell, is NaN.

    Example:
        >>> number("-Infinity"), number(2**70), number(-(10**400)), number("high")
        (-inf, 1.1805916207174113e+21, -inf, None)
    """
    if value is None:
        return math.nan
    if not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if cast(int, value) > 0 else -math.inf
    except ValueError:
        return None


def decoded(record: Record) -> Record:
    """A `step` or `eval` record with its non-finite numbers as floats; others as they are."""
    if record.get("kind") not in ("step", "eval"):
        return record
    return {key: _decoded(value) if key in KEYS else value for key, value in record.items()}


def _is_plain(record: Mapping[str, object]) -> bool:
    """True if all numbers are Python's own and finite, so that orjson writes them as they are."""
    numbers: list[object] = []
    for key, value in record.items():
        if key in MAPS:
            numbers += cast(Record, value).values()
        elif key == "lr":
            numbers += cast(list[object], value)
        elif key not in _TEXTS:
            numbers.append(value)
    # One infinity or NaN among them leaves no finite sum.
    return _PLAIN.issuperset(map(type, numbers)) and math.isfinite(sum(cast(list[float], numbers)))


def _checked(key: str, value: object) -> object:
    if key in _TEXTS:
        return value
    if key in MAPS:
        pairs = cast(Mapping[object, object], value)
        return {_name(name, key): _number(one, f"{key} {name!r}") for name, one in pairs.items()}
    if key == "lr":
        return [_number(one, key) for one in cast(list[object], value)]
    return _number(value, key)


def _number(value: object, where: str) -> object:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise _refusal(where, "a number", value, "pass a Python number, for a tensor its .item()")


def _name(name: object, where: str) -> str:
    if isinstance(name, str):
        return str(name)
    raise _refusal(where, "names that are texts", name, "name it by a str")


def _refusal(where: str, expected: str, got: object, then: str) -> RecordError:
    kind = type(got).__name__
    return RecordError(f"Recorder: {where}: expected {expected}, got {kind} {got!r:.60}; {then}")


def _spelled(value: object) -> object:
    """`value` with its non-finite numbers as texts."""
    if isinstance(value, Mapping):
        pairs = cast(Mapping[object, object], value)
        return {_name(name, "a key"): _spelled(one) for name, one in pairs.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(one) for one in cast(list[object], value)]
    if value is None or isinstance(value, (str, bool)):
        return value
    plain = _number(value, "a value")
    if isinstance(plain, float) and not math.isfinite(plain):
        return _NAMES.get(plain, "NaN")
    return plain


def _decode_slowly(line: bytes) -> object:
    """What orjson does not read but the schema allows: integers beyond the range of float64."""
    try:
        found: object = json.loads(line, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()  # names are Unicode text
    except (ValueError, RecursionError):
        return None
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _decoded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _decoded(one) for name, one in cast(Record, value).items()}
    if isinstance(value, list):
        return [_decoded(one) for one in cast(list[object], value)]
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
