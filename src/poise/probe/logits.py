"""What the graph of a cross-entropy tells: how many classes, and whether it is given logits."""

from torch import Tensor
from torch.autograd.graph import Node

from poise.probe.edges import chain, shape_of

DEEP = 8
"""Operations after the loss that are followed back: a factor, a mean, a shift."""
SQUASHING = {"SoftmaxBackward": "softmax", "SigmoidBackward": "sigmoid"}
"""Operations whose outputs are probabilities."""
SHAPING = (
    *("View", "UnsafeView", "Reshape", "Flatten", "Transpose", "Permute", "TBackward", "Squeeze"),
    *("Slice", "Unsqueeze", "Index", "Select", "Clone", "ToCopy", "Expand", "MaskedSelect"),
    *("Unbind",),
)
"""Operations that only arrange values, by the beginning of their node's name."""


def classes_of(term: Tensor) -> int | None:
    """Number of classes of a term that is one cross-entropy, times or plus constants.

    Returns:
        None if the last operations of the term are others.

    Example:
        >>> import torch
        >>> logits = torch.zeros(2, 5, requires_grad=True)
        >>> classes_of(0.5 * torch.nn.functional.cross_entropy(logits, torch.tensor([0, 4])))
        5
    """
    node = _loss(term, "NllLoss")
    scores, at = (None, 0) if node is None else node.next_functions[0]
    if scores is None:
        return None
    # Not from what the node saved: to unpack that, a checkpoint runs its forward pass once more.
    shape = shape_of((scores, at))
    return int(shape[-1 if len(shape) == 1 else 1]) if shape else None


def squashed(term: Tensor) -> str | None:
    """What made probabilities of the logits that a cross-entropy is to be given.

    Returns:
        `softmax` or `sigmoid`; None if it gets logits, or is no cross-entropy with logits.

    Example:
        >>> import torch
        >>> logits = torch.zeros(2, 5, requires_grad=True)
        >>> squashed(torch.nn.functional.cross_entropy(logits.softmax(1), torch.tensor([0, 4])))
        'softmax'
    """
    node = _loss(term, "NllLoss")
    if node is not None:
        node = _shaped(node)
        node = node if node is not None and node.name().startswith("LogSoftmax") else None
    else:
        node = _loss(term, "BinaryCrossEntropyWithLogits")
    inner = None if node is None else _shaped(node)
    found = (what for name, what in SQUASHING.items() if inner and inner.name().startswith(name))
    return next(found, None)


def _shaped(node: Node) -> Node | None:
    """The operation in front of a node, those left out that only arrange values."""
    found = (one for one, _ in chain(node, DEEP) if not one.name().startswith(SHAPING))
    return next(found, None)


def _loss(term: Tensor, kind: str) -> Node | None:
    """The one node of a kind that a term comes from, by operations with one input."""
    nodes = [] if term.grad_fn is None else [term.grad_fn]
    nodes += [one for one, _ in chain(term.grad_fn, DEEP - 1)]
    return next((one for one in nodes if one.name().startswith(kind)), None)
