"""What optimizers do, seen through their own hooks."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from poise.probe.quiet import probing
from poise.probe.sharded import own_part
from poise.watch.sink import Key

SMALL = 4096
"""Elements of a gradient that are looked at in every micro-batch under a loss scale, at most."""
ROUNDINGS = 4
"""Units in the last place that a division by the number of micro-batches may be off."""


class Steps:
    """Counts the steps of optimizers and looks at rates and gradients on the way.

    Nothing is wrapped or replaced: all of it goes through `register_step_pre_hook`,
    `register_step_post_hook` and, for gradients, `register_post_accumulate_grad_hook`.

    Several optimizers that step in one micro-batch make one step together; those that take turns,
    one micro-batch each or one after the other, make one step each.

    Args:
        optimizers: The training's optimizers.
        before: Called before each step.
        after: Called after each step.

    Attributes:
        done: Steps so far; in each micro-batch those of the optimizer that took most.
        inside: True while an optimizer steps, as it does when it calls a closure.
        scaled: True if a loss scale above 1 was seen.
        factor: What the total that was looked at last was multiplied with on its way back; 1 if it
            was passed back itself, 1/N if it was divided by N micro-batches; None if unknown.
        passed: True if the total of this micro-batch was looked at and has been passed back itself.
        late: True once a total was looked at that had not been passed back when the next one came:
            then a backward pass may be that of several totals.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        *,
        before: Callable[[Optimizer], None],
        after: Callable[[], None],
    ) -> None:
        self.optimizers = tuple(optimizers)
        self.done = 0
        self.inside = False
        self.scaled = False
        self.factor: float | None = None
        self.passed = False
        self.late = False
        self._before, self._after = before, after
        self._earlier = 0  # steps done when the micro-batch began
        self._counts = [0] * len(self.optimizers)  # steps of each in this micro-batch
        self._waiting = 0  # micro-batches since the last step, this one included
        self._handles: list[RemovableHandle] = []
        self._roots: list[RemovableHandle] = []
        self._used = True  # the total of this micro-batch, as far as it was looked at
        self._witness = Witness()
        for at, one in enumerate(self.optimizers):
            self._handles.append(one.register_step_pre_hook(self._pre))
            self._handles.append(one.register_step_post_hook(self._counter(at)))

    def start_at(self, steps: int) -> None:
        """Counts on from `steps`."""
        self._counts = [0] * len(self._counts)
        self.done = self._earlier = steps

    def parameters(self) -> Iterator[Tensor]:
        """All parameters of all optimizers that are trained."""
        for one in self.optimizers:
            yield from trained(one)

    def rates(self) -> list[tuple[Key, Tensor | float]]:
        """Learning rate of every group of every optimizer, as it is at this moment."""
        groups = [group for one in self.optimizers for group in one.param_groups]
        return [(("lr", str(at)), group["lr"]) for at, group in enumerate(groups) if "lr" in group]

    @property
    def accumulated(self) -> int:
        """Micro-batches since the last step of any optimizer, the current one included."""
        return self._waiting

    @property
    def unused(self) -> bool:
        """True if a step came in this micro-batch and its total was seen not to be passed back."""
        return not self._used and self.done > self._earlier

    def lost(self) -> Tensor | float | None:
        """Whether the gradients of this micro-batch are gone although no step used them.

        Returns:
            None if not; NaN if one of them was not finite while the loss was scaled, as when mixed
            precision skips its step; else 0. A tensor of shape () where that is on a device.
        """
        if self.inside or self.done > self._earlier or not self._witness.robbed:
            return None
        return self._witness.overflow()

    def begin(self, total: Tensor | None = None, terms: Iterable[object] = ()) -> None:
        """Begins a micro-batch.

        Args:
            total: Its total, to see in its backward pass whether the loss is scaled; on a GPU that
                waits for the device.
            terms: What it is the sum of: passed back all together in another way, as a balancer
                does it, they have used it as well.
        """
        # A closure is called several times for one step, and begins with no gradient each time.
        alone = self.inside or self.done > self._earlier
        self._waiting = 1 if alone else self._waiting + 1
        self.late = self.late or (bool(self._roots) and not self.passed)
        self._earlier = self.done
        self._counts = [0] * len(self._counts)
        self._look(total, terms)
        self._witness.begin(self.parameters, self.scaled)

    def close(self) -> None:
        """Removes all hooks; a second call does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._look(None)
        self._witness.close()

    def _pre(self, optimizer: Optimizer, *_: object) -> None:
        self._before(optimizer)
        self.inside = True

    def _counter(self, at: int) -> Callable[..., None]:
        def count(*_: object) -> None:
            self.inside = False
            self._counts[at] += 1
            self.done = self._earlier + max(self._counts)
            self._after()

        return count

    def _look(self, total: Tensor | None, terms: Iterable[object] = ()) -> None:
        def root(gradient: Tensor) -> None:
            if not probing():
                self._used = self.passed = True
                self.factor = float(gradient.detach())
                self.scaled = self._witness.scaled = abs(self.factor) > 1

        for handle in self._roots:
            handle.remove()
        self._roots = []
        self.passed = False
        self._used = total is None or not total.requires_grad
        if total is None or not total.requires_grad:
            return
        self._roots.append(_hooked(total, root))
        parts = [one for one in terms if isinstance(one, Tensor) and one.requires_grad]
        left = set(range(len(parts)))

        def passed(at: int, _: Tensor) -> None:
            if not probing():
                left.discard(at)
                self._used = self._used or not left

        self._roots += [_hooked(one, partial(passed, at)) for at, one in enumerate(parts)]


def _hooked(one: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    return cast(RemovableHandle, one.register_hook(hook))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


class Witness:
    """One small parameter whose gradient tells what became of the gradients of a micro-batch.

    It is the last one that the first backward pass reaches, because what overflows on the way
    spoils everything behind it, and a small one, so that looking at all its elements costs nothing.

    Attributes:
        scaled: True if the loss is scaled; only then is it looked for what is not finite.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> witness = Witness()
        >>> witness.begin(layer.parameters, scaled=True)
        >>> (layer(torch.ones(1, 2)) * float("inf")).sum().backward()
        >>> layer.zero_grad()
        >>> witness.robbed, witness.overflow()
        (True, tensor(nan))
    """

    def __init__(self) -> None:
        self.scaled = False
        self._parameter: Tensor | None = None
        self._candidates: list[tuple[Tensor, RemovableHandle]] = []
        self._seen: list[Tensor] = []
        self._found: list[Tensor] = []

    @property
    def robbed(self) -> bool:
        """True if the gradients came and are gone."""
        return bool(self._seen) and self._seen[-1].grad is None

    def overflow(self) -> Tensor | float:
        """NaN if a gradient that was looked at is not finite, else 0."""
        if not self._found:
            return 0.0
        device = self._found[0].device
        return torch.stack([one.to(device) for one in self._found]).sum()

    def begin(self, parameters: Callable[[], Iterable[Tensor]], scaled: bool) -> None:
        """Begins a micro-batch.

        Args:
            parameters: Gives those that may be chosen from; asked once.
            scaled: Whether the loss is scaled, as far as it is known yet.
        """
        if self._seen and self._parameter is None:
            self._choose()
        elif not self._candidates:
            several = {id(one): one for one in parameters()}.values()
            self._candidates = [(one, _on_gradient(one, self._hear)) for one in several]
        self.scaled = scaled
        if self._seen:
            self._seen, self._found = [], []

    def close(self) -> None:
        """Removes the hooks."""
        for _, handle in self._candidates:
            handle.remove()
        self._candidates, self._parameter, self._seen = [], None, []

    def _choose(self) -> None:
        small = [one for one in self._seen if one.numel() <= SMALL]
        self._parameter = (small or self._seen)[-1]
        for one, handle in self._candidates:
            if one is not self._parameter:
                handle.remove()
        self._candidates = [one for one in self._candidates if one[0] is self._parameter]

    def _hear(self, parameter: Tensor) -> None:
        self._seen.append(parameter)
        if self.scaled and parameter.grad is not None:
            self._found.append(_dense(own_part(parameter.grad)).reshape(-1)[:SMALL].mul(0).sum())


class GradientNorm:
    """L2 norm of the gradient before and after clipping, for one optimizer step.

    Before: from the gradients as the backward pass leaves them. After: as the optimizer gets them.
    In between lies whatever the loop does to them. Under a loss scale that is unscaling too, so
    the norm before is told only where the total itself was descended: its own gradient is 1, or
    1/N with N accumulated micro-batches. Nor is it told where the optimizer gets gradients that no
    backward pass since then has touched.

    Args:
        parameters: Those that a backward pass may reach.
        total: What is back-propagated.

    Example:
        >>> parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> total = (parameter**2).sum()
        >>> norm = GradientNorm([parameter], total)
        >>> total.backward()
        >>> _ = torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        >>> before, after = norm.result([parameter])
        >>> before.item(), round(after.item(), 4)
        (10.0, 1.0)
    """

    def __init__(self, parameters: Iterable[Tensor], total: Tensor) -> None:
        self._norms: dict[int, Tensor] = {}
        self._factor: Tensor | None = None
        several = {id(one): one for one in parameters}.values()
        self._handles = [_on_gradient(one, self._seen) for one in several]
        if total.requires_grad:
            self._handles.append(cast(RemovableHandle, total.register_hook(self._root)))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped

    def result(
        self, parameters: Iterable[Tensor], *, accumulated: int = 1
    ) -> tuple[Tensor | None, Tensor | None]:
        """Norm before and after, as tensors; None where it cannot be told. Ends the looking.

        Args:
            parameters: Those of the optimizer that steps.
            accumulated: Micro-batches whose gradients it gets.
        """
        self.close()
        given = {id(one): one.grad for one in parameters if one.grad is not None}
        after = _norm([_norm_of(one) for one in given.values()])
        stale = [_norm_of(one) for key, one in given.items() if key not in self._norms]
        if not _is_own(self._factor, accumulated) or any(one.item() != 0 for one in stale):
            return None, after
        return _norm([one for key, one in self._norms.items() if key in given]), after

    def close(self) -> None:
        """Removes the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _root(self, gradient: Tensor) -> None:
        self._factor = gradient.detach()

    def _seen(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self._norms[id(parameter)] = _norm_of(parameter.grad)


def trained(optimizer: Optimizer) -> list[Tensor]:
    """The parameters of an optimizer that are trained; not those of lazy modules that never ran.

    Example:
        >>> weight = torch.zeros(1, requires_grad=True)
        >>> len(trained(torch.optim.SGD([weight, torch.zeros(2)], 0.1)))
        1
    """
    groups = cast(list[dict[str, list[Tensor]]], optimizer.param_groups)
    several = (one for group in groups for one in group["params"])
    return [one for one in several if one.requires_grad and not is_lazy(one)]


def _is_own(factor: Tensor | None, accumulated: int) -> bool:
    """Is a total's gradient that of the total itself, or of the mean over the micro-batches?"""
    if factor is None:
        return False
    number = factor.item()
    apart = ROUNDINGS * torch.finfo(factor.dtype).eps
    return number == 1 or abs(number * accumulated - 1) <= apart


def _on_gradient(parameter: Tensor, seen: Callable[[Tensor], None]) -> RemovableHandle:
    return cast(RemovableHandle, parameter.register_post_accumulate_grad_hook(seen))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def _dense(gradient: Tensor) -> Tensor:
    """The elements of a gradient that are there."""
    one = gradient.detach()
    return one.coalesce().values() if one.is_sparse else one


def _norm_of(gradient: Tensor) -> Tensor:
    dense = _dense(gradient)
    wide = dense if dense.dtype == torch.float64 or dense.is_complex() else dense.float()
    return cast(Tensor, torch.linalg.vector_norm(wide))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def _norm(norms: Sequence[Tensor]) -> Tensor | None:
    if not norms:
        return None
    device = norms[0].device
    side = torch.stack([one.to(device) for one in norms])
    return cast(Tensor, torch.linalg.vector_norm(side))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped


def steps_in_state(optimizers: Sequence[Optimizer]) -> int | None:
    """Steps that the optimizer's own state tells of.

    Returns:
        Those of the parameter that took most, as some may have had no gradient at times; None for
        an optimizer that does not count, and for several, which may have taken turns or not.

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
    told = len(optimizers) == 1 and bool(found) and math.isfinite(max(found))
    return int(max(found)) if told else None
