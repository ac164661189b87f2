"""How many classes a cross-entropy tells apart, as its graph knows."""

from typing import cast

from torch import Tensor

DEEP = 8
"""Operations after the loss that are followed back: a factor, a mean, a shift."""


def classes_of(term: Tensor) -> int | None:
    """Number of classes of a term that is one cross-entropy, times or plus constants.

    Returns:
        None if the last operations of the term are others, or its graph is gone.

    Example:
        >>> import torch
        >>> logits = torch.zeros(2, 5, requires_grad=True)
        >>> classes_of(0.5 * torch.nn.functional.cross_entropy(logits, torch.tensor([0, 4])))
        5
    """
    node = term.grad_fn
    for _ in range(DEEP):
        if node is None or node.name().startswith("NllLoss"):
            break
        behind = [one for one, _ in node.next_functions if one is not None]
        node = behind[0] if len(behind) == 1 else None
    if node is None or not node.name().startswith("NllLoss"):
        return None
    try:
        scores = cast(Tensor, getattr(node, "_saved_self"))  # noqa: B009 -- torch does not type it
    except RuntimeError:  # the graph was freed
        return None
    return int(scores.shape[-1 if scores.dim() == 1 else 1])
