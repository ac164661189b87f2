"""Numbers on their way from tensors to the record, without waiting for a GPU at every step."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import torch
from torch import Tensor

Key: TypeAlias = tuple[str, str]
"""Group and name of a number: `("terms", "ce")`, `("total", "")`."""
Numbers: TypeAlias = dict[Key, float]

SUMS = "sums"
"""Group of the terms that are sums over their elements and no means; only evaluations need it."""
LOST = "lost"
"""Group of what became of gradients that no step used: NaN if they had overflowed, else 0."""
WAIT_S = 1.0
"""Seconds after which waiting numbers are fetched however few they are."""


def on_host(tensor: Tensor) -> bool:
    """True if reading a number of a tensor waits for nothing."""
    return tensor.device.type == "cpu"


@dataclass(slots=True)
class Entry:
    """The numbers of one micro-batch or evaluation, some of them still on their device.

    Attributes:
        step: Optimizer steps done before it.
        micro: Micro-batches done before it.
        numbers: What is known.
        waiting: Names, and their values in one tensor of shape (len(names),) on a device.
    """

    step: int
    micro: int
    numbers: Numbers = field(default_factory=dict[Key, float])
    waiting: list[tuple[list[Key], Tensor]] = field(default_factory=list[tuple[list[Key], Tensor]])

    def put(self, pairs: Iterable[tuple[Key, Tensor | float]]) -> None:
        """Takes numbers now; copies those of a device there, so that later changes do not count."""
        apart: dict[torch.device, list[tuple[Key, Tensor]]] = {}
        for key, value in pairs:
            if not isinstance(value, Tensor):
                self.numbers[key] = float(value)
            elif on_host(value):
                self.numbers[key] = value.item()
            else:
                apart.setdefault(value.device, []).append((key, value.detach()))
        for group in apart.values():
            stacked = torch.stack([_real(value.reshape(())) for _, value in group])
            self.waiting.append(([key for key, _ in group], stacked))

    def has(self, key: Key) -> bool:
        """Was a number of this name put here?"""
        return key in self.numbers or any(key in keys for keys, _ in self.waiting)


def _real(value: Tensor) -> Tensor:
    return value if value.is_floating_point() else value.double()


def fetch(entries: Sequence[Entry]) -> list[Exception]:
    """Brings what waits to the host: one transfer a device and dtype for all entries together.

    Returns:
        What went wrong; numbers that cannot be fetched are missing afterwards, and only those.
    """
    apart: dict[tuple[torch.device, torch.dtype], list[_Waiting]] = {}
    for entry in entries:
        for keys, values in entry.waiting:
            apart.setdefault((values.device, values.dtype), []).append((entry, keys, values))
        entry.waiting = []
    failures: list[Exception] = []
    for group in apart.values():
        try:
            _bring(group)
        except Exception:  # one of them is the cause, and the others are not to be lost with it
            failures += _one_by_one(group)
    return failures


_Waiting: TypeAlias = tuple[Entry, list[Key], Tensor]


def _bring(group: Sequence[_Waiting]) -> None:
    joined = torch.cat([values for _, _, values in group])
    found = cast(list[float], joined.tolist())  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    numbers = iter(found)
    for entry, keys, _ in group:
        entry.numbers.update(zip(keys, numbers, strict=False))


def _one_by_one(group: Sequence[_Waiting]) -> list[Exception]:
    failures: list[Exception] = []
    for entry, keys, values in group:
        try:
            found = cast(list[float], values.reshape(-1).tolist())  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
            entry.numbers.update(zip(keys, found, strict=True))
        except Exception as error:  # whatever it is, the caller is told
            failures.append(error)
    return failures


class Sink:
    """Keeps entries until their numbers can be had cheaply, then hands them on in order.

    An entry that waits for nothing is handed on at once; otherwise at most `batch` entries wait,
    and none longer than a second, if entries keep coming.

    Args:
        deliver: Takes entries whose numbers are all known, in order.
        batch: How many entries wait at most.
        even: True to deliver `batch` entries at a time whatever they wait for and however long it
            takes: ranks that deliver together must agree on when.
        clock: Seconds, for tests.

    Example:
        >>> sink = Sink(lambda entries: print([one.numbers for one in entries]), batch=50)
        >>> entry = Entry(step=0, micro=0)
        >>> entry.put([(("total", ""), torch.tensor(2.5))])
        >>> sink.take(entry)
        [{('total', ''): 2.5}]
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[Entry]], None],
        *,
        batch: int,
        even: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._batch = batch
        self._even = even
        self._clock = clock
        self._waiting: list[Entry] = []
        self._since = 0.0

    def take(self, entry: Entry) -> None:
        """Takes an entry that is complete but for what is on a device."""
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(entry)
        if len(self._waiting) >= self._batch or (not self._even and self._ripe(entry)):
            self.flush()

    def flush(self) -> None:
        """Hands on all entries, waiting for their device.

        Raises:
            Exception: Numbers that could not be fetched; everything else is handed on before.
        """
        entries, self._waiting = self._waiting, []
        failures = fetch(entries)
        if entries or self._even:
            self._deliver(entries)
        if failures:
            raise failures[0]

    def _ripe(self, entry: Entry) -> bool:
        alone = len(self._waiting) == 1 and not entry.waiting
        return alone or self._clock() - self._since >= WAIT_S


def grouped(numbers: Mapping[Key, float]) -> dict[str, dict[str, float]]:
    """Numbers by group and name.

    Example:
        >>> grouped({("terms", "ce"): 2.0, ("total", ""): 2.0})
        {'terms': {'ce': 2.0}, 'total': {'': 2.0}}
    """
    found: dict[str, dict[str, float]] = {}
    for (group, name), value in numbers.items():
        found.setdefault(group, {})[name] = value
    return found
