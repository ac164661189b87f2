"""Means over the batches of one evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from poise.watch.sink import Entry, Key, Numbers


@dataclass(slots=True)
class Means:
    """Sums over the batches of one evaluation, of constant size however many there are.

    A term whose counts are given is weighted with them, so that its mean is that of the whole
    split; otherwise every batch counts the same. If the weights stay the same, the total is the
    weighted sum of these means: the training's objective on the whole split.

    Example:
        >>> means = Means()
        >>> for value, count in ((1.0, 3), (5.0, 1)):
        ...     means.add({("terms", "ce"): value, ("counts", "ce"): count, ("weights", "ce"): 0.5,
        ...                ("total", ""): 0.5 * value})
        >>> means.result()[("terms", "ce")], means.result()[("total", "")]
        (2.0, 1.0)
    """

    sums: dict[Key, float] = field(default_factory=dict[Key, float])
    sizes: dict[Key, float] = field(default_factory=dict[Key, float])
    weights: dict[Key, float] = field(default_factory=dict[Key, float])
    counts: dict[Key, float] = field(default_factory=dict[Key, float])
    steady: bool = True

    def add(self, numbers: Numbers) -> None:
        """Takes the numbers of one batch."""
        for key, value in numbers.items():
            group, name = key
            if group == "weights":
                self.steady &= self.weights.setdefault(key, value) == value
            elif group == "counts":
                self.counts[key] = self.counts.get(key, 0.0) + value
            else:
                size = numbers.get(("counts", name), 1.0) if group == "terms" else 1.0
                if size:  # an empty batch has no mean to count
                    self.sums[key] = self.sums.get(key, 0.0) + value * size
                    self.sizes[key] = self.sizes.get(key, 0.0) + size

    def take(self, entries: Iterable[Entry]) -> None:
        """Takes several batches."""
        for one in entries:
            self.add(one.numbers)

    def merge(self, others: Iterable["Means"]) -> Self:
        """Adds the batches of other ranks."""
        for other in others:
            self.steady &= other.steady and self.weights.items() <= other.weights.items()
            self.weights |= other.weights
            for mine, theirs in (
                (self.sums, other.sums),
                (self.sizes, other.sizes),
                (self.counts, other.counts),
            ):
                for key, value in theirs.items():
                    mine[key] = mine.get(key, 0.0) + value
        return self

    def result(self) -> Numbers:
        """The means, with the sums of the counts and the last weights."""
        found = {key: value / self.sizes[key] for key, value in self.sums.items()}
        terms = [key for key in found if key[0] == "terms"]
        if self.counts and self.steady and len(terms) == len(self.weights):
            found["total", ""] = sum(
                self.weights["weights", name] * found[_, name] for _, name in terms
            )
        return found | self.counts | self.weights
