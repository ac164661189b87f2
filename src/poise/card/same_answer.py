"""What one loss answers to one input: value, gradients, their rounding error, or its exception."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import cast, final

import torch
from torch import Tensor, nn

from poise.card.seeds import seeded
from poise.errors import InspectError
from poise.probe.guard import guard

Inputs = tuple[object, ...]

SINGLE, DOUBLE = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps
"""Resolution of float32 and of float64."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A loss with the arguments that stay the same from call to call.

    Attributes:
        name: How messages call it: "A" or "B".
        loss: The function or module.
        names: Keywords of the inputs; empty if they are positional.
        wrt: Positions of the inputs that the gradient is taken to.
        seed: Every call starts from this seed.

    Example:
        >>> asked = Asked(name="A", loss=lambda x: x.square().sum(), names=(), wrt=(0,), seed=0)
        >>> answer(asked, (torch.tensor([3.0]),)).gradients[0].tolist()
        [6.0]
    """

    name: str
    loss: Callable[..., object]
    names: tuple[str, ...]
    wrt: tuple[int, ...]
    seed: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One loss at one input.

    Attributes:
        value: The flattened value, as float64 on the CPU.
        shape: Shape of the value.
        gradients: One flattened float64 gradient for each input of `wrt`; zeros without a graph.
        error: The exception's class and first line; empty if there was none.
        value_noise: Rounding error of the value, same unit; 0 until measured.
        gradient_noise: Largest rounding error of an element of each gradient.
    """

    value: Tensor
    shape: tuple[int, ...] = ()
    gradients: tuple[Tensor, ...] = ()
    error: str = ""
    value_noise: float = 0.0
    gradient_noise: tuple[float, ...] = ()


def answer(asked: Asked, inputs: Inputs) -> Answer:
    """Calls the loss on copies of the inputs; random state, buffers and gradients stay untouched.

    Raises:
        InspectError: The loss returns something else than a real floating tensor.

    Example:
        >>> asked = Asked(name="A", loss=torch.nn.MSELoss(), names=(), wrt=(0,), seed=0)
        >>> answer(asked, (torch.zeros(2), torch.ones(2))).value.item()
        1.0
    """
    module = asked.loss if isinstance(asked.loss, nn.Module) else None
    with (
        guard(module),
        torch.enable_grad(),
        warnings.catch_warnings(),
        redirect_stdout(StringIO()),
    ):
        warnings.simplefilter("ignore")
        seeded(asked.seed)
        own = tuple(_leaf(one, k in asked.wrt) for k, one in enumerate(inputs))
        try:
            result = _call(asked, own)
            if isinstance(result, Tensor):
                gradients = _gradients(result, [cast(Tensor, own[k]) for k in asked.wrt])
        except Exception as error:  # noqa: BLE001, RUF100 -- the loss is foreign; its error is the answer
            return Answer(value=torch.zeros(0), error=_line(error))
    if not isinstance(result, Tensor) or not result.is_floating_point():
        raise InspectError(_no_tensor(asked.name, result))
    return Answer(
        value=_flat(result),
        shape=tuple(result.shape),
        gradients=gradients,  # pyright: ignore[reportPossiblyUnboundVariable] -- bound for a tensor
        gradient_noise=(0.0,) * len(asked.wrt),
    )


