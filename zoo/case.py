"""One training of the zoo and what is declared of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from zoo.desk import Desk

Program: TypeAlias = Callable[[Desk], None]

_BLIND = {"blind_a": 1, "blind_b": 1, "blind_c": 2, "blind_d": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A training, and what a person who knows it says of it.

    Attributes:
        name: Name of its function, unique.
        faults: The fault class, and others under which the same mistake may rightly be named; the
            first is the one it is counted under. Empty: the training is healthy.
        terms: The terms of the fault, any of which a finding may name; empty: it concerns the
            whole training, and any will do.
        onset: Micro-batch (call of `total`) from which on the fault acts.
        least: The mildest severity that counts as naming it: a note for what wastes time or spoils
            the log and does no harm to the training, a warning for the rest.
        train: The program.
    """

    name: str
    faults: tuple[str, ...]
    terms: tuple[str, ...]
    onset: int
    least: str
    train: Program

    @property
    def fault(self) -> str | None:
        """The class it is counted under; None: healthy."""
        return self.faults[0] if self.faults else None

    @property
    def seed(self) -> int:
        """Seed of its random numbers, from its name."""
        return int(hashlib.sha256(f"seed {self.name}".encode()).hexdigest()[:8], 16)

    @property
    def blind(self) -> int:
        """The blind set it is of, 1 or 2, which is scored once and never chosen on; 0: of none."""
        return _BLIND.get(self.train.__module__.rpartition(".")[2], 0)

    @property
    def tune(self) -> bool:
        """May thresholds be chosen on it? Half of the first set, by hash of the name, for ever."""
        half = int(hashlib.sha256(self.name.encode()).hexdigest()[:8], 16) % 2 == 0
        return half and not self.blind

    @property
    def story(self) -> str:
        """What went wrong, or what only looks so: the program's own docstring."""
        return (self.train.__doc__ or "").strip()


def faulty(
    *faults: str, terms: tuple[str, ...] = (), onset: int = 0, least: str = "warning"
) -> Callable[[Program], Case]:
    """Declares the function below as a faulty training; see `Case`."""

    def declare(train: Program) -> Case:
        return Case(
            name=train.__name__, faults=faults, terms=terms, onset=onset, least=least, train=train
        )

    return declare


def healthy(train: Program) -> Case:
    """Declares the function below as a training in which nothing is wrong."""
    return Case(name=train.__name__, faults=(), terms=(), onset=0, least="warning", train=train)
