"""One named loss of an objective."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeAlias, final

from torch import Tensor

from poise.errors import TermError, TermNameError
from poise.objective.names import meant
from poise.objective.role import Role
from poise.reduce import Reduced, Reduction
from poise.schedule import Schedule

Value: TypeAlias = Tensor | Reduced | float | None
"""What the function of a term may return; None means that this batch does not have the term."""


@final
@dataclass(frozen=True, slots=True)
class Term:
    """One named loss, what it weighs and what it is for.

    Attributes:
        name: Its name, in the objective and in the record.
        fn: Called with the arguments of the objective; returns a scalar tensor, or a
            `poise.reduce.Reduced` so that its count travels along. None: the values are always
            handed to `Objective.combine`.
        weight: The factor in the total, or a schedule of the optimizer step. While it is 0, `fn`
            is not called. A monitor has weight 0.
        role: What the term is for.
        reduction: What its mean is taken over; what `fn` returns is held against it.
        sometimes: Some batches do not have this term: `fn` may return None, and `combine` may go
            without it.
        measure: Compute it, without a graph, while its weight is 0 too.

    Raises:
        TermNameError: The name is no text or empty.
        TermError: The weight is no finite number or schedule, a monitor is given one, or the
            function cannot be called.

    Example:
        >>> from poise.schedule import Linear
        >>> term = Term("kl", weight=Linear(0.0, 0.5, stop=10), role="regulariser")
        >>> term.weight_at(5), term.role
        (0.25, <Role.REGULARISER: 'regulariser'>)
    """

    name: str
    fn: Callable[..., Value] | None = None
    weight: float | Schedule = field(default=1.0, kw_only=True)
    role: Role | str = field(default=Role.TASK, kw_only=True)
    reduction: Reduction | str | None = field(default=None, kw_only=True)
    sometimes: bool = field(default=False, kw_only=True)
    measure: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:  # pyright: ignore[reportUnnecessaryIsInstance] -- users' input
            raise TermNameError(f"expected the name of a term as text, got {self.name!r}")
        if self.fn is not None and not callable(self.fn):
            raise TermError(
                f"term {self.name!r}: expected fn to be a function of the objective's arguments, "
                f"got {type(self.fn).__name__}; values that exist already go to Objective.combine"
            )
        settle = object.__setattr__
        settle(self, "role", self._word(Role, "role", self.role))
        if self.reduction is not None:
            settle(self, "reduction", self._word(Reduction, "reduction", self.reduction))
        if not callable(self.weight):
            settle(self, "weight", finite(self.name, "weight", self.weight))
        if self.role is Role.MONITOR:
            if self.weight not in (0.0, 1.0):
                raise TermError(
                    f"term {self.name!r}: expected no weight for a monitor, as it is never in the "
                    f"total, got {self.weight!r}; leave it out or give another role"
                )
            settle(self, "weight", 0.0)

    def _word(self, kind: type[Role] | type[Reduction], what: str, given: str) -> Role | Reduction:
        try:
            return kind(given)
        except ValueError:
            words = ", ".join(kind)
            raise TermError(
                f"term {self.name!r}: expected {what} to be one of {words}, got {given!r}."
                f"{meant(given, kind)}"
            ) from None

    def weight_at(self, step: int | None) -> float:
        """The weight at an optimizer step.

        Args:
            step: Optimizer steps done, from 0; may be None if the weight is a number.

        Raises:
            TermError: There is a schedule but no step, or the schedule returns no finite number.
            ScheduleError: The step is negative or no whole number.
        """
        if not callable(self.weight):
            return self.weight
        if step is None:
            raise TermError(
                f"term {self.name!r}: its weight is {self.weight!r}, so a step is needed; pass "
                "step=, the number of optimizer steps done"
            )
        return finite(self.name, f"its weight at step {step}", self.weight(step))


def finite(term: str, what: str, value: object) -> float:
    """The value as a float.

    Raises:
        TermError: It is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise TermError(
            f"term {term!r}: expected {what} to be a finite number or a schedule, got "
            f"{type(value).__name__} {value!r:.60}; a learned factor belongs into the function of "
            "the term"
        )
    return float(value)
