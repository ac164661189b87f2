"""Reads poise's own run records; docs/record.md documents them."""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from poise.errors import ReadError
from poise.read.frame import Column, Frame, Parsed
from poise.read.probes import probes_of
from poise.read.source import Source
from poise.record.reader import TRAIN, RecordData, Split, read_record

NAME = "poise"
MICRO = "micro"
"""Column that numbers the micro-batches of a watched training."""
TASK = "task"
"""Role of a term that declares none."""

_FIRST_LINE = re.compile(rb'\s*\{"kind":"(?:header|step|eval|probe|event)"')


def matches(source: Source) -> bool:
    """True for a run record, also for one whose header is cut off or missing."""
    return _FIRST_LINE.match(source.head) is not None or source.head.startswith(b'{"kind":"he')


def read(source: Source) -> Parsed:
    """The records of one run: a frame for the training and one for each evaluated split.

    Raises:
        ReadError: There is no record yet, or the file needs another version of poise.
    """
    data = read_record(source.read() if source.packing else source.path)
    probes = probes_of(data.probes)
    if not data.splits:
        raise ReadError(
            f"{source.path}: expected records of steps or evaluations, got a run record without "
            "any; come back when the training has taken a step"
        )
    return Parsed(
        format=NAME,
        frames=(
            *(_frame(one, data) for one in data.splits),
            *([] if probes.frame is None else [probes.frame]),
        ),
        declared={**probes.declared, **data.declared, "roles": _roles(data)},
        remarks=(*source.remarks, *data.remarks),
    )


def _roles(data: RecordData) -> dict[str, str]:
    """Role of every term: what is not declared is a task, whatever its name suggests.

    Whoever writes this record can say what a term is for; the writer of a foreign log cannot, and
    only there a name is a hint.
    """
    named = cast(Sequence[str], data.declared.get("terms", ()))
    told = cast(Mapping[str, str], data.declared.get("roles", {}))
    logged = (name for one in data.splits for name in one.terms)
    return dict.fromkeys((*named, *logged), TASK) | dict(told)


def _frame(split: Split, data: RecordData) -> Frame:
    columns = {
        name: Column(rows=rows, values=values) for name, (rows, values) in split.columns.items()
    }
    main = split.name == TRAIN or len(data.splits) == 1
    return Frame(
        size=split.size,
        columns=columns,
        split=split.name,
        grain="step",
        terms=frozenset(split.terms),
        totals=frozenset({"total"} & columns.keys()),
        kinds=split.kinds,
        events=data.events if main else (),
        event_steps=data.event_steps if main else (),
        **({"axis": "step", "counter": MICRO} if MICRO in columns else {}),
    )
