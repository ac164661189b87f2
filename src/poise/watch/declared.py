"""What is meant with the terms, as far as a user or an objective says so."""

import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from numbers import Real
from typing import cast

from poise.errors import TermNameError, WatchError
from poise.objective.breakdown import Breakdown
from poise.objective.breakdown import Entry as Part
from poise.objective.term import Term
from poise.record import Expect
from poise.schedule import Schedule
from poise.watch.knots import knots
from poise.watch.sink import Key

AHEAD = 1024
"""Steps for which weights are declared at first where nobody says how long the training is; then
twice as many each time, so that a function is never asked for a step far beyond it."""


class Declared:
    """The declarations of one training, put into its record when they are new.

    Args:
        roles: Role by term.
        shares: Gradient share by term.
        schedules: Weight by term, a number or a schedule.
        total_steps: Optimizer steps the training is meant to have.
        expect: Ranges that numbers of the training are expected in.

    Attributes:
        roles: Role by term.
        shares: Gradient share by term; they sum to 1.

    Raises:
        WatchError: Shares that are none, or an expectation that is no `Expect`.
        TermError: A weight that is no finite number or schedule.

    Example:
        >>> declared = Declared(shares={"ce": 3, "kl": 1}, schedules={"kl": 0.5})
        >>> declared.shares, declared.news(0)
        ({'ce': 0.75, 'kl': 0.25}, {'schedules': {'kl': [[0, 0.5], [1024, 0.5]]}})
    """

    def __init__(
        self,
        *,
        roles: Mapping[str, str] | None = None,
        shares: Mapping[str, float] | None = None,
        schedules: Mapping[str, float | Schedule] | None = None,
        total_steps: int | None = None,
        expect: Sequence[Expect] = (),
    ) -> None:
        self.roles = dict(roles or {})
        self.shares = None if shares is None else normalised(shares)
        self._own = [Term(name, weight=one) for name, one in (schedules or {}).items()]
        self._expect = expected(expect)
        self._objective: tuple[Term, ...] = ()
        self._until = total_steps
        self._told = -1
        self._ahead = 0

    def check(self, names: Collection[str]) -> None:
        """Refuses declarations about terms that there are not.

        Raises:
            TermNameError: It names the term.
        """
        given: Mapping[str, Collection[str]] = {
            "shares": self.shares or {},
            "roles": self.roles,
            "schedules": [one.name for one in self._own],
        }
        for where, told in given.items():
            for name in told:
                if name not in names:
                    close = get_close_matches(name, list(names), 1, 0.5)
                    hint = f" Did you mean {close[0]!r}?" if close else ""
                    raise TermNameError(
                        f"Watch: {where}: unknown term {name!r}; expected one of "
                        f"{', '.join(map(repr, names))}; rename it, or name all terms in "
                        f"Watch(terms=...) if it comes later.{hint}"
                    )

    def take(self, terms: object, step: int) -> None:
        """Takes what an objective declares along with its breakdown; anything else says nothing.

        A training that goes on in a new record is ahead of it: its first step tells how far.
        """
        if isinstance(terms, Breakdown) and terms.declared is not self._objective:
            if not self._objective and terms.step is not None:
                self._ahead = terms.step - step
            self._objective = terms.declared
            self._told = -1

    def news(self, step: int) -> dict[str, object]:
        """The facts that the record does not have yet at an optimizer step; mostly none.

        Weights are declared up to the end of the training, where it is known, else ahead of it.
        """
        if step <= self._told:
            return {}
        first = self._told < 0
        unknown = AHEAD if first else 0
        self._told = max(unknown if self._until is None else self._until, 2 * step)
        meant = {one.name: partial(_shifted, one, self._ahead) for one in self._objective}
        meant |= {one.name: partial(_shifted, one, 0) for one in self._own}
        found = {name: knots(one, self._told) for name, one in meant.items()}
        told = {name: one for name, one in found.items() if one is not None}
        facts = ({"schedules": told} if told else {}) | (self._of_objective() if first else {})
        return facts | ({"expect": list(self._expect)} if first and self._expect else {})

    def _of_objective(self) -> dict[str, object]:
        if not self._objective:
            return {}
        roles = {one.name: str(one.role) for one in self._objective}
        reductions = {one.name: str(one.reduction) for one in self._objective if one.reduction}
        return {
            "objective": [one.name for one in self._objective],
            "roles": roles | self.roles,
            **({"reductions": reductions} if reductions else {}),
        }


def _shifted(term: Term, ahead: int, step: int) -> float:
    return term.weight_at(max(0, step + ahead))


def normalised(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares that sum to 1.

    Raises:
        WatchError: One is no finite number from 0 on, or all are 0.

    Example:
        >>> normalised({"type": 10, "ptr": 70, "countdown": 20})
        {'type': 0.1, 'ptr': 0.7, 'countdown': 0.2}
    """
    for name, one in shares.items():
        if not isinstance(one, Real) or not math.isfinite(one) or one < 0:
            raise WatchError(
                f"Watch: shares: {name}: expected a part of the gradient, a finite number from 0 "
                f"on, got {one!r}; 0.1 is ten percent if all sum to 1"
            )
    whole = float(sum(shares.values()))
    if not whole > 0:
        raise WatchError(
            f"Watch: shares: expected at least one above 0, got {dict(shares)!r:.80}; leave the "
            "argument out if none is meant"
        )
    return {name: float(one) / whole for name, one in shares.items()}


def expected(expect: Sequence[Expect]) -> tuple[dict[str, object], ...]:
    """Expectations as they stand in a record.

    Raises:
        WatchError: One of them is no `Expect`.

    Example:
        >>> expected([Expect("layerwise", below=1.0, after=0.2)])
        ({'name': 'layerwise', 'below': 1.0, 'after': 0.2},)
    """
    several = cast(Sequence[object], expect if isinstance(expect, (list, tuple)) else [expect])
    for one in several:
        if not isinstance(one, Expect):
            raise WatchError(
                f"Watch: expect: expected a list of poise.Expect, got {one!r:.80}; write "
                "expect=[poise.Expect('kd', below=5.0, after=0.2)]"
            )
    return tuple(one.as_record() for one in cast(Sequence[Expect], several))


def names_of(terms: object) -> Collection[str]:
    """Names of the terms of a total, those that a breakdown lists without a value included."""
    return cast(Mapping[str, object], terms).keys() if isinstance(terms, Mapping) else ()


def resting(terms: object, known: Collection[str]) -> Sequence[tuple[Key, float]]:
    """Weights of the terms that a breakdown lists without a value: they may have become 0.

    Args:
        terms: What `total` was given.
        known: Terms that may be recorded; empty: all.
    """
    if not isinstance(terms, Breakdown):
        return ()
    rests: list[Part] = [one for one in terms.entries if one.value is None]
    rests = [one for one in rests if not known or one.name in known]
    return [(("weights", one.name), one.weight) for one in rests]
