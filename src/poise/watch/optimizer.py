"""What optimizers do, seen through their own hooks."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from poise.errors import WatchError
from poise.watch.sink import Key


class Steps:
    """Counts the steps of optimizers and looks at rates and gradients on the way.

    Nothing is wrapped or replaced: all of it goes through `register_step_pre_hook`,
    `register_step_post_hook` and, for gradients, `register_post_accumulate_grad_hook`.

    Args:
        optimizers: The training's optimizers.
        before: Called before each step.
        after: Called after each step.

    Attributes:
        done: Steps so far; with several optimizers those of the one that took most.
        since: Steps since `begin` was called last.

    Raises:
        WatchError: Something is no optimizer of torch.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        *,
        before: Callable[[Optimizer], None],
        after: Callable[[], None],
    ) -> None:
        for one in optimizers:
            if not isinstance(one, Optimizer):  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
                raise WatchError(
                    "Watch: optimizer: expected a torch.optim.Optimizer, got "
                    f"{type(one).__name__}; pass the optimizer itself, not a scheduler or wrapper"
                )
        self.optimizers = tuple(optimizers)
        self.done = 0
        self.since = 0
        self.backwards = 0
        self._counts = [0] * len(optimizers)
        self._before, self._after = before, after
        self._handles: list[RemovableHandle] = []
        self._witness: Tensor | None = None
        self._candidates: list[RemovableHandle] = []
        for at, one in enumerate(self.optimizers):
            self._handles.append(one.register_step_pre_hook(self._pre))
            self._handles.append(one.register_step_post_hook(self._counter(at)))

    def start_at(self, steps: int) -> None:
        """Counts on from `steps`."""
        self._counts = [steps] * len(self._counts)
        self.done = steps

    def parameters(self) -> Iterator[Tensor]:
        """All parameters of all optimizers that are trained."""
        for one in self.optimizers:
            for group in one.param_groups:
                yield from (each for each in group["params"] if each.requires_grad)

    def rates(self) -> list[tuple[Key, Tensor | float]]:
        """Learning rate of every group of every optimizer, as it is at this moment."""
        groups = [group for one in self.optimizers for group in one.param_groups]
        return [(("lr", str(at)), group["lr"]) for at, group in enumerate(groups) if "lr" in group]

    @property
    def wasted(self) -> bool:
        """True if the gradients of this micro-batch are gone although no step used them.

        Mixed precision skips its step where a gradient overflowed, and `zero_grad` comes after it.
        """
        witness = self._witness
        return bool(
            self.backwards and not self.since and witness is not None and witness.grad is None
        )

    def begin(self) -> None:
        """Begins a micro-batch."""
        self.since = self.backwards = 0
        if self._witness is None and not self._candidates:
            self._find_witness()

    def close(self) -> None:
        """Removes all hooks; a second call does nothing."""
        for handle in (*self._handles, *self._candidates):
            handle.remove()
        self._handles, self._candidates, self._witness = [], [], None

    def _pre(self, optimizer: Optimizer, *_: object) -> None:
        self._before(optimizer)

    def _counter(self, at: int) -> Callable[..., None]:
        def count(*_: object) -> None:
            self._counts[at] += 1
            self.since += 1
            self.done = max(self._counts)
            self._after()

        return count

    def _find_witness(self) -> None:
        """Waits for the first parameter that receives a gradient; it tells of every backward."""

        def seen(parameter: Tensor) -> None:
            self.backwards += 1
            if self._witness is None:
                self._witness = parameter
                for other, handle in list(zip(parameters, self._candidates, strict=True)):
                    if other is not parameter:
                        handle.remove()

        parameters = list({id(one): one for one in self.parameters()}.values())
        self._candidates = [_on_gradient(one, seen) for one in parameters]


class GradientNorm:
    """L2 norm of the gradient before and after clipping, for one optimizer step.

    Before: from the gradients as the backward pass leaves them. After: as the optimizer gets them.
    In between lies whatever the loop does to them; under a loss scale (a gradient of the total
    above 1) that is unscaling too, so then only the norm after it is told.

    Example:
        >>> parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> total = (parameter**2).sum()
        >>> norm = GradientNorm([parameter], total)
        >>> total.backward()
        >>> _ = torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        >>> before, after = norm.result()
        >>> before.item(), round(after.item(), 4)
        (10.0, 1.0)
    """

    def __init__(self, parameters: Sequence[Tensor], total: Tensor) -> None:
        self._parameters = parameters
        self._norms: dict[int, Tensor] = {}
        self._scale: Tensor | None = None
        self._handles = [_on_gradient(one, self._seen) for one in parameters]
        if total.requires_grad:
            self._handles.append(cast(RemovableHandle, total.register_hook(self._root)))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped

    def result(self) -> tuple[Tensor | None, Tensor | None]:
        """Norm before and after, as tensors; None where it cannot be seen. Ends the looking."""
        self.close()
        scaled = self._scale is not None and not self._scale.item() <= 1
        grads = [one.grad for one in self._parameters if one.grad is not None]
        after = _norm([_norm_of(one) for one in grads])
        return None if scaled else _norm(list(self._norms.values())), after

    def close(self) -> None:
        """Removes the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _root(self, gradient: Tensor) -> None:
        self._scale = gradient.detach().abs()

    def _seen(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self._norms[id(parameter)] = _norm_of(parameter.grad)


def _on_gradient(parameter: Tensor, seen: Callable[[Tensor], None]) -> RemovableHandle:
    return cast(RemovableHandle, parameter.register_post_accumulate_grad_hook(seen))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def _norm_of(gradient: Tensor) -> Tensor:
    dense = gradient.detach()
    dense = dense.coalesce().values() if dense.is_sparse else dense
    wide = dense if dense.dtype == torch.float64 or dense.is_complex() else dense.float()
    return cast(Tensor, torch.linalg.vector_norm(wide))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def _norm(norms: Sequence[Tensor]) -> Tensor | None:
    if not norms:
        return None
    device = norms[0].device
    side = torch.stack([one.to(device) for one in norms])
    return cast(Tensor, torch.linalg.vector_norm(side))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def steps_in_state(optimizers: Sequence[Optimizer]) -> int | None:
    """Steps that the optimizers' own state tells of; None for optimizers that do not count.

    Example:
        >>> steps_in_state([torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)]) is None
        True
    """
    found = [
        float(cast(float, state["step"]))
        for one in optimizers
        for state in one.state.values()
        if "step" in state
    ]
    return int(max(found)) if found and math.isfinite(max(found)) else None
