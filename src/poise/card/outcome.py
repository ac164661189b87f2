"""One call of the loss function: its value, its gradients, and what it complained about."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from poise.card.seeds import seeded
from poise.errors import InspectError
from poise.probe.typed import passed_back
from poise.reduce import Reduced

SEED = 0
"""Seed before every call, so that two calls differ by their inputs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one call gave.

    Attributes:
        value: The loss; NaN also where the call raised.
        gradients: Gradient at each differentiable argument that was asked for, by position; None
            where none arrives.
        raised: What the call raised, in one line; empty for a call that went through.
        warned: The warnings of the call.
    """

    value: float
    gradients: dict[int, Tensor | None]
    raised: str = ""
    warned: tuple[str, ...] = ()

    @property
    def finite(self) -> bool:
        """The call went through with a finite value."""
        return not self.raised and abs(self.value) < float("inf")

    def gradient(self, position: int = 0) -> Tensor:
        """The gradient at an argument, zeros of no shape where none arrived."""
        found = self.gradients.get(position)
        return torch.zeros(()) if found is None else found

    @property
    def finite_gradient(self) -> bool:
        """No gradient holds NaN or Inf."""
        there = (one for one in self.gradients.values() if one is not None)
        return all(bool(torch.isfinite(one).all()) for one in there)


def call(
    loss: Callable[..., object],
    arguments: Sequence[object],
    wrt: Sequence[int] = (0,),
    *,
    factor: float = 1.0,
    seed: int = SEED,
    live: Sequence[int] = (0,),
) -> Outcome:
    """Calls the loss on copies and passes `factor` back; whatever it raises is kept as text.

    Args:
        loss: The loss function; must return one number.
        arguments: Its arguments; tensors are copied, so that the call cannot write into them.
        wrt: Positions of the arguments whose gradient is wanted.
        factor: Gradient that arrives at the loss.
        seed: Of the random generators before the call: torch's, Python's and NumPy's.
        live: Positions that require a gradient even where none is wanted, as in a training: a
            loss may itself differentiate by them (gradient penalty, residual of an equation).
    """
    given = [_leaf(one, at in wrt or at in live) for at, one in enumerate(arguments)]
    seeded(seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with torch.enable_grad():
                found = scalar(loss(*given))
                gradients = _gradients(found, given, wrt, factor)
        except InspectError:
            raise
        except Exception as error:  # a loss may raise anything; the card says what and where
            said = " ".join(str(error).split())
            return Outcome(
                value=float("nan"), gradients={}, raised=f"{type(error).__name__}: {said}"
            )
    said = tuple(str(one.message) for one in caught)
    return Outcome(value=float(found.detach()), gradients=gradients, warned=said)


def scalar(found: object) -> Tensor:
    """The loss as a scalar tensor; of a `Reduced`, its value.

    Raises:
        InspectError: It is no tensor with one real, floating element.
    """
    if isinstance(found, Reduced):
        found = found.value
    if not isinstance(found, Tensor):
        message = (
            f"the loss function returned a {type(found).__name__}, expected a scalar tensor; "
            "wrap it in a function that returns the one number that is back-propagated"
        )
        raise InspectError(message)
    if found.numel() != 1 or not found.is_floating_point():
        message = (
            f"the loss function returned {found.dtype} of shape {list(found.shape)}, expected one "
            "floating number; reduce it, for example with .mean()"
        )
        raise InspectError(message)
    return found.reshape(())


def _leaf(one: object, wanted: bool) -> object:
    if not isinstance(one, Tensor):
        return one
    copy = one.detach().clone()
    return copy.requires_grad_() if wanted and copy.is_floating_point() else copy


def _gradients(
    found: Tensor, given: list[Any], wrt: Sequence[int], factor: float
) -> dict[int, Tensor | None]:
    places = [at for at in wrt if isinstance(given[at], Tensor) and given[at].requires_grad]
    if not places or not found.requires_grad:
        return dict.fromkeys(places)
    back = passed_back(found, [cast(Tensor, given[at]) for at in places], factor)
    return {at: None if one is None else one.detach() for at, one in zip(places, back, strict=True)}
