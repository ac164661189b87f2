"""What a total is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast, final

import torch
from rich.table import Table
from torch import Tensor

from poise.objective import show
from poise.objective.names import listed, meant
from poise.objective.role import Role
from poise.objective.term import Term
from poise.record.names import term_column
from poise.reduce import Reduced


class Standing(StrEnum):
    """How a term stands in one batch.

    Example:
        >>> Standing.OFF.value
        'off'
    """

    COUNTED = "counted"
    """It is in the total."""
    MEASURED = "measured"
    """It is known but not in the total: a monitor, or weight 0 and measured or given anyway."""
    OFF = "off"
    """Its weight is 0, so it was not computed."""
    ABSENT = "absent"
    """This batch does not have it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One term of a breakdown.

    Attributes:
        name: The term.
        role: What it is for.
        standing: Whether it was computed and is in the total.
        weight: Its weight at this step.
        value: Its unweighted value, shape [], with its graph if it is in the total; None if it was
            not computed.
        weighted: Weight times value, as it is in the total; None if it is not in the total.
        count: How many its mean was taken over, shape []; None if its function did not say.
        part: Sum and count, where the function returned them.
    """

    name: str
    role: Role
    standing: Standing
    weight: float
    value: Tensor | None = None
    weighted: Tensor | None = None
    count: Tensor | None = None
    part: Reduced | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Breakdown(Mapping[str, Entry]):
    """A total with everything that went into it: a mapping from term to `Entry`, in term order.

    Attributes:
        total: The weighted sum, shape []: what is back-propagated. Without any term it is 0, and
            its backward pass does nothing.
        entries: All terms of the objective, also those that were not computed.
        step: The optimizer step that the weights were taken at.
        changed: What was asked to differ from training, one sentence each; empty in training.
        declared: The terms as their objective declares them, with roles, schedules and reductions:
            what a `Watch` puts into the record.

    Example:
        >>> from poise.objective import Objective, Term
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> objective = Objective(Term("a", lambda x: x), Term("b", lambda x: x**2, weight=0.25))
        >>> breakdown = objective(x)
        >>> breakdown["b"].weight, breakdown.shares()
        (0.25, {'a': 0.6666666666666666, 'b': 0.3333333333333333})
        >>> print(breakdown)
        term   value  weight  weighted  share  count
        a          2       1         2  66.7%
        b          4    0.25         1  33.3%
        total                        3
    """

    total: Tensor
    entries: tuple[Entry, ...]
    step: int | None = None
    changed: tuple[str, ...] = ()
    declared: tuple[Term, ...] = field(default=(), repr=False)

    def __getitem__(self, name: str) -> Entry:
        for one in self.entries:
            if one.name == name:
                return one
        raise KeyError(
            f"unknown term {name!r}; this Breakdown has {listed(self)}.{meant(name, self)}"
        )

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def empty(self) -> bool:
        """Is no term in the total?"""
        return all(one.weighted is None for one in self.entries)

    @property
    def weights(self) -> dict[str, float]:
        """Weight by term."""
        return {one.name: one.weight for one in self.entries}

    def detached(self) -> dict[str, float]:
        """Everything as plain numbers for a log, fetched from the device at once.

        Returns:
            `total`; by term `<term>` (unweighted), `weight/<term>`, `weighted/<term>` and
            `count/<term>`, without what there is not. Names are those of the run record, so a term
            called `total` is `term/total`.
        """
        tensors: dict[str, Tensor] = {"total": self.total}
        numbers: dict[str, float] = {}
        for one in self.entries:
            column = term_column(one.name)
            numbers[f"weight/{column}"] = one.weight
            found = {column: one.value, f"weighted/{column}": one.weighted}
            found[f"count/{column}"] = one.count
            tensors |= {key: value for key, value in found.items() if value is not None}
        return _fetch(tensors) | numbers

    def shares(self) -> dict[str, float]:
        """Value share by term: weighted value over the sum of absolute weighted values.

        It says what the *value* of the total is made of, which is not what moves the parameters:
        that is the gradient share.

        Returns:
            By term, -1 to 1; 0 for terms that are not in the total.
        """
        parts = {one.name: one.weighted for one in self.entries if one.weighted is not None}
        numbers = _fetch(parts)
        size = sum(map(abs, numbers.values()))
        return {one.name: numbers.get(one.name, 0.0) / (size or 1.0) for one in self.entries}

    def rows(self) -> list[tuple[str, ...]]:
        """The table that `print` shows, as text: head, one row a term, total."""
        numbers, shares = self.detached(), self.shares()
        return [
            show.HEAD,
            *(show.row(one, term_column(one), self[one].standing, numbers, shares) for one in self),
            ("total", "", "", show.number(numbers["total"]), "", "", ""),
        ]

    def __str__(self) -> str:
        return show.plain(self.rows(), self.changed)

    def __rich__(self) -> Table:
        return show.table(self.rows(), self.changed)


def _fetch(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as floats, with one transfer from each device."""
    devices: dict[torch.device, list[str]] = {}
    for name, one in tensors.items():
        devices.setdefault(one.device, []).append(name)
    found: dict[str, float] = {}
    for device, names in devices.items():
        # Apple's GPUs have no double precision.
        kind = torch.float32 if device.type == "mps" else torch.float64
        stacked = torch.stack([tensors[name].detach().to(kind) for name in names])
        numbers = cast(list[float], stacked.tolist())  # pyright: ignore[reportUnknownMemberType] -- untyped in torch
        found |= zip(names, numbers, strict=True)
    return {name: found[name] for name in tensors}
