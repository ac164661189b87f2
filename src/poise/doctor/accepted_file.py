"""Where acknowledgements are kept: a small TOML file beside the run, and one for a project."""

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import cast

from poise.doctor.acknowledgement import Acknowledgement
from poise.doctor.finding import Severity
from poise.errors import AcceptError

BESIDE = "accepted.toml"
"""In a run directory; of a log that is a file, `LOG.accepted.toml`."""
PROJECT = "poise-accepted.toml"
"""In the current directory or the nearest one above it."""

HEAD = """\
# Findings that were read and accepted: shown by `poise diagnose` as accepted, and reported again
# once they grow. `poise accept` rewrites this file in order; comments in it are not kept.
"""
_KEYS = {"rule": str, "terms": list, "severity": str, "why": str, "when": date}
KINDS = {str: "a text", list: "a list of texts", date: "a day"}
"""What is expected of each kind of value, in words."""
_NUMBERS = {"series": str, "value": float, "threshold": float}


def beside(run: Path) -> Path:
    """The file that holds what was accepted of one run.

    Example:
        >>> beside(Path("runs/a/run.jsonl")).as_posix(), beside(Path("logs/train.csv")).as_posix()
        ('runs/a/accepted.toml', 'logs/train.csv.accepted.toml')
    """
    if run.name == "run.jsonl":
        return run.parent / BESIDE
    return run / BESIDE if run.is_dir() else run.with_name(f"{run.name}.{BESIDE}")


def of_project(start: Path | None = None) -> Path:
    """The nearest file of a project at or above a directory; else where it would be made.

    Args:
        start: The directory to begin at; the current one by default.
    """
    start = Path() if start is None else start
    try:
        start = start.absolute()
    except FileNotFoundError:  # the current directory was removed: it holds no file
        return start / PROJECT
    found = (one / PROJECT for one in (start, *start.parents))
    return next((one for one in found if one.is_file()), start / PROJECT)


def load(files: Iterable[Path]) -> tuple[Acknowledgement, ...]:
    """What the files hold; one that does not exist holds nothing.

    Raises:
        AcceptError: A file cannot be read, is no TOML or holds something else.
    """
    return tuple(one for path in files for one in _read(path))


def store(path: Path, accepted: Iterable[Acknowledgement]) -> None:
    """Adds acknowledgements to a file; one of the same rule and terms is replaced.

    The file is written whole beside its place and then moved there, sorted by rule and terms.

    Raises:
        AcceptError: The file cannot be read or written.
    """
    known = {(one.rule, one.terms): one for one in (*load([path]), *accepted)}
    text = "\n".join((HEAD, *(_entry(known[key]) for key in sorted(known))))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder cannot be written: there is nothing to remove either
            fresh.unlink()
        raise AcceptError(
            f"{path}: expected a file that can be written, got {error.strerror}; make its folder "
            "writable, or accept for the project with --project"
        ) from error


def _read(path: Path) -> Iterator[Acknowledgement]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise AcceptError(f"{path}: expected readable TOML, got: {said}; mend it") from error
    entries = data.get("accepted", [])
    if set(data) - {"accepted"} or not isinstance(entries, list):
        got = ", ".join(f"{key} = {one!r:.40}" for key, one in data.items())
        raise AcceptError(f"{path}: expected nothing but [[accepted]] tables, got {got}; mend it")
    for number, entry in enumerate(cast("list[object]", entries), start=1):
        yield _parsed(entry, f"{path}: [[accepted]] number {number}", path)


def _parsed(entry: object, where: str, path: Path) -> Acknowledgement:
    found = cast("Mapping[str, object]", entry if isinstance(entry, dict) else {})
    for key, kind in _KEYS.items():
        if not _is(found.get(key), kind):
            raise AcceptError(
                f"{where}: expected {key!r} to be {KINDS[kind]}, got {found.get(key)!r:.60}; "
                "mend it, or accept the finding anew"
            )
    if unknown := {*found} - {*_KEYS} - {*_NUMBERS}:
        known = ", ".join((*_KEYS, *_NUMBERS))
        raise AcceptError(f"{where}: expected the keys {known}, got {min(unknown)!r}; remove it")
    if found["severity"] not in list(Severity):
        raise AcceptError(
            f"{where}: expected a severity ({', '.join(Severity)}), got {found['severity']!r:.60}; "
            "mend it"
        )
    series, value, threshold = _measured(found, where)
    return Acknowledgement(
        rule=str(found["rule"]),
        terms=tuple(map(str, cast("list[object]", found["terms"]))),
        severity=Severity(str(found["severity"])),
        why=str(found["why"]),
        when=cast(date, found["when"]),
        series=series,
        value=value,
        threshold=threshold,
        file=path,
    )


def _is(value: object, kind: type) -> bool:
    """True if a value is of a kind: a list holds texts only, and a day has no hour."""
    if kind is list:
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        return all(isinstance(one, str) for one in items)
    return type(value) is kind


def _measured(found: Mapping[str, object], where: str) -> tuple[str, float | None, float | None]:
    """Series, value and threshold that were accepted; all three or none of them are given."""
    given = {key: found[key] for key in _NUMBERS if key in found}
    if not given:
        return "", None, None
    numbers = [one for key, one in given.items() if key != "series"]
    whole = all(isinstance(one, (int, float)) and type(one) is not bool for one in numbers)
    if len(given) < len(_NUMBERS) or not whole or not isinstance(given.get("series"), str):
        raise AcceptError(
            f"{where}: expected a text 'series' with the numbers 'value' and 'threshold', got "
            f"{given!r:.80}; mend it, or accept the finding anew"
        )
    value, threshold = (float(cast(float, given[key])) for key in ("value", "threshold"))
    return str(given["series"]), value, threshold


def _entry(one: Acknowledgement) -> str:
    lines = [
        "[[accepted]]",
        f"rule = {_quoted(one.rule)}",
        f"terms = [{', '.join(map(_quoted, one.terms))}]",
        f"severity = {_quoted(one.severity.value)}",
        f"why = {_quoted(one.why)}",
        f"when = {one.when.isoformat()}",
    ]
    if one.value is not None and one.threshold is not None:
        lines.append(f"series = {_quoted(one.series)}")
        lines.append(f"value = {float(one.value)!r}")
        lines.append(f"threshold = {float(one.threshold)!r}")
    return "\n".join((*lines, ""))


def _quoted(text: str) -> str:
    """A TOML basic string; JSON escapes all that TOML wants escaped, but for DEL."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
