"""What the headers of a run record declare."""

from dataclasses import dataclass, field
from typing import cast

from poise.errors import ReadError
from poise.record.names import term_column
from poise.record.schema import SCHEMA, Record, number

_LATER = frozenset({"shares", "roles", "total_steps"})
"""Keys of a header that may also come among its facts: they are then known only later."""
_BY_TERM = frozenset({"schedules", "reductions", "classes", "squashed", "broadcast"})
"""Facts that are told by term."""


@dataclass(slots=True)
class Header:
    """The declarations in force: those of all headers so far, a later one before an earlier.

    Attributes:
        count: Headers so far.
        terms: Declared names, in order.
        weights: Declared weights by term.
        shares: Intended gradient shares by term.
        roles: Roles by term.
        total_steps: Optimizer steps the training is meant to have.
        facts: What else a header declares, by name; docs/record.md lists what Watch declares. A
            fact called `shares`, `roles` or `total_steps` counts as that declaration.
    """

    count: int = 0
    terms: dict[str, None] = field(default_factory=dict[str, None])
    weights: dict[str, float] = field(default_factory=dict[str, float])
    shares: dict[str, float] = field(default_factory=dict[str, float])
    roles: dict[str, str] = field(default_factory=dict[str, str])
    total_steps: int | None = None
    facts: Record = field(default_factory=dict[str, object])

    def take(self, record: Record) -> dict[str, float]:
        """Takes over the declarations of one header line; returns the weights it sets.

        Raises:
            ReadError: Another version of the schema.
        """
        schema = record.get("schema")
        if schema != SCHEMA:
            raise ReadError(
                f"run record: expected schema {SCHEMA!r}, got {schema!r:.60}; read it with the "
                "version of poise that wrote it"
            )
        self.count += 1
        facts = _pairs(record.get("declared"))
        record = record | {key: one for key, one in facts.items() if key in _LATER}
        terms = record.get("terms")
        if isinstance(terms, list):
            named = (one for one in cast(list[object], terms) if isinstance(one, str))
            self.terms |= dict.fromkeys(named)
        weights = _numbers(record.get("weights"))
        self.weights |= weights
        self.shares |= _numbers(record.get("shares"))
        self.roles |= {k: v for k, v in _pairs(record.get("roles")).items() if isinstance(v, str)}
        total_steps = record.get("total_steps")
        if type(total_steps) is int:
            self.total_steps = total_steps
        self.facts |= facts
        return weights

    def declared(self) -> dict[str, object]:
        """What was declared, with terms called as their columns are; nothing undeclared."""
        found: dict[str, object] = {
            "terms": tuple(map(term_column, self.terms)),
            "weights": {term_column(name): one for name, one in self.weights.items()},
            "shares": {term_column(name): one for name, one in self.shares.items()},
            "roles": {term_column(name): one for name, one in self.roles.items()},
            "total_steps": self.total_steps,
        }
        known = {key: value for key, value in found.items() if value not in ((), {}, None)}
        facts = {key: one for key, one in self.facts.items() if key not in found}
        for key in _BY_TERM & facts.keys():
            facts[key] = {term_column(name): one for name, one in _pairs(facts[key]).items()}
        return facts | known


def _pairs(value: object) -> Record:
    return cast(Record, value) if isinstance(value, dict) else {}


def _numbers(value: object) -> dict[str, float]:
    found = {name: number(one) for name, one in _pairs(value).items()}
    return {name: one for name, one in found.items() if one is not None}
