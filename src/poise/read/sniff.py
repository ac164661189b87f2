"""Which reader a path needs, and which log of a directory is the one to read."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from poise.errors import ReadError
from poise.read import (
    delimited,
    events,
    jsonl,
    record,
    text,
    trainer_state,
    wandb,
    wandb_summary,
)
from poise.read.assemble import assemble
from poise.read.frame import Parsed
from poise.read.source import Source, open_source, refuse_junk
from poise.read.words import bag
from poise.run import Kind, Run

Progress = Callable[[float], None]
"""Called with the part that is done, from 0.0 to 1.0."""

RECORD = "run.jsonl"
"""The file that makes a directory a run of our own."""

MAX_DEPTH = 4
MAX_FILES = 2_000
"""A directory is searched this deep, and so many files of it are looked at."""

_MAX_PARSED = 24  # candidates of a directory that are read in full to compare them
_SUFFIXES = bag(".csv .tsv .json .jsonl .log .txt .out .wandb .gz .bz2 .xz .old") | {""}
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})
_NO_LOGS = bag("requirements.txt readme.txt license.txt license package.json config.json args.json")


class Reader(Protocol):
    """A module that reads one family of formats."""

    NAME: str

    def matches(self, source: Source) -> bool:
        """True if the file is of this family."""
        ...

    def read(self, source: Source) -> Parsed:
        """The columns of the file.

        Raises:
            ReadError: It holds no records, or is damaged from its beginning.
        """
        ...


BINARY: tuple[Reader, ...] = cast("tuple[Reader, ...]", (events, wandb))
TEXTUAL: tuple[Reader, ...] = cast(
    "tuple[Reader, ...]",
    (record, trainer_state, wandb_summary, jsonl, delimited, text),
)
READERS: tuple[Reader, ...] = (*BINARY, *TEXTUAL)
"""Every reader, in the order in which they are asked; the last takes any text."""

FORMATS: tuple[str, ...] = tuple(reader.NAME for reader in READERS)
"""Names that `read_run` takes as `format`."""


def read_run(
    path: str | Path, *, format: str | None = None, progress: Progress | None = None
) -> Run:
    """Read a training log of any supported format.

    Args:
        path: A file, or a directory that is searched for logs.
        format: Name of the format where recognising it goes wrong; one of `FORMATS`.
        progress: Told how far the reading is.

    Raises:
        ReadError: There is nothing to read; one line says what was expected and found.
    """
    told = progress or _ignore
    told(0.0)
    path, forced = Path(path), None if format is None else _named(format)
    run = _read_directory(path, forced, told) if _is_directory(path) else _read_file(path, forced)
    told(1.0)
    return run


def _named(format: str) -> Reader:
    for reader in READERS:
        if format == reader.NAME:
            return reader
    raise ReadError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")


def reader_of(source: Source, forced: Reader | None = None) -> Reader:
    """The reader that a file needs; `forced` if it is given.

    Raises:
        ReadError: It is of no supported format.
    """
    if forced is not None:
        return forced
    for reader in BINARY:
        if reader.matches(source):
            return reader
    refuse_junk(source)
    for reader in TEXTUAL:
        if reader.matches(source):
            return reader
    raise ReadError(
        f"{source.path}: no known log format; expected CSV, JSON Lines, trainer_state.json, "
        "TensorBoard or W&B files, or text with a position and name-value pairs"
    )


def _ignore(part: float) -> None:
    del part


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _read_file(path: Path, forced: Reader | None) -> Run:
    source = open_source(path)
    return assemble(path, _parse(reader_of(source, forced), source))


def _parse(reader: Reader, source: Source) -> Parsed:
    try:
        return reader.read(source)
    except ReadError as error:
        said = str(error)
        raise ReadError(said if str(source.path) in said else f"{source.path}: {said}") from None


def _read_directory(path: Path, forced: Reader | None, told: Progress) -> Run:
    own = path / RECORD
    if own.is_file() and forced in (None, record):
        source = open_source(own)
        return assemble(path, _parse(reader_of(source, forced), source))
    files, cut = _found(path)
    sources = [one for one in _readable(files) if forced in (None, one[0])]
    if not any(reader is record for reader, _ in sources):
        groups = _event_groups(sources)
        for folder in sorted(groups, key=lambda one: _bytes(groups[one]), reverse=True):
            try:
                run = assemble(folder, events.read_many(groups[folder]))
            except ReadError:
                continue
            return _said(run, path, _beside(path, sources, folder), cut)
    return _best(path, sources, told, cut)


def _found(path: Path) -> tuple[list[Path], str]:
    """Files that may be logs, in a stable order, links to directories not followed."""
    files: list[Path] = []
    seen = 0
    for folder, folders, names in os.walk(path, followlinks=False):
        depth = len(Path(folder).relative_to(path).parts)
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and one not in _SKIPPED
        )
        if depth >= MAX_DEPTH:
            folders.clear()
        for name in sorted(names):
            seen += 1
            if seen > MAX_FILES:
                return files, f"only the first {MAX_FILES:,} files of the directory were looked at"
            if _may_be_log(name):
                files.append(Path(folder) / name)
    return files, ""


def _may_be_log(name: str) -> bool:
    lower = name.lower()
    if lower in _NO_LOGS or lower.startswith("."):
        return False
    return "tfevents" in lower or Path(lower).suffix in _SUFFIXES


def _readable(files: Sequence[Path]) -> Iterator[tuple[Reader, Source]]:
    """Files that a reader takes; the others are passed over in silence."""
    for file in files:
        try:
            source = open_source(file)
            yield reader_of(source), source
        except ReadError:
            continue


def _event_groups(sources: Sequence[tuple[Reader, Source]]) -> dict[Path, list[Source]]:
    groups: dict[Path, list[Source]] = {}
    for reader, source in sources:
        if reader.NAME == events.NAME:
            groups.setdefault(events.run_root(source), []).append(source)
    return groups


def _bytes(sources: Sequence[Source]) -> int:
    return sum(one.path.stat().st_size for one in sources)


def _beside(path: Path, sources: Sequence[tuple[Reader, Source]], folder: Path) -> list[str]:
    """Logs that are passed over for the event files of one folder; any text may be no log."""
    others: dict[str, None] = {}
    for reader, source in sources:
        if reader is text or (reader is events and events.run_root(source) == folder):
            continue
        file = events.run_root(source) if reader is events else source.path
        others[str(file.relative_to(path))] = None
    return list(others)


def _best(path: Path, sources: Sequence[tuple[Reader, Source]], told: Progress, cut: str) -> Run:
    own = [one for one in sources if one[0].NAME == record.NAME]
    chosen = own or list(sources)
    chosen = sorted(chosen, key=lambda one: one[1].path.stat().st_size, reverse=True)
    runs: list[Run] = []
    for index, (reader, source) in enumerate(chosen[:_MAX_PARSED]):
        try:
            runs.append(assemble(source.path, _parse(reader, source)))
        except ReadError:
            continue
        finally:
            told((index + 1) / len(chosen[:_MAX_PARSED]))
    runs = [run for run in runs if _richness(run)[0] > 0] or runs
    if not runs:
        raise ReadError(
            f"{path}: no training log in this directory; looked for a run record ({RECORD}), "
            "TensorBoard events, .wandb, CSV, JSON Lines, trainer_state.json and text logs"
        )
    best = max(runs, key=_richness)
    others = [str(run.path.relative_to(path)) for run in runs if run is not best]
    return _said(best, path, others, cut)


def _richness(run: Run) -> tuple[int, int]:
    """How much a log tells: its loss columns, then its records."""
    losses = len({one.name for one in run.train.of_kind(Kind.TERM, Kind.TOTAL)})
    return losses, run.records


def _said(run: Run, path: Path, others: Sequence[str], cut: str = "") -> Run:
    """The run with a remark on what was chosen and what was passed over."""
    name = str(run.path.relative_to(path))
    said = "read from " + ("this directory" if name == "." else f"{name} in this directory")
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        said += f"; passed over: {', '.join(others[:5])}{more}"
    remarks = (said, cut) if cut else (said,)
    return replace(run, remarks=(*remarks, *run.remarks))
