"""Puts everything back that a probe may have touched, bit for bit."""

import random
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from poise.probe.quiet import quiet
from poise.probe.typed import buffers_of


@final
@dataclass(slots=True)
class RandomState:
    """State of every random generator that a forward pass may draw from.

    That is torch's generator of the CPU and of each GPU in use, Python's, and NumPy's global one
    where NumPy is loaded. Generators that the user made are theirs to keep.

    Example:
        >>> state = RandomState.now()
        >>> first = torch.rand(3)
        >>> state.restore()
        >>> torch.equal(torch.rand(3), first)
        True
    """

    cpu: Tensor
    devices: dict[torch.device, Tensor] = field(default_factory=dict[torch.device, Tensor])
    python: object = None
    numpy: Any = None

    @classmethod
    def now(cls) -> "RandomState":
        """The state at this moment; some microseconds without a GPU."""
        numpy = sys.modules.get("numpy")
        return cls(
            cpu=torch.get_rng_state(),
            devices={one: torch.cuda.get_rng_state(one) for one in _devices()},
            python=random.getstate(),
            numpy=None if numpy is None else numpy.random.get_state(legacy=False),
        )

    def restore(self) -> None:
        """Sets every generator back to this state."""
        torch.set_rng_state(self.cpu)
        for device, state in self.devices.items():
            torch.cuda.set_rng_state(state, device)
        random.setstate(self.python)  # pyright: ignore[reportArgumentType] -- opaque on purpose
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


def _devices() -> list[torch.device]:
    if not torch.cuda.is_initialized():
        return []
    return [torch.device("cuda", k) for k in range(torch.cuda.device_count())]


@contextmanager
def guard(
    model: nn.Module | None = None,
    *,
    tensors: Iterable[Tensor] = (),
    copy_gradients: bool = False,
) -> Generator[None]:
    """Runs a probe and restores what it may have changed, also after an exception.

    Restored are: the random generators, the `training` flag of every module, every buffer (the
    tensor object and its content), and `.grad` of all parameters and of `tensors`. Inside, copies
    stand in for the buffers, so that a graph that has saved a buffer is not disturbed. What a
    module keeps in attributes that are no buffers is its own affair. Inside,
    `poise.probe.probing()` is true and no fork records anything.

    Args:
        model: Its buffers, modes and gradients are restored; None: the random state only.
        tensors: Tensors with `retain_grad()` whose `.grad` must survive: a backward pass of a
            probe adds to it, and such tensors cannot be found from the graph.
        copy_gradients: Keep copies of the gradients and not only references, for code that may
            write into them, such as `zero_grad(set_to_none=False)`. Costs their memory.

    Example:
        >>> layer = nn.BatchNorm1d(2)
        >>> with guard(layer):
        ...     _ = layer.eval()(torch.rand(4, 2))
        ...     _ = layer.train()(torch.rand(4, 2))
        >>> layer.training, layer.running_mean
        (True, tensor([0., 0.]))
    """
    kept = _Kept(model, tensors, copy_gradients)
    try:
        kept.lend()
        with quiet():
            yield
    finally:
        kept.restore()


@final
class _Kept:
    """What is restored at the end of a guard."""

    def __init__(
        self, model: nn.Module | None, tensors: Iterable[Tensor], copy_gradients: bool
    ) -> None:
        self.random = RandomState.now()
        modules = [] if model is None else list(model.modules())
        self.modes = [(one, one.training) for one in modules]
        self.buffers = [
            (one, name, buffer)
            for one in modules
            for name, buffer in buffers_of(one).items()  # named_buffers hides aliases
        ]
        self.contents = self._copies()
        owners: list[Tensor] = [*(model.parameters() if model is not None else ()), *tensors]
        self.gradients: list[tuple[Tensor, Tensor | None, Tensor | None]] = [
            (one, one.grad, _content(one, copy_gradients))
            for one in owners
            if one.is_leaf or one.retains_grad
        ]

    def _copies(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Each buffer, aliases once, with a copy of its content."""
        there = {id(one): one for _, _, one in self.buffers if one is not None}
        return {key: (one, one.detach().clone()) for key, one in there.items()}

    def lend(self) -> None:
        """Puts copies in the buffers' places: a graph may have saved the buffers themselves.

        A forward pass that changed those would make the training's own backward pass fail, even
        if their content came back: torch counts the changes.
        """
        lent = {key: content.clone() for key, (_, content) in self.contents.items()}
        for module, name, buffer in self.buffers:
            if buffer is not None:
                buffers_of(module)[name] = lent[id(buffer)]

    def restore(self) -> None:
        self.random.restore()
        for module, mode in self.modes:
            module.training = mode
        for module, name, buffer in self.buffers:
            buffers_of(module)[name] = buffer
        for buffer, content in self.contents.values():
            _write(buffer, content)  # someone may hold the buffer itself
        for tensor, gradient, content in self.gradients:
            tensor.grad = gradient
            if gradient is not None and content is not None:
                _write(gradient, content)


def _content(owner: Tensor, copy: bool) -> Tensor | None:
    """A copy of the gradient if it may be written into; a pass adds to retained ones in place."""
    gradient = owner.grad
    return gradient.clone() if gradient is not None and (copy or not owner.is_leaf) else None


def _write(tensor: Tensor, content: Tensor) -> None:
    """Writes through `.data`, which leaves the version that a graph may have saved as it is."""
    if tensor.layout == torch.strided:
        tensor.data.copy_(content)
        return
    with torch.no_grad():
        tensor.copy_(content)  # `.data` of a sparse tensor does not share its values
