"""The training table in at most 2000 blocks: the coarse view that trend rules work on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from poise.doctor.stats import block_medians, ends, smooth
from poise.run import Floats, Ints, Kind, Table

BLOCKS = 2000
"""Most blocks of one stretch: a level change is located to 0.05% of the run, and statistics over
all blocks cost the same for a thousand steps as for a million."""

_TRACED = tuple(kind for kind in Kind if kind not in (Kind.CLOCK, Kind.POSITION))


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One quantity over one uninterrupted stretch of training; finite values only.

    Not slotted, so that the derived quantities can be cached.

    Attributes:
        name: Name of the quantity.
        kind: What it is.
        number: Which block of the stretch, strictly increasing, shape (b,).
        mid: Median of each block, shape (b,).
        low: Minimum of each block, shape (b,).
        high: Maximum of each block, shape (b,).
        first: First step of each block, shape (b,).
        last: Last step of each block, shape (b,).
        opening: Median of the first five logged values: the block medians of a long training
            begin when the fastest part of the learning is over.
    """

    name: str
    kind: Kind
    number: Ints
    mid: Floats
    low: Floats
    high: Floats
    first: Ints
    last: Ints
    opening: float

    def __len__(self) -> int:
        return len(self.mid)

    @property
    def steps(self) -> tuple[int, int]:
        """First and last step."""
        return int(self.first[0]), int(self.last[-1])

    @cached_property
    def smoothed(self) -> Floats:
        """Running median over a twentieth of the blocks, at least 5 blocks, shape (b,)."""
        return smooth(self.mid, max(5, len(self.mid) // 20))

    @cached_property
    def start(self) -> float:
        """Level at the beginning: the higher of the opening and the first twentieth."""
        return max(self.opening, ends(self.mid, 0.05)[0])

    @cached_property
    def end(self) -> float:
        """Level at the end: median of the last tenth."""
        return ends(self.mid)[1]

    @cached_property
    def best(self) -> float:
        """Lowest smoothed level."""
        return float(self.smoothed.min())

    @cached_property
    def best_at(self) -> int:
        """Block index of the lowest smoothed level."""
        return int(self.smoothed.argmin())

    @cached_property
    def scatter(self) -> float:
        """Median distance of the blocks from the running median."""
        return float(np.median(np.abs(self.mid - self.smoothed)))

    @cached_property
    def positive(self) -> bool:
        """True if no block holds a value below zero and not all are zero."""
        return bool(self.low.min() >= 0 and self.high.max() > 0)

    @cached_property
    def zero(self) -> bool:
        """True if every logged value is exactly zero."""
        return bool(self.low.min() == 0 == self.high.max())

    @cached_property
    def fall(self) -> float:
        """Share of the starting level that is gone at the lowest one, at least 0: 0.3 is 30% down.

        NaN where a ratio says nothing: a quantity that is not positive throughout.
        """
        if not self.positive or self.start <= 0:
            return float("nan")
        return max(0.0, 1.0 - min(self.best, self.end) / self.start)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The records between two restarts of the training table.

    Attributes:
        table: The table.
        begin: Its first row.
        stop: The row after its last.
        segment: Number of the restart.
    """

    table: Table
    begin: int
    stop: int
    segment: int

    def __len__(self) -> int:
        return self.stop - self.begin

    @property
    def width(self) -> int:
        """Rows of one block."""
        return max(1, -(-len(self) // BLOCKS))

    @cached_property
    def traces(self) -> Mapping[str, Trace]:
        """Every quantity that has at least one finite value here, in log order."""
        made = (self._trace(name) for name in self.table.series)
        return {one.name: one for one in made if one is not None}

    def of_kind(self, *kinds: Kind) -> list[Trace]:
        """The traces of the given kinds, in log order."""
        return [one for one in self.traces.values() if one.kind in kinds]

    @property
    def terms(self) -> list[Trace]:
        """The traces of the terms, in log order."""
        return self.of_kind(Kind.TERM)

    @property
    def losses(self) -> list[Trace]:
        """The terms; the totals where a log names no terms (a training with one loss)."""
        return self.terms or self.of_kind(Kind.TOTAL)

    def _trace(self, name: str) -> Trace | None:
        series = self.table.series[name]
        if series.kind not in _TRACED:
            return None
        lo, hi = (int(i) for i in np.searchsorted(series.rows, [self.begin, self.stop]))
        rows, values = series.rows[lo:hi] - self.begin, series.values[lo:hi]
        blocks = block_medians(rows, values, self.width)
        if not len(blocks.number):
            return None
        begins = self.begin + blocks.number * self.width
        stops = np.minimum(begins + self.width, self.stop) - 1
        opening = values[:50][np.isfinite(values[:50])][:5]
        return Trace(
            name=name,
            kind=series.kind,
            number=blocks.number,
            mid=blocks.mid,
            low=blocks.low,
            high=blocks.high,
            first=self.table.steps[begins],
            last=self.table.steps[stops],
            opening=float(np.median(opening)) if len(opening) else float(blocks.mid[0]),
        )


def stretches(table: Table) -> tuple[Stretch, ...]:
    """The uninterrupted stretches of a table, the longest first; at least one, empty if need be.

    Example:
        >>> table = Table(split="train", grain="step", steps=np.array([1, 2, 3, 1, 2]),
        ...     step_name="step", segments=np.array([0, 0, 0, 1, 1]), series={})
        >>> [len(one) for one in stretches(table)]
        [3, 2]
    """
    cuts = np.flatnonzero(np.diff(table.segments)) + 1
    edges = [0, *(int(one) for one in cuts), len(table)]
    found = (
        Stretch(table=table, begin=a, stop=b, segment=int(table.segments[a]) if b > a else 0)
        for a, b in pairwise(edges)
        if b > a or not len(table)
    )
    return tuple(sorted(found, key=len, reverse=True))
