"""Means over the batches of one evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from poise.watch.sink import SUMS, Entry, Key, Numbers


@dataclass(slots=True)
class Sum:
    """One number over the batches of one evaluation.

    Attributes:
        batches: How many have it.
        plain: Sum over them.
        counted: In how many of them its count is known.
        weighted: Sum of value times count.
        count: Sum of the counts.
        is_sum: True if it is a sum over its elements and no mean.
    """

    batches: float = 0.0
    plain: float = 0.0
    counted: float = 0.0
    weighted: float = 0.0
    count: float = 0.0
    is_sum: bool = False

    def add(self, value: float, count: float | None, *, is_sum: bool) -> None:
        """Takes one batch."""
        if count != 0 or is_sum:  # an empty batch has no mean
            self.batches += 1
            self.plain += value
        if count is not None:
            self.counted += count != 0 or is_sum
            self.weighted += value * count if count else 0.0
            self.count += count
        self.is_sum = self.is_sum or is_sum

    def merge(self, other: "Sum") -> None:
        """Adds the batches of another rank."""
        self.batches += other.batches
        self.plain += other.plain
        self.counted += other.counted
        self.weighted += other.weighted
        self.count += other.count
        self.is_sum = self.is_sum or other.is_sum

    def result(self) -> float:
        """What one batch of everything would have given; 0 if every batch was empty."""
        if not self.batches:
            return 0.0
        if self.counted < self.batches:
            return self.plain / self.batches
        return self.plain if self.is_sum else self.weighted / self.count


@dataclass(slots=True)
class Means:
    """What one evaluation over all batches together would have given; constant in memory.

    The same as `poise.objective.average`: a term whose counts are known in all batches is weighted
    with them, a plain sum with counts is summed up, and any other term is averaged over the batches
    that have it. If the weights stay the same, the total is the weighted sum of the results, else
    the mean of the totals.

    Example:
        >>> means = Means()
        >>> for value, count in ((1.0, 3), (5.0, 1)):
        ...     means.add({("terms", "ce"): value, ("counts", "ce"): count, ("weights", "ce"): 0.5,
        ...                ("total", ""): 0.5 * value})
        >>> means.result()[("terms", "ce")], means.result()[("total", "")]
        (2.0, 1.0)
    """

    sums: dict[Key, Sum] = field(default_factory=dict[Key, Sum])
    weights: Numbers = field(default_factory=dict[Key, float])
    counts: Numbers = field(default_factory=dict[Key, float])
    steady: bool = True

    def add(self, numbers: Numbers) -> None:
        """Takes the numbers of one batch."""
        for key, value in numbers.items():
            group, name = key
            if group == "weights":
                self.steady &= self.weights.setdefault(key, value) == value
            elif group == "counts":
                self.counts[key] = self.counts.get(key, 0.0) + value
            elif group != SUMS:
                count = numbers.get(("counts", name)) if group == "terms" else None
                is_sum = group == "terms" and (SUMS, name) in numbers
                self.sums.setdefault(key, Sum()).add(value, count, is_sum=is_sum)

    def take(self, entries: Iterable[Entry]) -> None:
        """Takes several batches."""
        for one in entries:
            self.add(one.numbers)

    def merge(self, others: Iterable["Means"]) -> Self:
        """Adds the batches of other ranks."""
        for other in others:
            self.steady &= other.steady and all(
                self.weights.get(key, value) == value for key, value in other.weights.items()
            )
            self.weights |= other.weights
            for key, value in other.counts.items():
                self.counts[key] = self.counts.get(key, 0.0) + value
            for key, one in other.sums.items():
                self.sums.setdefault(key, Sum()).merge(one)
        return self

    def result(self) -> Numbers:
        """The results, with the sums of the counts and the last weights."""
        found = {key: one.result() for key, one in self.sums.items()}
        terms = [key for key in found if key[0] == "terms"]
        weighed = all(("weights", name) in self.weights for _, name in terms)
        if terms and self.steady and weighed:
            found["total", ""] = sum(
                self.weights["weights", name] * found[_, name] for _, name in terms
            )
        return found | self.counts | self.weights
