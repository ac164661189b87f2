"""Series of both sides on a common axis, and the window over which they are compared."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from poise.doctor.case import Case
from poise.doctor.hints import role_of, words
from poise.doctor.series import micro_at
from poise.run import Floats, Ints, Kind, Run, Series, Table

WINDOW = 0.25
"""Share of the common course, at its end, that is compared."""
ALIKE = 0.5
"""Courses whose lengths differ by more than this factor are aligned by progress, not by step."""
FEWEST = 3
"""Values that a window needs."""
TRAIN = "train"
"""Name of the training split, whatever the log calls it."""
JUDGED = frozenset(("task", "constraint"))
"""Roles for which lower is better."""
HIGHER = frozenset(
    (
        *("acc", "accuracy", "f1", "auc", "auroc", "map", "iou", "miou", "bleu", "rouge", "hit"),
        *("precision", "recall", "reward", "return", "score", "psnr", "ssim", "r2"),
    )
)
"""Words in names of metrics for which higher is better."""
LOWER = frozenset(
    ("error", "err", "wer", "cer", "rmse", "mae", "mse", "perplexity", "ppl", "fid", "loss", "nll")
)
"""Words in names of metrics for which lower is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One quantity of one run.

    Attributes:
        at: Positions on the common axis, increasing, shape (n,).
        values: As logged, shape (n,); NaN and infinity included.
        steps: Steps of the log, shape (n,).
        updates: True if steps count updates of a training: not epochs, and no evaluation.
    """

    at: Floats
    values: Floats
    steps: Ints
    updates: bool

    def __len__(self) -> int:
        return len(self.values)

    def until(self, end: float, share: float = WINDOW) -> slice:
        """The window of this share of the course that ends at a position: `FEWEST` or more."""
        stop = int(np.searchsorted(self.at, end, side="right"))
        begin = float(self.at[0])
        start = int(np.searchsorted(self.at, end - share * (end - begin), side="right"))
        return slice(max(min(start, stop - FEWEST), 0), stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One quantity of all runs of both sides.

    Attributes:
        name: Its name.
        split: Its split.
        kind: `term`, `total` or `metric`.
        sign: 1 where lower is better, -1 where higher is, 0 where neither is.
        before: One course a run.
        after: One course a run.
        end: Last position that all courses reach.
    """

    name: str
    split: str
    kind: str
    sign: int
    before: tuple[Course, ...]
    after: tuple[Course, ...]
    end: float


def aligned_by(before: Sequence[Run], after: Sequence[Run], wished: str = "auto") -> str:
    """`step` if all training tables count the same steps and end about as far, else `progress`."""
    if wished != "auto":
        return wished
    tables = [one.train for one in (*before, *after)]
    return _axis(tables)


def _axis(tables: Sequence[Table]) -> str:
    ends = [int(one.steps.max()) if len(one) else 0 for one in tables]
    same = len({one.step_name for one in tables}) == 1
    return "step" if same and min(ends) >= ALIKE * max(ends) else "progress"


def quantities(before: Sequence[Run], after: Sequence[Run], by: str) -> Iterator[Quantity]:
    """What all runs have: terms, then totals, then metrics whose better direction is known."""
    sides = [[_columns(run) for run in runs] for runs in (before, after)]
    common = [*sides[0][0]]
    for one in (*sides[0], *sides[1]):
        common = [key for key in common if key in one]
    for key in sorted(common, key=lambda one: ("term", "total", "metric").index(one[2])):
        both = [[one[key] for one in side] for side in sides]
        yield _quantity(key, both, by, _sign(key, before[0]))


def only(one: Sequence[Run], other: Sequence[Run]) -> tuple[str, ...]:
    """Terms of one side that no run of the other side has, in log order."""
    known = {name for run in other for name in run.terms}
    return tuple(dict.fromkeys(name for run in one for name in run.terms if name not in known))


Key = tuple[str, str, str]


def _columns(run: Run) -> dict[Key, tuple[Table, Series]]:
    found: dict[Key, tuple[Table, Series]] = {}
    for table in run.tables:
        if table.grain == "probe":
            continue
        split = TRAIN if table.split == run.train.split else table.split
        for one in table.series.values():
            kind = _kind(one)
            if kind and len(one) and (one.name, split, kind) not in found:
                found[one.name, split, kind] = table, one
    return found


def _kind(one: Series) -> str:
    if one.kind in (Kind.TERM, Kind.TOTAL):
        return one.kind.value
    return "metric" if one.kind is Kind.STATISTIC and _direction(one.name) else ""


def _direction(name: str) -> int:
    # "span_f1" says "f1": its parts count, digits and all, as well as its words.
    said = {*words(name), *re.split(r"[^a-z0-9]+", name.lower())}
    return -1 if said & HIGHER else 1 if said & LOWER else 0


def _sign(key: Key, run: Run) -> int:
    name, _, kind = key
    if kind == "metric":
        return _direction(name)
    if kind == "total":
        return 1
    return 1 if role_of(Case(run), name) in JUDGED else 0


def _quantity(
    key: Key, both: Sequence[Sequence[tuple[Table, Series]]], by: str, sign: int
) -> Quantity:
    name, split, kind = key
    # Evaluations may count other steps than the training does.
    axis = _axis([table for side in both for table, _ in side]) if by == "step" else by
    before, after = (
        tuple(_course(*one, axis, split == TRAIN and one[0].grain == "step") for one in side)
        for side in both
    )
    end = min(float(one.at[-1]) for one in (*before, *after))
    return Quantity(
        name=name, split=split, kind=kind, sign=sign, before=before, after=after, end=end
    )


def _course(table: Table, one: Series, axis: str, updates: bool) -> Course:
    kept = _latest(table)[one.rows]
    steps, values = table.steps_of(one)[kept], one.values[kept]
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    at = steps.astype(np.float64)
    if axis == "progress":
        whole = _places(table)
        first, last = float(whole.min()), float(whole.max())
        at = (whole[one.rows][kept][order] - first) / max(last - first, 1.0)
    return Course(at=at, values=values, steps=steps, updates=updates)


def _places(table: Table) -> Floats:
    """Steps, or micro-batches where no step is made: even then a training goes on."""
    micro = None if np.ptp(table.steps) else micro_at(table, np.arange(len(table)))
    known = micro is not None and bool(np.isfinite(micro).all())
    return micro if micro is not None and known else table.steps.astype(np.float64)


def _latest(table: Table) -> np.ndarray:
    """True for records that no later restart has overwritten, shape (len(table),)."""
    kept = np.ones(len(table), dtype=bool)
    limit: int | None = None
    for segment in np.unique(table.segments)[::-1]:
        inside = table.segments == segment
        if limit is not None:
            kept[inside] = table.steps[inside] < limit
        first = int(table.steps[inside].min())
        limit = first if limit is None else min(limit, first)
    return kept
