"""One training as tables of records: the type every reader produces and every rule looks at.

A `Run` holds one `Table` per split and granularity. A `Table` holds one `Series` per logged
quantity, on a shared step axis. Values are kept exactly as logged: NaN and infinity in a series
mean that the log said so; a quantity that a record does not mention has no entry for that record.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


REPR_NAMES = 12
"""Names and tables in the representation of a run; the rest is counted."""


class Kind(StrEnum):
    """What a logged quantity is, as far as its name and the arithmetic of the log tell."""

    TOTAL = "total"
    """The scalar that is minimised, or a sum or mean of terms that the log reports as one."""
    TERM = "term"
    """One named loss."""
    WEIGHT = "weight"
    """The factor a term is multiplied with; `Series.of` names the term."""
    COUNT = "count"
    """How many elements or samples a value was taken over; `Series.of` may name the term."""
    LEARNING_RATE = "learning_rate"
    GRAD_NORM = "grad_norm"
    GRADIENT_NORM_OF_TERM = "gradient_norm"
    """Norm of one term's weighted gradient where a probe measured it; `Series.of` names the term,
    here and in the other quantities of a probe."""
    GRADIENT_SHARE = "gradient_share"
    DIRECTION_SHARE = "direction_share"
    UPDATE_SHARE = "update_share"
    COSINE = "cosine"
    """Between the weighted gradients of two terms; `Series.of` names the first."""
    FORK_WEIGHT = "fork_weight"
    """The factor by which a balancer's fork multiplies a term's gradient, beside its weight."""
    RESPONSE = "response"
    """Change of a term on the same batch caused by one optimizer step."""
    UNEXPLAINED = "unexplained"
    """Gradient share of what arrives at shared parameters beside the recorded terms."""
    MOTION = "motion"
    """Distance that parameters moved in one optimizer step over their norm."""
    LOSS_SCALE = "loss_scale"
    """The factor of automatic mixed precision."""
    STATISTIC = "statistic"
    """Anything else that describes the model or its outputs: accuracy, perplexity, reward."""
    CLOCK = "clock"
    """Seconds, speed, memory: never diagnosed."""
    POSITION = "position"
    """Epoch, iteration, progress: where the record stands, never diagnosed as a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One logged quantity of one table.

    Attributes:
        name: Name without the split prefix and without a granularity suffix.
        kind: What the quantity is.
        rows: Indices of the table's records that mention it, strictly increasing, shape (n,).
        values: The logged numbers, shape (n,); NaN and infinity mean logged as such.
        label: The name as the log spells it.
        of: For weights, counts and gradient norms of one term: that term's name.
    """

    name: str
    kind: Kind
    rows: Ints
    values: Floats
    label: str = ""
    of: str | None = None

    def __repr__(self) -> str:
        """Name, kind and size, without the values."""
        ends = f": {self.values[0]:.4g} to {self.values[-1]:.4g}" if len(self) else ""
        return f"Series({self.name!r}, {self.kind.value}, {len(self)} values{ends})"

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Records of one split at one granularity, in log order.

    Attributes:
        split: `train`, or the log's own word for another split: `val`, `test`, `eval`.
        grain: `step` or `epoch`: what one record was taken over.
        steps: Position of each record, shape (n,): the optimizer step where the log has one, else
            the iteration, epoch or row number. Decreases only where a training was restarted.
        step_name: What `steps` counts, in the log's words: `step`, `iter`, `epoch`, `row`.
        segments: Number of the (re)start that each record belongs to, from 0, shape (n,).
        series: The quantities by name, in log order.
    """

    split: str
    grain: str
    steps: Ints
    step_name: str
    segments: Ints
    series: Mapping[str, Series]
    _kinds: Mapping[Kind, list[tuple[int, Series]]] = field(init=False, repr=False, compare=False)
    """By kind, with the place in the log: a probe of 100 terms has thousands of cosines."""

    def __post_init__(self) -> None:
        kinds: dict[Kind, list[tuple[int, Series]]] = {}
        for at, one in enumerate(self.series.values()):
            kinds.setdefault(one.kind, []).append((at, one))
        object.__setattr__(self, "_kinds", kinds)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        """Size and place, without the values."""
        steps = f"{self.steps.min()} to {self.steps.max()}" if len(self) else "none"
        return (
            f"Table({self.split!r} by {self.grain!r}, {len(self)} records, "
            f"{self.step_name}: {steps}, {len(self.series)} series)"
        )

    def of_kind(self, *kinds: Kind) -> Iterator[Series]:
        """The series of the given kinds, in log order."""
        found = [pair for kind in {*kinds} for pair in self._kinds.get(kind, ())]
        return (one for _, one in sorted(found, key=itemgetter(0)))

    def steps_of(self, series: Series) -> Ints:
        """Step of every value of `series`, shape (len(series),)."""
        return self.steps[series.rows]

    def aligned(self, names: list[str]) -> tuple[Ints, Floats]:
        """Rows that mention all of `names`, and their values.

        Returns:
            Row indices, shape (r,), and values, shape (r, len(names)).
        """
        if not names:
            return np.arange(0), np.empty((0, 0))
        rows = self.series[names[0]].rows
        for name in names[1:]:
            other = self.series[name].rows
            if other is not rows:
                rows = np.intersect1d(rows, other, assume_unique=True)
        columns = [self._at(self.series[name], rows) for name in names]
        return rows, np.column_stack(columns)

    @staticmethod
    def _at(series: Series, rows: Ints) -> Floats:
        if series.rows is rows:
            return series.values
        return series.values[np.searchsorted(series.rows, rows)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the log says in words, at a step.

    Attributes:
        name: One of `restart`, `overflow`, `crash`, `stage`, or the name a recorder wrote.
        step: Where, in the training table's steps; None where the log does not tell.
        text: The line of the log that says so, shortened to 300 characters.
    """

    name: str
    step: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermWeight:
    """How one term enters a total.

    Attributes:
        name: The term.
        weight: Its factor; None where it is unknown.
        source: `declared` by the run, `fitted` from the values, or `unknown`.
    """

    name: str
    weight: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """How a total is made of terms.

    Attributes:
        total: Name of the total.
        terms: Its terms with their weights. A fitted weight of 0.0 means: logged, not in the total.
        residual: Median of |total - weighted sum| over the median of |total|; NaN if not fitted.
        tolerance: The residual that printing and averaging alone explain.
        exact: True if the weighted sum reproduces the total within the tolerance.
        remainder: Median of total - weighted sum, in units of the total.
        records: How many records the weights were taken from.
        why: One sentence on how the weights were obtained or why they could not be.
    """

    total: str
    terms: tuple[TermWeight, ...]
    residual: float
    tolerance: float
    exact: bool
    remainder: float
    records: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training as it was logged.

    Attributes:
        path: The file or directory that was read.
        format: Name of the format that was recognised, e.g. `csv`, `text`, `poise`.
        tables: All tables; the first is the training table at its finest granularity.
        events: What the log says in words, in log order.
        compositions: How each total is made of its terms; the first is the main one.
        declared: What an own record declares: `terms`, `weights`, `shares`, `roles`, `expect`,
            `total_steps`; empty for a foreign log.
        remarks: What the reader has to say: which file of a directory was chosen, bytes that were
            not text, a truncated end. One sentence each.
    """

    path: Path
    format: str
    tables: tuple[Table, ...]
    events: tuple[Event, ...] = ()
    compositions: tuple[Composition, ...] = ()
    declared: Mapping[str, object] = field(default_factory=dict[str, object])
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line a table, without the values; `poise read` prints more."""
        head = f"Run(path={str(self.path)!r}, format={self.format!r}, records={self.records}"
        terms = ", ".join(map(repr, self.terms[:REPR_NAMES]))
        more = f", and {len(self.terms) - REPR_NAMES} more" * (len(self.terms) > REPR_NAMES)
        lines = [f"{head}, terms=[{terms}{more}], events={len(self.events)}, tables=["]
        lines += [f"  {one!r}," for one in self.tables[:REPR_NAMES]]
        if len(self.tables) > REPR_NAMES:
            lines.append(f"  and {len(self.tables) - REPR_NAMES} more,")
        return "\n".join((*lines, "])"))

    @property
    def train(self) -> Table:
        """The training table at its finest granularity (the first table if none is called so)."""
        return self.tables[0]

    @property
    def evals(self) -> tuple[Table, ...]:
        """Tables of the splits other than the first table's."""
        return tuple(one for one in self.tables if one.split != self.train.split)

    @property
    def records(self) -> int:
        """Number of records over all tables."""
        return sum(len(one) for one in self.tables)

    @property
    def composition(self) -> Composition | None:
        """How the main total is made of its terms, if there is a total."""
        return self.compositions[0] if self.compositions else None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of all terms, in log order, over all tables."""
        names = (one.name for table in self.tables for one in table.of_kind(Kind.TERM))
        return tuple(dict.fromkeys(names))
