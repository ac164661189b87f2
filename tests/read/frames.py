"""Builds small frames for tests."""

from collections.abc import Sequence

import numpy as np

from poise.read.frame import Column, Frame
from poise.run import Event

NAN = float("nan")


def frame(
    *,
    split: str | None = None,
    events: Sequence[Event] = (),
    terms: Sequence[str] = (),
    **columns: Sequence[float | None],
) -> Frame:
    """A frame of columns; None where a record does not mention it."""
    size = max(len(one) for one in columns.values())
    return Frame(
        size=size,
        columns={name: _column(values) for name, values in columns.items()},
        split=split,
        terms=frozenset(terms),
        events=tuple(events),
    )


def _column(values: Sequence[float | None]) -> Column:
    rows = [row for row, value in enumerate(values) if value is not None]
    held = [value for value in values if value is not None]
    return Column(rows=np.array(rows, dtype=np.int64), values=np.array(held, dtype=np.float64))
