"""The few functions of torch that its stubs leave untyped, with types."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

SAFE = (1e-13, 1e17)
"""Norms between these have lost nothing to the range of float32."""

F = TypeVar("F", bound=Callable[..., Any])


def _listed(one: Tensor) -> object:
    return cast(Callable[[], object], one.tolist)()


def numbers(vector: Tensor) -> list[float]:
    """The elements of a vector, as Python numbers. Waits for the device."""
    return cast(list[float], _listed(vector))


def rows(matrix: Tensor) -> list[list[float]]:
    """The elements of a matrix, as Python numbers. Waits for the device."""
    return cast(list[list[float]], _listed(matrix))


def flags(vector: Tensor) -> list[bool]:
    """The elements of a Boolean vector. Waits for the device."""
    return cast(list[bool], _listed(vector))


_norm = cast(Callable[..., Tensor], torch.linalg.vector_norm)


def l2(one: Tensor) -> Tensor:
    """Euclidean norm over all elements, in the tensor's own type."""
    return _norm(one)


def l2_rows(matrix: Tensor) -> Tensor:
    """Euclidean norm of each row, in the matrix's own type."""
    return _norm(matrix, dim=1)


def largest(one: Tensor, dim: int | None = None) -> Tensor:
    """Largest absolute value: of all elements, or along `dim`, which is kept with size 1."""
    return _norm(one, ord=float("inf"), dim=dim, keepdim=dim is not None)


def norm(one: Tensor) -> Tensor:
    """L2 norm in float64 that neither overflows nor vanishes; zero only if every element is.

    Example:
        >>> norm(torch.tensor([3e-30, 4e-30]))
        tensor(5.0000e-30, dtype=torch.float64)
    """
    flat = torch.view_as_real(one.resolve_conj()) if one.is_complex() else one
    if flat.layout != torch.strided:
        flat = flat.to_dense()
    flat = flat if flat.dtype == torch.float64 else flat.float()
    if not flat.numel():
        return flat.new_zeros((), dtype=torch.float64)
    if not flat.is_cuda:  # looking at a number costs nothing there, and this is five times faster
        plain = l2(flat)
        if SAFE[0] < float(plain.detach()) < SAFE[1]:
            return plain.double()
    size = largest(flat)
    safe = torch.where(size > 0, size, torch.ones_like(size))
    return l2(flat / safe).double() * size.double()


def passed_back(
    term: Tensor,
    places: Sequence[Tensor | GradientEdge],
    factor: float = 1.0,
    *,
    keep: bool = True,
) -> list[Tensor | None]:
    """Gradient of `factor * term` at each place, the graph kept or freed; None for no gradient."""
    grad = cast(Callable[..., Any], torch.autograd.grad)
    found = grad(
        term,
        list(places),
        grad_outputs=torch.full_like(term, factor),
        retain_graph=keep,
        allow_unused=True,
    )
    return list(found)


def buffers_of(module: nn.Module) -> dict[str, Tensor | None]:
    """A module's own buffers, aliases included, which `named_buffers` leaves out."""
    return module._buffers  # pyright: ignore[reportPrivateUsage] -- no public way sees aliases


def modules_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All modules by name, each once; the model itself has the name ''."""
    walk = cast(Callable[[], Iterable[tuple[str, nn.Module]]], model.named_modules)
    return list(walk())


def eager(reason: str) -> Callable[[F], F]:
    """Keeps a function out of compilation: a compiled graph breaks there and says why."""
    disable = cast(Callable[..., Callable[[F], F]], torch.compiler.disable)
    says = "reason" in inspect.signature(disable).parameters  # since torch 2.7
    return disable(reason=reason) if says else disable()


def wrapped(one: Tensor) -> bool:
    """True inside vmap or a transform of `torch.func`, where a tensor has no numbers to look at."""
    asked = cast(Any, torch._C)._functorch  # pyright: ignore[reportPrivateUsage] -- torch has no public question for it
    return bool(asked.is_functorch_wrapped_tensor(one) or asked.is_legacy_batchedtensor(one))