def measured(asked: Asked, inputs: Inputs) -> Answer:
    """As `answer`, with the rounding error of value and gradients at this very input.

    The error is the distance to the same call in float64 (for float64 inputs that to float32,
    in proportion to the two last digits), and the change under a perturbation of
    every input by its last digit: what no algorithm in this precision can do better than.

    Example:
        >>> asked = Asked(name="A", loss=lambda x: x.exp().mean(), names=(), wrt=(0,), seed=0)
        >>> 0 < measured(asked, (torch.tensor([0.1, 0.7]),)).value_noise < 1e-6
        True
    """
    own = answer(asked, inputs)
    if own.error:
        return own
    others = [(answer(asked, _perturbed(inputs, asked.seed)), 1.0)]
    if resolution(inputs, asked.wrt) > DOUBLE:
        others.append((answer(asked, doubled(inputs)), 1.0))
    else:  # nothing finer at hand: the error of float32 is as much larger as its last digit
        others.append((answer(asked, _cast(inputs, torch.float32)), DOUBLE / SINGLE))
    alike = [(one, share) for one, share in others if not one.error and one.shape == own.shape]
    return Answer(
        value=own.value,
        shape=own.shape,
        gradients=own.gradients,
        value_noise=sum(share * _distance(one.value, own.value) for one, share in alike),
        gradient_noise=tuple(
            sum(share * _distance(one.gradients[k], gradient) for one, share in alike)
            for k, gradient in enumerate(own.gradients)
        ),
    )


def resolution(inputs: Inputs, wrt: Sequence[int]) -> float:
    """Distance from 1 to the next number in the coarsest dtype of the inputs `wrt`.

    Example:
        >>> resolution((torch.zeros(1, dtype=torch.float16),), [0])
        0.0009765625
    """
    tensors = [cast(Tensor, inputs[k]) for k in wrt]
    return max(torch.finfo(one.dtype).eps for one in tensors)


def doubled(inputs: Inputs) -> Inputs:
    """The same inputs, floating tensors in float64.

    Example:
        >>> doubled((torch.zeros(1), torch.zeros(1, dtype=torch.int64)))[0].dtype
        torch.float64
    """
    return _cast(inputs, torch.float64)


def _call(asked: Asked, inputs: Inputs) -> object:
    if asked.names:
        return asked.loss(**dict(zip(asked.names, inputs, strict=True)))
    return asked.loss(*inputs)


def _gradients(result: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of the sum over the value's elements with fixed, unequal weights."""
    if not result.requires_grad:
        return tuple(_flat(torch.zeros_like(one)) for one in leaves)
    weights = torch.ones_like(result)
    if result.numel() > 1:  # unequal, so that no two elements can stand in for each other
        weights = torch.linspace(1, 2, result.numel()).to(result).reshape(result.shape)
    found = torch.autograd.grad(result, leaves, weights, allow_unused=True)
    pairs = zip(found, leaves, strict=True)
    return tuple(_flat(torch.zeros_like(leaf) if one is None else one) for one, leaf in pairs)  # pyright: ignore[reportUnnecessaryComparison] -- None for an unused input


def _flat(tensor: Tensor) -> Tensor:
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return dense.reshape(-1).to("cpu", torch.float64)


def _leaf(one: object, differentiable: bool) -> object:
    if not isinstance(one, Tensor):
        return one
    return one.detach().clone().requires_grad_(differentiable)


def _cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return tuple(
        one.to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )


def _perturbed(inputs: Inputs, seed: int) -> Inputs:
    """Every floating number moved towards zero by at most its last digit: ranges still hold."""
    generator = torch.Generator().manual_seed(seed)

    def move(one: object) -> object:
        if not isinstance(one, Tensor) or not one.is_floating_point():
            return one
        steps = torch.rand(one.shape, generator=generator).round().to(one)
        return one.detach() * (1 - steps * torch.finfo(one.dtype).eps)

    return tuple(move(one) for one in inputs)


def _distance(a: Tensor, b: Tensor) -> float:
    """Largest finite difference of two elements."""
    gaps = (a - b).abs()
    gaps = gaps[gaps.isfinite()]
    return gaps.max().item() if gaps.numel() else 0.0


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _no_tensor(name: str, result: object) -> str:
    got = f"a {result.dtype} tensor" if isinstance(result, Tensor) else type(result).__name__
    return (
        f"loss {name} returns {got}; expected one real floating tensor: "
        "pass a function that picks the loss out of the result"
    )
