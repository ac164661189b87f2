"""What a term's function may return, and what is wrong with the rest."""

from dataclasses import dataclass
from numbers import Real
from typing import cast, final

import torch
from torch import Tensor

from poise.errors import ReductionError, TermGraphError, TermNameError, TermValueError
from poise.objective.role import Role
from poise.objective.term import Term
from poise.reduce import Reduced, Reduction


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Admitted:
    """The value of a term, found good.

    Attributes:
        value: Scalar tensor.
        part: Sum and count, where the function returned them.
    """

    value: Tensor
    part: Reduced | None = None


def admit(
    term: Term, given: object, *, weighted: bool, count: Tensor | float | None = None
) -> Admitted | None:
    """Takes in what a term's function returned.

    Args:
        term: The term.
        given: What was returned.
        weighted: It enters the total; else it is only looked at, and its graph is dropped.
        count: Count of the whole accumulated batch: the value becomes its part in that mean.

    Returns:
        The value; None where this batch does not have the term.

    Raises:
        TermNameError: No value, although the term is not declared `sometimes`.
        TermValueError: No real floating scalar.
        TermGraphError: No graph where one is needed.
        ReductionError: Not the declared reduction, or a count is asked for and there is none.
    """
    if given is None:
        if not term.sometimes:
            raise TermNameError(
                f"term {term.name!r} has no value in this batch: its function returned None; if "
                "some batches do not have it, declare sometimes=True"
            )
        return None
    part = given if isinstance(given, Reduced) else None
    value = _value(term, given, part, count)
    if not weighted:
        return Admitted(value=value.detach(), part=part and part.detach())
    if term.role is not Role.OFFSET and torch.is_grad_enabled() and not value.requires_grad:
        raise TermGraphError(
            f"term {term.name!r} has no graph: its value does not depend on any parameter, so it "
            "cannot train anything; look for .detach(), .item(), argmax or no_grad() on its way, "
            "declare role='offset' or 'monitor' if that is meant, and evaluate with "
            "Objective.evaluate or under torch.no_grad()"
        )
    return Admitted(value=value, part=part)


def _value(term: Term, given: object, part: Reduced | None, count: Tensor | float | None) -> Tensor:
    if part is None:
        if count is not None:
            raise ReductionError(
                f"term {term.name!r}: a count was given, so expected a poise.reduce.Reduced, got "
                f"{type(given).__name__}; a value without its sum cannot be part of a larger mean "
                "(of a term that is the same in every micro-batch, return Reduced(sum=value, "
                "count=1) and give the number of micro-batches as its count)"
            )
        return _scalar(term, given)
    if term.reduction is not None and part.reduction is not term.reduction:
        raise ReductionError(
            f"term {term.name!r}: declared reduction {str(term.reduction)!r}, but its function "
            f"returned {str(part.reduction)!r}; correct the one that is wrong"
        )
    whole = count is not None and part.reduction is not Reduction.SUM
    return _scalar(term, part.over(cast("Tensor | float", count)) if whole else part.value)


def _scalar(term: Term, given: object) -> Tensor:
    if type(given) is not bool and isinstance(given, Real):
        return _number(term, float(given))
    if not isinstance(given, Tensor):
        raise TermValueError(
            f"term {term.name!r}: expected a scalar tensor or a poise.reduce.Reduced, got "
            f"{type(given).__name__}"
        )
    if given.ndim:
        raise TermValueError(
            f"term {term.name!r}: expected a scalar, got shape {list(given.shape)}; reduce it with "
            "poise.reduce, such as masked_mean(values), so that its count travels along"
        )
    if given.is_complex():
        raise TermValueError(
            f"term {term.name!r}: expected a real number, got {given.dtype}; take .abs() or .real"
        )
    if not given.is_floating_point():
        raise TermValueError(
            f"term {term.name!r}: expected a floating number, got {given.dtype}, which has no "
            "gradient; for a count or an accuracy use .float() and role='monitor'"
        )
    return given


def _number(term: Term, given: float) -> Tensor:
    """Plain numbers are fine where no gradient is expected."""
    if term.role.needs_gradient and torch.is_grad_enabled():  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- a Role since __post_init__
        raise TermGraphError(
            f"term {term.name!r} has no graph: expected a tensor, got the plain number {given!r}; "
            "return the tensor itself instead of its .item(), or declare role='offset' or 'monitor'"
        )
    return torch.tensor(given)
