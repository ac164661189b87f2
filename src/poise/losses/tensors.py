"""Shapes that must agree, as broadcasting would quietly change a loss; and lengths of vectors."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from poise.errors import LossError

_norm = cast(Callable[..., Tensor], torch.linalg.vector_norm)  # its stub has no types


def expect_same(who: str, **tensors: Tensor) -> None:
    """Refuses tensors of different shapes.

    Args:
        who: The function that was called.
        **tensors: Its arguments by name, two or more.

    Raises:
        LossError: They differ; it names both.

    Example:
        >>> expect_same("direct_mlp", modulated=torch.zeros(2, 3), attention=torch.zeros(2, 3))
    """
    (first, shape), *others = ((name, list(one.shape)) for name, one in tensors.items())
    for name, other in others:
        if other != shape:
            raise LossError(
                f"{who}: expected '{name}' to have the shape of '{first}', {shape}, got {other}; "
                "nothing is broadcast here"
            )


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean norm along the last axis; its gradient at 0 is 0.

    Example:
        >>> lengths(torch.tensor([[3.0, 4.0]]))
        tensor([5.])
    """
    return _norm(vectors, dim=-1)
