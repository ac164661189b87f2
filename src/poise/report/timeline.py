"""The shared horizontal axis of the charts: steps that only ever grow, also over restarts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.run import Ints, Table

SPANS = 20
"""A stretch of steps that was trained more often than this is marked as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Positions on the axis of one table and of all tables that count the same steps.

    A restart that goes back to an earlier step continues to the right of what came before it, so
    no line ever runs backwards and nothing that was overwritten is hidden. Without such a restart
    positions are steps.

    Attributes:
        firsts: Position of the first record of every (re)start, shape (k,), non-decreasing.
        lasts: Position of the last record of every (re)start, shape (k,).
        offsets: Position minus step, per (re)start, shape (k,).
        numbers: Number of every (re)start as `Table.segments` gives it, shape (k,), increasing.
    """

    firsts: Ints
    lasts: Ints
    offsets: Ints
    numbers: Ints

    def positions(self, table: Table) -> Ints:
        """Position of every record of a table, shape (len(table),); may repeat."""
        if not self.offsets.any():
            return table.steps
        known = np.searchsorted(self.numbers, table.segments).clip(0, len(self.numbers) - 1)
        return table.steps + self.offsets[known]

    def spans(self, steps: tuple[int, int]) -> list[list[int]]:
        """Where a stretch of steps lies: once for every (re)start that trained some of it."""
        low = np.maximum(self.firsts, steps[0] + self.offsets)
        high = np.minimum(self.lasts, steps[1] + self.offsets)
        inside = np.flatnonzero(low <= high)
        if len(inside) > SPANS:
            return [[int(low[inside[0]]), int(high[inside[-1]])]]
        return [[int(low[one]), int(high[one])] for one in inside]

    def nearest(self, step: int) -> int | None:
        """Position of a step in the latest (re)start that reached it; None outside of all."""
        found = self.spans((step, step))
        return found[-1][1] if found else None


def timeline(table: Table) -> Timeline:
    """The axis of a table.

    Example:
        >>> steps = np.array([0, 10, 20, 10, 20])
        >>> numbers = np.array([0, 0, 0, 1, 1])
        >>> one = Table(split="train", grain="step", steps=steps, step_name="step",
        ...             segments=numbers, series={})
        >>> timeline(one).positions(one)
        array([ 0, 10, 20, 30, 40])
    """
    starts = np.flatnonzero(np.diff(table.segments, prepend=table.segments[:1] - 1))
    ends = np.append(starts[1:], len(table)) - 1
    lows, highs = table.steps[starts], table.steps[ends]
    offsets = np.zeros(len(starts), dtype=np.int64)
    gap = _gap(table.steps)
    for index in range(1, len(starts)):
        reached = highs[index - 1] + offsets[index - 1]
        ahead = lows[index] + offsets[index - 1] > reached
        offsets[index] = offsets[index - 1] if ahead else reached + gap - lows[index]
    return Timeline(
        firsts=lows + offsets,
        lasts=highs + offsets,
        offsets=offsets,
        numbers=table.segments[starts],
    )


def _gap(steps: NDArray[np.int64]) -> int:
    """The usual distance of two records."""
    ahead = np.diff(steps)
    ahead = ahead[ahead > 0]
    return int(np.median(ahead)) if ahead.size else 1
