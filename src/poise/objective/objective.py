"""Named terms and their weighted sum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor

from poise.errors import ReductionError, TermError, TermNameError
from poise.objective import state
from poise.objective.admit import admit
from poise.objective.breakdown import Breakdown, Entry, Standing
from poise.objective.look import keeping_random
from poise.objective.names import listed, unknown
from poise.objective.role import Role
from poise.objective.term import Term, Value, finite

Counts = Mapping[str, Tensor | float]


@final
class Objective:
    """What a training minimises, in one object for training and evaluation.

    Called with whatever its terms need, it computes them in order and adds them up:
    `w1 * L1 + w2 * L2 + ...`, from left to right, to the last bit. A term of weight 0 is not
    computed unless it is declared `measure=True`; it is listed all the same.

    Args:
        terms: At least one, with different names.

    Raises:
        TermNameError: Two terms of the same name.
        TermError: No term, or something else than terms.

    Example:
        >>> from poise.schedule import Linear
        >>> objective = Objective(
        ...     Term("fit", lambda x: (x - 3.0) ** 2),
        ...     Term("decay", lambda x: x**2, weight=Linear(0.0, 0.5, stop=10), role="regulariser"),
        ... )
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> breakdown = objective(x, step=5)
        >>> breakdown.total.backward()
        >>> breakdown.total.item(), x.grad.item()
        (2.0, -1.0)
    """

    def __init__(self, *terms: Term) -> None:
        for one in terms:
            if not isinstance(one, Term):  # pyright: ignore[reportUnnecessaryIsInstance] -- users' input
                raise TermError(
                    f"Objective: expected Term objects, got {type(one).__name__}; write "
                    "Objective(Term('name', fn, weight=1.0), ...)"
                )
        if not terms:
            raise TermError("Objective: expected at least one Term, got none")
        names = [one.name for one in terms]
        twice = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
        if twice:
            raise TermNameError(
                f"Objective: expected different names, got {listed(twice)} more than once"
            )
        self._terms = terms

    def __repr__(self) -> str:
        return f"Objective({', '.join(map(repr, self._terms))})"

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms, in order."""
        return self._terms

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, in order."""
        return tuple(one.name for one in self._terms)

    @property
    def roles(self) -> dict[str, str]:
        """Role by term, as plain text: what a recorder declares."""
        return {one.name: str(one.role) for one in self._terms}

    def weights(self, step: int | None = None) -> dict[str, float]:
        """Weight by term at an optimizer step.

        Args:
            step: Optimizer steps done, from 0; may be None if no weight is a schedule.

        Raises:
            TermError: There is a schedule but no step.
        """
        return {one.name: one.weight_at(step) for one in self._terms}

    def __call__(
        self, *args: object, step: int | None = None, counts: Counts | None = None
    ) -> Breakdown:
        """Computes the terms and their weighted sum.

        Args:
            args: Handed to the function of every term.
            step: Optimizer steps done, from 0: needed where a weight is a schedule.
            counts: For gradient accumulation, by term: its count over all micro-batches of the
                optimizer step (`poise.reduce.global_count` over ranks as well). Each value is then
                its sum over that count, so that values and gradients add up to the exact mean.
                Every term in the total must be named.

        Returns:
            The total and all terms.

        Raises:
            TermNameError: A term has no value, or `counts` has an unknown name or lacks one.
            TermValueError: A value is no real floating scalar.
            TermGraphError: A term has no graph where one is needed.
            TermError: A term has no function, or there is a schedule but no step.
            ReductionError: A value has no count although `counts` are given.
        """
        return self._break_down(_Called(args), self.weights(step), step, counts)

    def evaluate(
        self,
        *args: object,
        step: int | None = None,
        weights: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> Breakdown:
        """The same objective without a graph; any difference is asked for by name.

        Args:
            args: As in a call.
            step: As in a call: evaluation at step n has the weights of training step n.
            weights: Weights that are to differ from training, by term; 0 leaves a term out. The
                breakdown says so in `changed`.
            counts: As in a call.

        Returns:
            The total and all terms, without graph.

        Raises:
            TermNameError: As in a call, or `weights` has an unknown name.
            TermValueError: As in a call.
            TermError: As in a call, or a weight is no finite number or belongs to a monitor.

        Example:
            >>> objective = Objective(Term("fit", lambda x: x), Term("kl", lambda x: x, weight=0.1))
            >>> breakdown = objective.evaluate(torch.tensor(2.0), weights={"kl": 1.0})
            >>> breakdown.total.item(), breakdown.changed
            (4.0, ("weight of 'kl' is 1 instead of 0.1",))
        """
        own = self.weights(step)
        asked = {name: self._asked(name, value) for name, value in (weights or {}).items()}
        changed = tuple(
            f"weight of {name!r} is {value:g} instead of {own[name]:g}"
            for name, value in asked.items()
            if value != own[name]
        )
        with torch.no_grad():
            return self._break_down(_Called(args), own | asked, step, counts, changed)

    def combine(
        self,
        values: Mapping[str, Value],
        *,
        step: int | None = None,
        counts: Counts | None = None,
    ) -> Breakdown:
        """The weighted sum of values that exist already.

        Args:
            values: Scalar tensor or `Reduced` by term, in any order; the sum is taken in the order
                of the terms. A term of weight 0 and one declared `sometimes` may be left out.
            step: As in a call.
            counts: As in a call.

        Raises:
            TermNameError: An unknown term, or one is missing.
            TermValueError: As in a call.
            TermGraphError: As in a call.
            TermError: As in a call.
            ReductionError: As in a call.

        Example:
            >>> objective = Objective(Term("ce"), Term("kl", weight=0.1))
            >>> loss = torch.tensor(2.0, requires_grad=True)
            >>> objective.combine({"kl": 10 * loss, "ce": loss}).total
            tensor(4., grad_fn=<AddBackward0>)
        """
        self._known(values)
        return self._break_down(_Given(values), self.weights(step), step, counts)

    def state_dict(self) -> dict[str, object]:
        """What the objective is, in plain values: weights, schedules, roles; not the functions.

        Example:
            >>> Objective(Term("ce", weight=0.5)).state_dict()["terms"]["ce"]["weight"]
            0.5
        """
        return state.save(self._terms)

    def load_state_dict(self, saved: Mapping[str, object], *, weights: str = "same") -> None:
        """Checks that a saved objective is this one, and may take over its weights.

        Args:
            saved: What `state_dict` returned.
            weights: `same`: different weights or schedules are an error. `saved`: take the saved
                ones over. `own`: keep those of this objective.

        Raises:
            StateError: The objectives differ in what must not; the message names each difference.
        """
        self._terms = state.load(self._terms, saved, weights)

    def _asked(self, name: str, value: float) -> float:
        self._known((name,))
        if next(one for one in self._terms if one.name == name).role is Role.MONITOR:
            raise TermError(f"term {name!r} is a monitor and never in the total: it has no weight")
        return finite(name, "its weight", value)

    def _known(self, names: Iterable[object]) -> None:
        for name in names:
            if name not in self.names:
                raise unknown(name, self.names)

    def _break_down(
        self,
        source: "_Called | _Given",
        weights: Mapping[str, float],
        step: int | None,
        counts: Counts | None,
        changed: tuple[str, ...] = (),
    ) -> Breakdown:
        counts = counts or {}
        self._known(counts)
        entries = tuple(_entry(one, weights[one.name], source, counts) for one in self._terms)
        total: Tensor | None = None
        for one in entries:
            if one.weighted is not None:
                total = one.weighted if total is None else total + one.weighted
        if total is None:
            total = _nothing((*(one.value for one in entries), *source.near))
        return Breakdown(
            total=total, entries=entries, step=step, changed=changed, declared=self._terms
        )


@final
@dataclass(frozen=True, slots=True)
class _Called:
    """Values that are computed when they are asked for."""

    near: tuple[object, ...]

    def wants(self, term: Term) -> bool:
        """Is the term to be computed although it is not in the total?"""
        return term.measure or term.role is Role.MONITOR

    def value(self, term: Term) -> object:
        """What the term's function returns."""
        if term.fn is None:
            raise TermError(
                f"term {term.name!r} has no function; pass one to Term, or hand its value to "
                "Objective.combine"
            )
        try:
            return term.fn(*self.near)
        except Exception as error:
            error.add_note(f"raised by the function of term {term.name!r}")
            raise

    def looked_at(self, term: Term) -> object:
        """The same without a graph; the training's next random numbers are what they would be."""
        with torch.no_grad(), keeping_random():
            return self.value(term)


