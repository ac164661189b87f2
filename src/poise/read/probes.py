"""Probe records of a run as columns: norms, shares, cosines, motion, step response."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np

from poise.read.averages import averages_of
from poise.read.frame import Column, Frame
from poise.record.names import term_column
from poise.record.schema import MAX_STEP, Record, number
from poise.run import Event, Floats, Kind

GRAIN = "probe"
"""Grain of the table that probes become."""

_BY_TERM = frozenset({"reach", "weight_deviation"})
_LATEST = frozenset(
    (
        *("unreached", "unreached_numbers", "unreached_ran", "frozen", "still", "opaque"),
        *("update_unsupported", "accumulated", "factor", "unoptimised"),
    )
)

_Told: TypeAlias = tuple[Kind, str | None]
_Cell: TypeAlias = tuple[str, _Told, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What the probe records of a run say.

    Attributes:
        frame: One record a probe; None if no probe says anything that a column can hold.
        declared: `probe_where`: the places that were measured, the first being the one whose
            columns have no suffix; and what no column can hold, as it was seen last: `reach` and
            `weight_deviation` by term, `unreached`, `unreached_numbers`, `unreached_ran`,
            `frozen`, `still`, `opaque`, `update_unsupported`, `accumulated`, `factor`,
            `unoptimised`; and of averages of the weights `averages` and `ema_decay`.
    """

    frame: Frame | None
    declared: Mapping[str, object]


def probes_of(records: Sequence[Record]) -> Probes:
    """The columns of probe records; what has another shape than docs/record.md says is left out.

    Example:
        >>> record = {"kind": "probe", "step": 4, "terms": ["a", "b"], "gramian": [[4, 0], [0, 12]]}
        >>> columns = probes_of([record]).frame.columns
        >>> columns["direction_share/b"].values, columns["cosine/a/b"].values
        (array([0.75]), array([0.]))
    """
    placed = [one for one in records if _is_placed(one)]
    wheres = tuple(
        dict.fromkeys(one["where"] for one in placed if isinstance(one.get("where"), str))
    )
    gathered = _Gathered()
    for row, record in enumerate(placed):
        where = record.get("where")
        suffix = "" if where not in wheres[1:] else f"@{where}"
        for key in ("step", "micro"):
            if (place := number(record.get(key, "none"))) is not None:
                gathered.add(key, (Kind.POSITION, None), row, place)
        for name, told, value in _cells(record):
            gathered.add(f"{name}{suffix}", told, row, value)
        gathered.events += _events(record, row)
    found: dict[str, object] = {"probe_where": wheres}
    for record in placed:
        for key in _BY_TERM & record.keys():
            named = {term_column(name): one for name, one in _pairs(record[key]).items()}
            found[key] = _pairs(found.get(key)) | named
        found |= {key: record[key] for key in _LATEST & record.keys()}
    found |= averages_of(placed)
    return Probes(
        frame=gathered.frame(len(placed)),
        declared={key: value for key, value in found.items() if value not in ((), {}, [])},
    )


@dataclass(slots=True)
class _Gathered:
    """Columns while they grow."""

    cells: dict[str, tuple[list[int], list[float]]] = field(
        default_factory=dict[str, tuple[list[int], list[float]]]
    )
    kinds: dict[str, _Told] = field(default_factory=dict[str, _Told])
    events: list[Event] = field(default_factory=list[Event])

    def add(self, name: str, told: _Told, row: int, value: float) -> None:
        """Puts a value in place; of two for one record the first holds."""
        rows, values = self.cells.setdefault(name, ([], []))
        self.kinds.setdefault(name, told)
        if not rows or rows[-1] < row:
            rows.append(row)
            values.append(value)

    def frame(self, size: int) -> Frame | None:
        """The frame; None if it would hold nothing but steps."""
        if not self.events and not self.cells.keys() - {"step", "micro"}:
            return None
        return Frame(
            size=size,
            columns={
                name: Column(rows=np.array(rows, np.int64), values=np.array(values, np.float64))
                for name, (rows, values) in self.cells.items()
            },
            split="train",
            grain=GRAIN,
            kinds=self.kinds,
            events=tuple(self.events),
            axis="step",
            counter="micro",
        )


