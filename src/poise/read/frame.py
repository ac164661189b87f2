"""What a reader hands to `assemble`: columns in log order, before their names are understood."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from poise.run import Event, Floats, Ints, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One named column.

    Attributes:
        rows: Indices of the frame's records that mention it, strictly increasing, shape (n,).
            Columns that every record mentions share one array.
        values: The numbers as logged, shape (n,); NaN and infinity mean logged as such.
    """

    rows: Ints
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Records of one kind.

    Attributes:
        size: Number of records.
        columns: By the name that the log uses, in log order. Positions (epoch, iter, step) are
            columns like all others.
        split: Split of all records where the format says it (`train`, `val`, ...); None where it
            is to be taken from the column names' prefixes.
        grain: `step` or `epoch` where the format says it; None where suffixes or positions tell.
        terms: Columns that the format itself declares to be terms, whatever their names.
        totals: Columns that the format itself declares to be totals.
        kinds: What the format itself declares columns to be, and the term that a weight or a count
            belongs to; goes before `terms`, `totals` and anything that names suggest.
        events: In log order, with `Event.step` holding the number of the record that follows it;
            `assemble` turns that into a step.
        event_steps: The step of each event where the format states it; empty if it never does.
        axis: Column that the format itself declares to be the step, even if it stands still.
        counter: Column that tells apart records of one step: where it differs, they are different
            records and no repeats or halves of one.
    """

    size: int
    columns: Mapping[str, Column]
    split: str | None = None
    grain: str | None = None
    terms: frozenset[str] = frozenset()
    totals: frozenset[str] = frozenset()
    kinds: Mapping[str, tuple[Kind, str | None]] = field(
        default_factory=dict[str, tuple[Kind, str | None]]
    )
    events: tuple[Event, ...] = ()
    event_steps: tuple[int | None, ...] = ()
    axis: str | None = None
    counter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """All that one log gave: the return value of every reader.

    Attributes:
        format: Name of the format, for people: `csv`, `jsonl`, `text`, ...
        frames: In order of importance is not required; `assemble` finds the training frame.
        declared: See `poise.run.Run.declared`.
        remarks: See `poise.run.Run.remarks`.
    """

    format: str
    frames: tuple[Frame, ...]
    declared: Mapping[str, object] = field(default_factory=dict[str, object])
    remarks: tuple[str, ...] = ()
