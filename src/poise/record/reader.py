"""Reads a run record into columns."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from poise.errors import ReadError
from poise.record.columns import Cells, Columns
from poise.record.header import Header
from poise.record.names import column_kind, column_names, term_column
from poise.record.schema import FILE, MAX_STEP, Record, decode
from poise.run import Event, Kind

TRAIN = "train"
"""Split of `step` records."""
_CHUNK = 1 << 20
_TOLD = 10
"""More unknown names than this are not told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Records of one split.

    Attributes:
        name: `train` for `step` records, else the name the evaluation was recorded under.
        size: Number of records.
        columns: By name, in order of appearance; docs/record.md tells the names. Each is the
            records that mention it, strictly increasing, and the values there.
        kinds: What the columns are, and the term that a weight or a count belongs to; columns
            from `log` are not in it.
    """

    name: str
    size: int
    columns: Mapping[str, Cells]
    kinds: Mapping[str, tuple[Kind, str | None]]

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns that are terms."""
        return tuple(name for name, (kind, _) in self.kinds.items() if kind is Kind.TERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordData:
    """All that a run record holds.

    Attributes:
        splits: In order of appearance.
        events: In order; `Event.step` is the number of the `step` record that follows.
        event_steps: The step that each event states; None where it states none.
        probes: As recorded.
        declared: `terms`, `weights`, `shares`, `roles`, `total_steps`, where a header says them,
            and the facts that a recorder declared beside them.
        remarks: What was skipped, one sentence each.
    """

    splits: tuple[Split, ...]
    events: tuple[Event, ...]
    event_steps: tuple[int | None, ...]
    probes: tuple[Record, ...]
    declared: Mapping[str, object]
    remarks: tuple[str, ...]


def read_record(source: str | os.PathLike[str] | bytes) -> RecordData:
    """The columns of a run record: of a run directory, of its file, or of the file's bytes.

    Lines that are cut off, are no records or have a kind that this version does not know are
    skipped, and a remark says so.

    Raises:
        ReadError: The file cannot be read, or a newer version of poise has to read it.

    Example:
        >>> lines = b'{"kind":"step","step":7,"total":0.5,"terms":{"ce":"NaN"}}'
        >>> read_record(lines).splits[0].columns["ce"]
        (array([0]), array([nan]))
    """
    chunks = _chunks(source) if isinstance(source, bytes) else _file_chunks(Path(source))
    reading = _Reading()
    for chunk in chunks:
        reading.take(chunk)
    return reading.finish()


def _file_chunks(path: Path) -> Iterator[bytes]:
    """As `_chunks`, without ever holding the whole file."""
    path = path / FILE if path.is_dir() else path
    try:
        with path.open("rb") as file:
            while block := file.read(_CHUNK):
                yield block + file.readline()
    except OSError as error:
        raise ReadError(
            f"{path}: expected a readable run record, got {error.strerror}; check the path"
        ) from error


def _chunks(data: bytes) -> Iterator[bytes]:
    """Whole lines, about `_CHUNK` bytes of them at a time."""
    start = 0
    while start < len(data):
        stop = data.find(b"\n", start + _CHUNK) + 1 or len(data)
        yield data[start:stop]
        start = stop


def _records(chunk: bytes) -> list[Record] | None:
    """The objects of all lines, parsed in one go; None if a line needs a closer look."""
    lines = chunk.removesuffix(b"\n")
    try:
        found = orjson.loads(b"[" + lines.replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        return None
    # A torn line could complete the one after it; then there are fewer objects than lines.
    whole = len(found) == lines.count(b"\n") + 1 and set(map(type, found)) == {dict}
    return cast(list[Record], found) if whole else None


@dataclass(slots=True)
class _Reading:
    """State of one pass over a record."""

    header: Header = field(default_factory=Header)
    splits: dict[str, Columns] = field(default_factory=dict[str, Columns])
    waiting: dict[str, list[Record]] = field(default_factory=dict[str, list[Record]])
    events: list[Event] = field(default_factory=list[Event])
    event_steps: list[int | None] = field(default_factory=list[int | None])
    probes: list[Record] = field(default_factory=list[Record])
    kinds: Counter[str] = field(default_factory=Counter[str])
    lines: int = 0
    skipped: list[int] = field(default_factory=list[int])
    unplaced: int = 0
    cut: bool = False

    def take(self, chunk: bytes) -> None:
        """Sorts the records of whole lines by kind and gathers them."""
        records = _records(chunk)
        if records is None:
            records = list(self._closely(chunk))
        else:
            self.lines += len(records)
        steps = self.waiting.setdefault(TRAIN, [])
        for record in records:
            if record.get("kind") == "step" and type(step := record.get("step")) is int:
                if -MAX_STEP <= step <= MAX_STEP:
                    steps.append(record)
                else:
                    self.unplaced += 1
            else:
                self._sort_in(record)
        self._gather()

    def finish(self) -> RecordData:
        """Names the columns, now that all of them are known."""
        sizes = {name: one.size for name, one in self.splits.items() if one.size}
        found = {name: self.splits[name].finish() for name in sizes}
        keys = [key for columns in found.values() for key in columns]
        names = column_names(keys, sum(key[0] == "lr" for key in set(keys)))
        kinds = {key: kind for key in names if (kind := column_kind(key)) is not None}
        splits = tuple(
            Split(
                name=name,
                size=sizes[name],
                columns={names[key]: cells for key, cells in columns.items()},
                kinds={names[key]: kinds[key] for key in columns if key in kinds},
            )
            for name, columns in found.items()
        )
        return RecordData(
            splits=splits,
            events=tuple(self.events),
            event_steps=tuple(self.event_steps),
            probes=tuple(self.probes),
            declared=self.header.declared(),
            remarks=tuple(self._remarks(key[1] for key in names if key[0] == "terms")),
        )

    def _closely(self, chunk: bytes) -> Iterator[Record]:
        """The records of lines of which at least one is none."""
        for line in chunk.removesuffix(b"\n").split(b"\n"):
            self.lines += 1
            record = decode(line)
            if record is not None:
                yield record
            elif line.strip():
                self.skipped.append(self.lines)
        self.cut = not chunk.endswith(b"\n") and self.skipped[-1:] == [self.lines]

    def _sort_in(self, record: Record) -> None:
        kind = record.get("kind")
        if kind in ("step", "eval"):
            split = record.get("split", "eval")
            if kind == "eval" and isinstance(split, str) and split != TRAIN and _is_placed(record):
                self.waiting.setdefault(split, []).append(record)
            else:
                self.unplaced += 1
        elif kind == "event":
            self._add_event(record)
        elif kind == "probe":
            self.probes.append(record)
        elif kind == "header":
            self._gather()
            weights = self.header.take(record)
            for columns in self.splits.values():
                columns.set_from_here(weights)
        else:
            self.kinds[repr(kind)[:40]] += 1

    def _add_event(self, record: Record) -> None:
        before = self.splits.get(TRAIN)
        row = (before.size if before else 0) + len(self.waiting.get(TRAIN, ()))
        name, text = str(record.get("name", "")), str(record.get("text", ""))
        self.events.append(Event(name=name, step=row, text=text[:300]))
        stated = record.get("step")
        self.event_steps.append(stated if type(stated) is int else None)

    def _gather(self) -> None:
        for split, records in self.waiting.items():
            if not records:
                continue
            if split not in self.splits:
                self.splits[split] = Columns()
                self.splits[split].set_from_here(self.header.weights)
            self.splits[split].extend(records)
            records.clear()

    def _remarks(self, terms: Iterable[str]) -> Iterator[str]:
        if not self.header.count:
            yield "no header: nothing is declared, and terms are what the records call so"
        if self.cut:
            yield f"the last line, {self.skipped.pop()}, is cut off and is left out"
        if self.skipped:
            first = f"{'the first is ' * (len(self.skipped) > 1)}line {self.skipped[0]}"
            yield f"{_lines(len(self.skipped), 'no record')} skipped: {first}"
        if self.unplaced:
            yield f"{_lines(self.unplaced, 'without a step or a split of its own')} left out"
        for kind, count in self.kinds.most_common(_TOLD):
            yield f"{_lines(count, f'of the unknown kind {kind}')} left out"
        yield from self._remarks_on_values()
        for term in terms:
            if term_column(term) != term:
                yield f"the term {term!r} is shown as {term_column(term)!r}, to tell it apart"

    def _remarks_on_values(self) -> Iterator[str]:
        unknown, bad = Counter[str](), Counter[str]()
        for columns in self.splits.values():
            unknown += columns.unknown
            bad += columns.bad
        for key, count in unknown.most_common(_TOLD):
            yield f"the unknown key {key!r:.60} is left out of {_several(count, 'record')}"
        for key, count in bad.most_common():
            values = _several(count, "value")
            yield f"left out under {key!r}: {values} that no number can be made of"
        if huge := sum(columns.huge for columns in self.splits.values()):
            yield f"read as infinite: {_several(huge, 'integer')} beyond the range of float64"


def _is_placed(record: Record) -> bool:
    step = record.get("step")
    return type(step) is int and -MAX_STEP <= step <= MAX_STEP


def _lines(count: int, what: str) -> str:
    return f"1 line is {what} and is" if count == 1 else f"{count} lines are {what} and are"


def _several(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