@final
@dataclass(frozen=True, slots=True)
class _Given:
    """Values that exist already."""

    values: Mapping[str, Value]

    @property
    def near(self) -> tuple[object, ...]:
        """Anything that tells the device."""
        return tuple(self.values.values())

    def wants(self, term: Term) -> bool:
        """Is the term to be looked at although it is not in the total? It costs nothing here."""
        return term.name in self.values or term.role is Role.MONITOR

    def value(self, term: Term) -> object:
        """What was given for the term."""
        if term.name not in self.values and not term.sometimes:
            raise TermNameError(
                f"missing term {term.name!r}; combine got {listed(self.values)}. If some batches "
                f"do not have it, declare Term({term.name!r}, sometimes=True)"
            )
        return self.values.get(term.name)

    def looked_at(self, term: Term) -> object:
        """The same: nothing is computed here."""
        return self.value(term)


def _entry(term: Term, weight: float, source: _Called | _Given, counts: Counts) -> Entry:
    role, name = Role(term.role), term.name
    weighted = weight != 0.0 and role.in_total
    if not weighted and not source.wants(term):
        return Entry(name=name, role=role, standing=Standing.OFF, weight=weight)
    given = source.value(term) if weighted else source.looked_at(term)
    if weighted and counts and name not in counts and given is not None:
        raise ReductionError(
            f"term {name!r}: counts were given for {listed(counts)}, so expected one for every "
            "term in the total; two terms with different denominators change their ratio with the "
            "number of micro-batches"
        )
    found = admit(term, given, weighted=weighted, count=counts.get(name))
    if found is None:
        return Entry(name=name, role=role, standing=Standing.ABSENT, weight=weight)
    return Entry(
        name=name,
        role=role,
        standing=Standing.COUNTED if weighted else Standing.MEASURED,
        weight=weight,
        value=found.value,
        weighted=_times(weight, found.value) if weighted else None,
        count=cast(Tensor, found.part.count) if found.part else None,
        part=found.part,
    )


def _times(weight: float, value: Tensor) -> Tensor:
    """A factor of exactly 1 changes no bit, so it needs no operation."""
    return value if weight == 1.0 else weight * value


def _nothing(near: Iterable[object]) -> Tensor:
    """The empty sum, on the device of what is around; its backward pass does nothing."""
    device = next((one.device for one in near if isinstance(one, Tensor)), None)
    return torch.zeros((), device=device, requires_grad=torch.is_grad_enabled())
