"""What is known of a run that is still being recorded, in bounded memory."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import cast

from poise.record.header import Header
from poise.record.schema import Record, number
from poise.view.history import History

EVENTS = 3
"""The last events that are kept."""
SPEED = 200
"""Records over which the speed is taken."""


class Growing:
    """The state of a growing run; every record is taken once and not kept.

    Attributes:
        header: What is declared.
        step: The last step; None before the first record of the training.
        records: Records of the training.
        micro: Micro-batches done; None if they are not counted.
        skipped: Optimizer steps that mixed precision skipped.
        discarded: Gradients that were thrown away for another reason.
        total: The total over the run.
        terms: Every term over the run.
        weights: Weight by term, as last recorded.
        rates: Learning rates, one for each parameter group.
        grad_norm: Gradient norm over the run.
        probe: By place: step and gradient share by term of the last probe.
        evals: By split: the last evaluation.
        events: The last ones: step, name and text.

    Example:
        >>> run = Growing()
        >>> run.take([{"kind": "step", "step": 4, "total": 1.5, "terms": {"a": 1.5}, "lr": [0.1]}])
        >>> run.step, run.total.last, run.rates
        (4, 1.5, (0.1,))
    """

    def __init__(self) -> None:
        self.header = Header()
        self.step: int | None = None
        self.records = 0
        self.micro: int | None = None
        self.skipped = 0
        self.discarded = 0
        self.total = History()
        self.terms: dict[str, History] = {}
        self.weights: dict[str, float] = {}
        self.rates: tuple[float, ...] = ()
        self.grad_norm = History()
        self.probe: dict[str, tuple[int, dict[str, float]]] = {}
        self.evals: dict[str, Record] = {}
        self.events: deque[tuple[int | None, str, str]] = deque(maxlen=EVENTS)
        self._pace: deque[tuple[int, float]] = deque(maxlen=SPEED)

    def take(self, records: Iterable[Record]) -> None:
        """Takes the next records, as `Follower.poll` yields them.

        Raises:
            ReadError: A header of another version of the schema.
        """
        for record in records:
            kind, step = record.get("kind"), record.get("step")
            if kind == "header":
                self.weights |= self.header.take(record)
                self._pace.clear()  # the clock of a new recorder starts anew
            elif kind == "event":
                where = step if type(step) is int else None
                name, text = str(record.get("name", "")), str(record.get("text", ""))
                self.events.append((where, name, text))
            elif type(step) is not int:
                continue
            elif kind == "step":
                self._step(step, record)
            elif kind == "eval":
                self.evals[str(record.get("split", "eval"))] = record
            elif kind == "probe":
                self._probe(step, record)

    @property
    def shares(self) -> dict[str, float]:
        """Value share by term over the recent records.

        An unknown weight counts as 1. A term that is not finite has share NaN, and no say in that
        of the others.
        """
        sizes = {
            name: abs(one.recent * self.weights.get(name, 1.0)) for name, one in self.terms.items()
        }
        whole = sum(one for one in sizes.values() if math.isfinite(one))
        return {
            name: one / whole if whole > 0 and math.isfinite(one) else math.nan
            for name, one in sizes.items()
        }

    @property
    def speed(self) -> float | None:
        """Optimizer steps a second of late; None before anything can be said."""
        if len(self._pace) < 2:
            return None
        (first, start), (last, end) = self._pace[0], self._pace[-1]
        return (last - first) / (end - start) if last > first and end > start else None

    def _step(self, step: int, record: Record) -> None:
        self.step = step
        self.records += 1
        if type(micro := record.get("micro")) is int:
            self.micro = micro + 1
        self.skipped += record.get("skipped") == 1
        self.discarded += record.get("discarded") == 1
        self.weights |= numbers(record.get("weights"))
        for name, value in numbers(record.get("terms")).items():
            self.terms.setdefault(name, History()).add(value)
        for key, history in (("total", self.total), ("grad_norm", self.grad_norm)):
            if (value := number(record.get(key, ""))) is not None:
                history.add(value)
        if isinstance(rates := record.get("lr"), list):
            found = map(number, cast("list[object]", rates))
            self.rates = tuple(one for one in found if one is not None)
        if (wall := number(record.get("wall_s", ""))) is not None:
            self._pace.append((step, wall))

    def _probe(self, step: int, record: Record) -> None:
        norms = numbers(record.get("norms"))
        whole = sum(norms.values())
        if norms and whole > 0:
            shares = {name: one / whole for name, one in norms.items()}
            self.probe[str(record.get("where", "shared"))] = step, shares


def numbers(given: object) -> dict[str, float]:
    """The numbers by name that a record holds under a key; nothing if it holds something else."""
    pairs = cast("Mapping[str, object]", given if isinstance(given, dict) else {})
    found = {name: number(one) for name, one in pairs.items()}
    return {name: one for name, one in found.items() if one is not None}
