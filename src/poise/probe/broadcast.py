"""Predictions that were broadcast against their targets: all pairs are compared."""

from torch import Tensor
from torch.autograd.graph import Node

from poise.probe.edges import chain, shape_of

DEEP = 8
"""Operations after the difference that are followed back: squares, means, factors."""
PAIRING = ("ExpandBackward", "SubBackward", "RsubBackward")
"""Operations in which a prediction meets its target, or is laid out for it."""


def broadcast_of(term: Tensor) -> tuple[int, ...] | None:
    """The shape (B, 1) or (B,) of a prediction that became (B, B) beside its target.

    Only the side with a graph is seen, so that differences between all pairs of outputs, which are
    meant, are none.

    Returns:
        None if there is no such prediction among the last operations of the term.

    Example:
        >>> import torch
        >>> prediction = torch.zeros(3, 1, requires_grad=True)
        >>> broadcast_of((2 * prediction - torch.ones(3)).square().mean())
        (3, 1)
    """
    node = term.grad_fn
    for key in chain(node, DEEP):
        shape = shape_of(key)
        if node is not None and _pairs(node, shape):
            return tuple(map(int, shape))
        node = key[0]
    return None


def _pairs(node: Node, shape: tuple[int, ...]) -> bool:
    """True if a node makes (B, B) of a shape (B, 1) or (B,), B being 2 or more."""
    made = shape_of((node, 0))
    size = made[0] if len(made) == 2 and made[0] == made[1] else 0
    return size > 1 and shape in ((size, 1), (size,)) and node.name().startswith(PAIRING)