def _cells(record: Record) -> Iterator[_Cell]:
    seconds = number(record.get("seconds")) if "seconds" in record else None
    if seconds is not None:
        yield "seconds", (Kind.CLOCK, None), seconds
    norms = _numbers(record.get("norms"))
    yield from _by_term("gradient_norm", Kind.GRADIENT_NORM_OF_TERM, norms)
    yield from _by_term("gradient_share", Kind.GRADIENT_SHARE, _shares(norms))
    yield from _of_gramian(record)
    if str(record.get("where", "")).startswith("fork:"):
        yield from _by_term("fork_weight", Kind.FORK_WEIGHT, _numbers(record.get("weights")))
    yield from _by_term("update_share", Kind.UPDATE_SHARE, _numbers(record.get("update")))
    yield from _by_term("response", Kind.RESPONSE, _numbers(record.get("response")))
    rest = number(record.get("unexplained")) if "unexplained" in record else None
    if rest is not None:
        yield "unexplained", (Kind.UNEXPLAINED, None), rest
    for key in ("motion", "motion_groups"):
        for module, moved in _numbers(record.get(key)).items():
            yield f"motion/{module}", (Kind.MOTION, None), moved


def _by_term(what: str, kind: Kind, values: Mapping[str, float]) -> Iterator[_Cell]:
    for term, value in values.items():
        yield f"{what}/{term_column(term)}", (kind, term_column(term)), value


def _shares(norms: Mapping[str, float]) -> dict[str, float]:
    """Norm of each over the sum of all; nothing where all are zero."""
    whole = sum(norms.values())
    return {} if whole == 0 else {term: norm / whole for term, norm in norms.items()}


def _of_gramian(record: Record) -> Iterator[_Cell]:
    """Direction shares and cosines of the inner products."""
    terms = _texts(record.get("terms"))
    gramian = _matrix(record.get("gramian"), len(terms))
    if gramian is None:
        return
    with np.errstate(all="ignore"):
        whole = gramian.sum()
        if whole != 0:
            shares = dict(zip(terms, (gramian.sum(axis=1) / whole).tolist(), strict=True))
            yield from _by_term("direction_share", Kind.DIRECTION_SHARE, shares)
        norms = np.sqrt(np.diag(gramian))
        cosines = gramian / np.outer(norms, norms)
    names = [term_column(one) for one in terms]
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            if norms[i] != 0 and norms[j] != 0:  # a zero gradient points nowhere
                yield f"cosine/{first}/{names[j]}", (Kind.COSINE, first), float(cosines[i, j])


def _matrix(value: object, size: int) -> Floats | None:
    rows = _list(value)
    if not size or len(rows) != size or any(len(_list(row)) != size for row in rows):
        return None
    cells = [number(one) for row in rows for one in _list(row)]
    if None in cells:
        return None
    return np.array(cells, np.float64).reshape(size, size)


def _events(record: Record, row: int) -> Iterator[Event]:
    """What the finite check saw, in words."""
    for term, seen in _pairs(record.get("finite")).items():
        if seen is not True and seen is not None:
            at = f", first in {seen}" if isinstance(seen, str) else ""
            text = f"the gradient of {term_column(term)} is not finite{at}"
            yield Event(name="nonfinite-gradient", step=row, text=text[:300])


def _is_placed(record: Record) -> bool:
    step = record.get("step")
    return type(step) is int and -MAX_STEP <= step <= MAX_STEP


def _pairs(value: object) -> Record:
    return cast(Record, value) if isinstance(value, dict) else {}


def _numbers(value: object) -> dict[str, float]:
    found: Iterable[tuple[str, float | None]] = (
        (name, number(one)) for name, one in _pairs(value).items() if one is not None
    )
    return {name: one for name, one in found if one is not None}


def _list(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in _list(value) if isinstance(one, str)]
