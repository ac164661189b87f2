"""Numbers of all ranks brought together; only rank 0 writes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar, cast

import torch.distributed as dist

from poise.watch.sink import LOST, Entry, Numbers

WAIT = timedelta(minutes=5)
"""How long a rank waits for the others before each goes on for itself."""

Item = TypeVar("Item")

_OF_FIRST = frozenset({"lr", "at", "skipped", LOST})
"""What is the same on every rank."""


class Ranks:
    """The processes of one training; a single one where torch.distributed is not initialised.

    The numbers travel through a gloo group of their own: they never wait for a GPU and never mix
    with the training's own collectives. Making it is itself a collective, so every rank must make
    its Watch at the same place.

    Attributes:
        size: How many there are.
        rank: Which one this is.

    Example:
        >>> Ranks().size
        1
    """

    def __init__(self) -> None:
        self._group: dist.ProcessGroup | None = None
        self.size, self.rank = 1, 0
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            self.size, self.rank = dist.get_world_size(), dist.get_rank()
            self._group = cast(
                dist.ProcessGroup,
                dist.new_group(backend="gloo", timeout=WAIT),  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
            )

    @property
    def writes(self) -> bool:
        """True on the rank that writes."""
        return self.rank == 0

    def gather(self, mine: Item) -> list[Item]:
        """What every rank hands in, on rank 0; on the others nothing.

        Every rank must call it at the same place. A failure ends the bringing together: from then
        on rank 0 is handed back its own.

        Raises:
            RuntimeError: A rank did not come in time or is gone.
        """
        if self._group is None:
            return [mine] if self.writes else []
        everyone = cast(list[Item] | None, [None] * self.size if self.writes else None)
        try:
            dist.gather_object(mine, everyone, dst=0, group=self._group)
        except RuntimeError:
            self.part()
            raise
        return [] if everyone is None else everyone

    def part(self) -> None:
        """Ends the bringing together."""
        group, self._group = self._group, None
        if group is not None and dist.is_initialized():
            dist.destroy_process_group(group)


def reduced(everyone: Sequence[Sequence[Numbers]]) -> list[Numbers]:
    """Means over the ranks that have a number; counts are summed, rates are those of rank 0.

    With as many elements on every rank, the mean over the ranks of a total is what gradients that
    are averaged over the ranks descend.

    Example:
        >>> both = [[{("total", ""): 1.0, ("counts", "ce"): 8}], [{("total", ""): 3.0}]]
        >>> reduced(both)
        [{('total', ''): 2.0, ('counts', 'ce'): 8}]
    """
    length = max((len(one) for one in everyone), default=0)
    return [_reduced([one[at] for one in everyone if at < len(one)]) for at in range(length)]


def _reduced(ranks: Sequence[Numbers]) -> Numbers:
    found: Numbers = {}
    for key in dict.fromkeys(key for one in ranks for key in one):
        values = [one[key] for one in ranks if key in one]
        if key[0] in _OF_FIRST:
            found[key] = values[0]
        elif key[0] == "counts":
            found[key] = sum(values)
        else:
            found[key] = sum(values) / len(values)
    return found


def numbers_of(entries: Sequence[Entry]) -> list[Numbers]:
    """What is sent of entries: their numbers with their place."""
    return [
        one.numbers | {("at", "step"): float(one.step), ("at", "micro"): float(one.micro)}
        for one in entries
    ]
