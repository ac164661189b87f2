"""What one optimizer step did to each term on the same batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from poise.errors import GraphError
from poise.probe.guard import RandomState, guard
from poise.probe.sharded import fully_sharded

Closure: TypeAlias = Callable[[], Mapping[str, Tensor | float]]
"""Runs the forward pass on one fixed batch and returns the terms by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Change of each term on the same batch, caused by one optimizer step.

    Attributes:
        before: Unweighted value by term before the step.
        after: The same after it, with the same random numbers.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def change(self) -> dict[str, float]:
        """After minus before, in units of the loss; negative means that the term fell."""
        return {name: self.after[name] - value for name, value in self.before.items()}

    @property
    def relative(self) -> dict[str, float]:
        """Change over the absolute value before; NaN where that is zero."""
        return {
            name: value / abs(self.before[name]) if self.before[name] else float("nan")
            for name, value in self.change.items()
        }

    def to_record(self) -> dict[str, object]:
        """The key `response` of a `probe` record: change by term."""
        return {"response": self.change}


@final
class ResponseProbe:
    """Measures the terms of one batch before and after an optimizer step.

    Either call `mark()` just before the training's own forward pass and give its terms to
    `before()`: then the probe costs one forward pass. Or call `before()` alone: it runs the closure
    itself, a second forward pass. `after()` repeats the random numbers, so dropout masks are the
    same. Every pass runs without gradients and under a `guard`, so buffers, modes, gradients and
    random generators are as they were.

    Args:
        closure: Runs the forward pass on one fixed batch, with its own autocast if it has one, and
            returns the terms.
        model: What the closure may change; its buffers, modes and gradients are restored.
        together: All processes probe the same steps, which a model under `fully_shard` needs: its
            forward pass is a collective. Each gets the response of its own batch.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> probe = ResponseProbe(lambda: {"out": model(torch.ones(1, 1)).sum()}, model)
        >>> probe.before()
        >>> with torch.no_grad():
        ...     _ = model.weight.add_(0.5)
        >>> round(probe.after().change["out"], 6)
        0.5
    """

    def __init__(
        self, closure: Closure, model: nn.Module | None = None, *, together: bool = False
    ) -> None:
        self._closure = closure
        self._model = model
        self._together = together
        self._state: RandomState | None = None
        self._buffers: dict[str, Tensor] = {}
        self._modes: list[bool] = []
        self._before: dict[str, float] | None = None

    def mark(self) -> None:
        """Remembers random generators, buffers and modes as they are before a forward pass.

        Raises:
            GraphError: The model is sharded and the probe is not told that all come together.
        """
        if not self._together and fully_sharded(self._model):
            raise GraphError(
                "ResponseProbe: expected a model that this process holds whole, got one under "
                "fully_shard; pass together=True if all processes measure the same steps"
            )
        self._state = RandomState.now()
        if self._model is not None:
            self._buffers = {name: one.clone() for name, one in self._model.named_buffers()}
            self._modes = [one.training for one in self._model.modules()]

    def before(self, terms: Mapping[str, Tensor | float] | None = None) -> None:
        """Takes the values before the step.

        Args:
            terms: What the forward pass after `mark()` gave; None: run the closure.

        Raises:
            GraphError: Terms are given but `mark()` was not called.
        """
        if terms is None:
            self.mark()
            self._before = self._run()
        elif self._state is None:
            raise GraphError(
                "ResponseProbe: expected mark() before the forward pass whose terms are given to "
                "before(), got none; call mark(), or before() without terms"
            )
        else:
            self._before = _values(terms)

    def after(self) -> Response:
        """Runs the batch again and compares; the probe is then ready for another step.

        Raises:
            GraphError: `before()` was not called, or the closure returned other terms than then.
        """
        if self._before is None:
            raise GraphError("ResponseProbe: expected before() and then after(), got after() alone")
        before, after = self._before, self._run()
        self._before = self._state = None
        self._buffers, self._modes = {}, []
        if before.keys() - after.keys():
            raise GraphError(
                f"ResponseProbe: expected the terms {', '.join(before)} from the closure, got "
                f"{', '.join(after) or 'none'}; return the same terms as in the training step"
            )
        return Response(before=before, after={name: after[name] for name in before})

    def _run(self) -> dict[str, float]:
        assert self._state is not None
        with guard(self._model, copy_gradients=True), torch.no_grad():
            self._return()
            return _values(self._closure())

    def _return(self) -> None:
        """Brings back what `mark()` remembered, so that the same forward pass is repeated."""
        assert self._state is not None
        self._state.restore()
        if self._model is None:
            return
        for name, one in self._model.named_buffers():
            if name in self._buffers:
                one.data.copy_(self._buffers[name])
        for module, mode in zip(self._model.modules(), self._modes, strict=True):
            module.training = mode


def _values(terms: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {n: float(one.detach() if isinstance(one, Tensor) else one) for n, one in terms.items()}
