"""When to measure, so that all measuring together stays within a share of the training's time."""

import time
from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

PARTS: Mapping[str, float] = {"shared": 0.5, "edge": 0.2, "motion": 0.2, "response": 0.1}
"""What each instrument gets of the budget. Each has an account of its own, so that a cheap one that
is used often never keeps an expensive one from being used at all."""

FRONT = 3
"""Measurements of each instrument that are taken at the start on credit, because one batch proves
nothing and the first answers are wanted within 50 steps: the first whatever it costs, two more if
one costs less than a step."""

GRACE_S: Mapping[str, float] = {"shared": 0.5, "edge": 0.2, "motion": 0.2, "response": 0.2}
"""Seconds that may always be spent: nobody waits for them, and a training of a hundred short steps
is measured more than three times."""

SPREAD = 4
"""A measurement that costs more than a step is repeated on credit only after so many times the
batches, so that a short training is seen from its beginning to its end."""


@dataclass(slots=True)
class Account:
    """What one instrument costs.

    Attributes:
        part: Share of the training's time that it may spend.
        uses: Measurements so far.
        spent_s: Seconds that they took together.
        last_s: Seconds that the last one took.
        batch: Batch of the last one.
        grace_s: Seconds that it may always spend.
    """

    part: float
    grace_s: float = 0.0
    batch: int = 0
    uses: int = 0
    spent_s: float = 0.0
    last_s: float = 0.0


KINDS = 64
"""Kinds of batches that are counted apart, at most; all further ones are one kind."""


def _early() -> frozenset[int]:
    """Nearly doubling, but odd as often as even, and of every remainder modulo 3, 4 and so on."""
    found = [1, 2, 4]
    while found[-1] < 1 << 40:
        found.append(sum(found[-3:]))
    return frozenset(found)


EARLY = _early()


def _place(block: int, number: int) -> int:
    """A number without any period (splitmix64), the same in every training."""
    mixed = (block * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mixed ^ mixed >> 31


class Budget:
    """Spaces measurements by their own measured cost.

    Candidates are the batches 1, 2, 4, 7, 13, ... up to `every`, each the sum of the three before
    it, and from there on one batch of every `every`, at a place that changes, so that no period of
    the training (accumulation, tasks in turns) is always met at the same phase. Batches of several
    kinds, such as the two totals of a GAN, are counted each on its own. At
    a candidate an instrument may measure if its account covers what it cost the last time; the
    first ones go on credit, which is paid back before the next.

    Args:
        fraction: Share of the training's time for all measuring together, e.g. 0.01; 0: never.
        every: Distance of the candidates in batches.
        clock: Seconds, for tests.

    Example:
        >>> budget = Budget(0.01, every=50)
        >>> [batch for batch in range(200) if budget.candidate(batch)]
        [1, 2, 4, 7, 13, 24, 44, 85, 100, 179]
    """

    def __init__(
        self, fraction: float, *, every: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.fraction = fraction
        self.every = every
        self.accounts = {
            name: Account(part * fraction, GRACE_S[name]) for name, part in PARTS.items()
        }
        self._clock = clock
        self._start: float | None = None
        self._batches = 0
        self._kinds: dict[Hashable, tuple[int, int]] = {}  # number of the kind, batches of it

    def candidate(self, batch: int, kind: Hashable = None) -> bool:
        """True if anything may be measured at this batch.

        Args:
            batch: How many there were before it; asked for every one.
            kind: What it is like, e.g. the names of its terms. The first batch of all is no
                candidate, because much happens in it only once; the first of each other kind is.
        """
        self._batches = batch
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            kind = KINDS
        number, count = self._kinds.get(kind, (len(self._kinds), 1 if self._kinds else 0))
        self._kinds[kind] = number, count + 1
        if count < self.every:
            return count in EARLY
        block, at = divmod(count, self.every)
        # kinds that take turns come first in turns, so that no kind takes all that was earned
        return at == _place(block, number) % self.every

    def due(self, name: str) -> bool:
        """True if an instrument may measure now; asked only at candidates."""
        account = self.accounts[name]
        if account.part <= 0:
            return False
        elapsed_s, after_s = self.elapsed_s, account.spent_s + account.last_s
        together_s = self.spent_s + account.last_s
        paid = after_s <= account.part * elapsed_s and together_s <= self.fraction * elapsed_s
        if account.uses == 0 or paid:
            return True
        step_s = elapsed_s / max(self._batches, 1)
        if account.last_s <= max(step_s, account.grace_s / 50):  # cheap, or nothing at all
            return account.uses < FRONT or after_s <= account.grace_s
        return after_s <= account.grace_s and self._batches >= SPREAD * account.batch

    def stop(self, name: str) -> None:
        """Uses an instrument no more."""
        self.accounts[name].part = 0.0

    def begin(self) -> None:
        """Starts the training's clock; later calls do nothing."""
        if self._start is None:
            self._start = self._clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, without what was spent on measuring."""
        if self._start is None:
            return 0.0
        return self._clock() - self._start - self.spent_s

    @property
    def spent_s(self) -> float:
        """Seconds that all measuring took together."""
        return sum(one.spent_s for one in self.accounts.values())

    @contextmanager
    def charged(self, name: str, *, uses: int | None = 1) -> Generator[None]:
        """Books the time inside on an account.

        Args:
            name: The instrument.
            uses: 0 for a later part of a measurement that was already counted, None for what is
                no part of one and says nothing of the next one's cost.
        """
        account = self.accounts[name]
        start = self._clock()
        try:
            yield
        finally:
            took = self._clock() - start
            account.spent_s += took
            if uses is not None:
                account.last_s = took if uses else account.last_s + took
                account.uses += uses
                account.batch = self._batches
