"""What one optimizer step does to the terms of its own batch, by repeating the forward pass."""

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from poise.errors import TermNameError, WatchError
from poise.objective.breakdown import Breakdown
from poise.probe.guard import RandomState, guard
from poise.watch.terms import Given, Scalar, Scalars

Again: TypeAlias = Callable[[], "Scalars | Breakdown"]
"""Repeats the forward pass of the current micro-batch; returns the terms as `total` gets them."""


class Responding:
    """Calls a training's forward pass again after an optimizer step, and compares.

    Before and after must have the same random numbers. Where the forward pass draws none, and
    repeats the training's values to the last bit, the values before the step are those that the
    training computed anyway; a first call finds out. Else it is called before the step as well.

    Args:
        model: Its buffers, modes and gradients are restored after each call.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> again = lambda: {"out": model(torch.ones(1, 1)).sum()}
        >>> responding = Responding(model)
        >>> terms = again()
        >>> given = Given(total=terms["out"], values=terms, weights={"out": 1.0}, counts={})
        >>> responding.before(given, again)
        >>> with torch.no_grad():
        ...     _ = model.weight.add_(0.5)
        >>> round(responding.after()["out"], 6)
        0.5
    """

    def __init__(self, model: nn.Module | None) -> None:
        self._model = model
        self._repeats: bool | None = None
        self._again: Again | None = None
        self._values: dict[str, float] = {}
        self._state: RandomState | None = None

    @property
    def ready(self) -> bool:
        """Is there a value before, so that a step can be answered?"""
        return self._again is not None

    def before(self, found: Given, again: Again) -> None:
        """Takes the values before a step; calls `again` if they are not those of the training.

        Raises:
            TermNameError: `again` does not return the terms of the total.
        """
        given = _numbers(found.values)
        self._state = RandomState.now()
        if self._repeats:
            self._values = given
        else:
            self._values, drew = self._called(again, given)
            if self._repeats is None:
                self._repeats = not drew and self._values == given
        self._again = again

    def after(self) -> dict[str, float]:
        """Change of each term, in units of the loss; may be called after several steps in turn.

        Raises:
            TermNameError: As in `before`.
        """
        assert self._again is not None
        now, _ = self._called(self._again, self._values)
        return {name: now[name] - one for name, one in self._values.items()}

    def forget(self) -> None:
        """Lets go of the batch."""
        self._again = self._state = None
        self._values = {}

    def _called(self, again: Again, expected: Mapping[str, float]) -> tuple[dict[str, float], bool]:
        """Values of the expected terms from the same random numbers, and whether any were drawn."""
        assert self._state is not None
        with guard(self._model, copy_gradients=True), torch.no_grad():
            self._state.restore()
            terms = _terms(again())
            drew = not torch.equal(torch.get_rng_state(), self._state.cpu) or _others(self._state)
            missing = expected.keys() - terms.keys()
            if missing:
                raise TermNameError(
                    f"Watch.total: again: expected the terms {', '.join(map(repr, expected))}, got "
                    f"{', '.join(map(repr, terms)) or 'none'}; return what total is given"
                )
            return _numbers({name: terms[name] for name in expected}), drew


def admit(again: object, model: nn.Module | None) -> None:
    """Refuses what cannot be called, or could not be undone.

    Raises:
        WatchError: It is no function, or there is no model.
    """
    if again is None:
        return
    if not callable(again):
        raise WatchError(
            f"Watch.total: again: expected a function without arguments that returns the terms of "
            f"this batch, got {type(again).__name__}; write again=lambda: losses(model, batch)"
        )
    if model is None:
        raise WatchError(
            "Watch.total: again: expected a watch that knows the model, whose buffers it puts back "
            "after each call, got none; write Watch(..., model=model)"
        )


def _terms(found: object) -> dict[str, Scalar]:
    if isinstance(found, Breakdown):
        return {name: one.value for name, one in found.items() if one.value is not None}
    if isinstance(found, Mapping):
        return dict(cast(Scalars, found))
    return {}


def _numbers(terms: Scalars) -> dict[str, float]:
    return {
        name: float(one.detach()) if isinstance(one, Tensor) else float(one)
        for name, one in terms.items()
    }


def _others(state: RandomState) -> bool:
    """Did a generator other than torch's of the CPU move on?"""
    now = RandomState.now()
    devices = any(not torch.equal(one, now.devices[at]) for at, one in state.devices.items())
    # NumPy's state is a nest of arrays, which have no truth; all of it is in its text.
    return devices or now.python != state.python or str(now.numpy) != str(state.numpy)
