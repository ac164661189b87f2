"""Does a loss function itself differentiate by its first argument?"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from poise.card.outcome import call


def derives(
    loss: Callable[..., object], example: Sequence[object], live: Sequence[int] = (0,)
) -> bool:
    """True for a gradient penalty or the residual of an equation, which train through a derivative.

    Their first argument is no prediction but what a network is asked at. Seen are
    `torch.autograd.grad` with `create_graph=True` and what rests on it, such as `torch.func.grad`;
    forward-mode derivatives are not. Derivatives by parameters do not count: weights of losses
    are often made from those.

    Args:
        loss: The loss function.
        example: Its arguments.
        live: Positions that require a gradient at the call.

    Example:
        >>> def penalty(x):
        ...     (slope,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
        ...     return slope.square().mean()
        >>> derives(penalty, (torch.ones(3),)), derives(torch.mean, (torch.ones(3),))
        (True, False)
    """
    with _Watching() as watching:
        call(loss, example, (), live=live)
    return watching.seen


@final
class _Watching(TorchFunctionMode):
    """Notes whether a derivative is taken by anything but a leaf of the graph's own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        named = dict(kwargs or {})
        if func is torch.autograd.grad and _through(args, named):
            self.seen = True
        return func(*args, **named)


def _through(args: Sequence[object], named: Mapping[str, object]) -> bool:
    """Whether a call of `torch.autograd.grad` keeps the graph, and is by no parameter."""
    keeps = named.get("create_graph", args[4] if len(args) > 4 else False)
    by = named.get("inputs", args[1] if len(args) > 1 else ())
    places = [by] if isinstance(by, Tensor) else list(cast(Sequence[object], by))
    return bool(keeps) and not all(isinstance(one, torch.nn.Parameter) for one in places)
