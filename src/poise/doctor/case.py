"""One run under examination: what several rules derive from it, computed once."""

from dataclasses import dataclass
from functools import cached_property

from poise.doctor.trace import Stretch, stretches
from poise.read.weights.normaliser import Normaliser, normaliser_of
from poise.run import Composition, Kind, Run, Series, Table


@dataclass(frozen=True)
class Case:
    """A run and the quantities that rules derive from it.

    Not slotted, so that the derived quantities can be cached.
    """

    run: Run

    @cached_property
    def train(self) -> Table:
        """The training table."""
        return self.run.train

    @cached_property
    def terms(self) -> tuple[Series, ...]:
        """Terms of the training table, in log order."""
        return tuple(self.train.of_kind(Kind.TERM))

    @cached_property
    def composition(self) -> Composition | None:
        """How the main total is made of its terms."""
        return self.run.composition

    @cached_property
    def total(self) -> Series | None:
        """The main total in the training table."""
        found = self.composition
        return None if found is None else self.train.series.get(found.total)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The uninterrupted stretches of the training table, the longest first."""
        return stretches(self.train)

    @cached_property
    def gradients_known(self) -> bool:
        """Were the terms' gradient shares measured? Rules on value then have nothing to add."""
        return any(True for one in self.run.tables for _ in one.of_kind(Kind.GRADIENT_SHARE))

    @cached_property
    def normaliser(self) -> Normaliser | None:
        """What divides every term of the main total by its own running mean, if anything does."""
        found = self.composition
        if found is None or found.exact or found.total not in self.train.series:
            return None
        return normaliser_of(self.train, found.total, [one.name for one in self.terms])

    def role(self, term: str) -> str | None:
        """Declared role of a term; None if the run declares none (every foreign log)."""
        roles = self.run.declared.get("roles")
        if not isinstance(roles, dict):
            return None
        role = roles.get(term)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- declared values are untyped JSON
        return role if isinstance(role, str) else None

    def weight(self, term: str) -> float | None:
        """Declared or fitted weight of a term in the main total; None if unknown."""
        if self.composition is None:
            return None
        return next((one.weight for one in self.composition.terms if one.name == term), None)
