"""What does not change while a training runs: its optimizers and parameters."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn
from torch.optim import Optimizer

from poise.probe.broadcast import broadcast_of
from poise.probe.edges import size_of
from poise.probe.logits import classes_of, squashed

NAMED = 100
"""Names that are listed at most; the counts beside them are complete."""


def facts(model: nn.Module | None, optimizers: Sequence[Optimizer]) -> dict[str, object]:
    """The facts for the header of a record, by the keys that docs/record.md lists.

    Example:
        >>> import torch
        >>> model = nn.Linear(2, 1)
        >>> found = facts(model, [torch.optim.SGD([model.weight], 0.1)])
        >>> found["optimizers"], found["parameters"]["unoptimised"]
        ([{'class': 'SGD', 'groups': 1, 'elements': 2}], ['bias'])
    """
    found: dict[str, object] = {"optimizers": [_optimizer(one) for one in optimizers]}
    if model is not None:
        found["parameters"] = _parameters(model, optimizers)
    return found


def last_operations(terms: Mapping[str, object]) -> dict[str, object]:
    """What the last operations of the terms tell, by term: facts that are absent without any.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 3, requires_grad=True)
        >>> loss = nn.functional.cross_entropy(logits, torch.tensor([1]))
        >>> last_operations({"ce": loss, "offset": 1.0})
        {'classes': {'ce': 3}}
    """
    tensors = {name: one for name, one in terms.items() if isinstance(one, Tensor)}
    found = {
        "classes": {name: classes_of(one) for name, one in tensors.items()},
        "squashed": {name: squashed(one) for name, one in tensors.items()},
        "broadcast": {name: broadcast_of(one) for name, one in tensors.items()},
    }
    known = {key: {k: v for k, v in one.items() if v is not None} for key, one in found.items()}
    return {key: one for key, one in known.items() if one}


def _optimizer(optimizer: Optimizer) -> dict[str, object]:
    return {
        "class": type(optimizer).__name__,
        "groups": len(optimizer.param_groups),
        "elements": sum(size_of(one) for one in _of(optimizer)),
    }


def _parameters(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, object]:
    named = dict(model.named_parameters())
    held = {id(one): size_of(one) for optimizer in optimizers for one in _of(optimizer)}
    own = {id(one) for one in named.values()}
    loose = [name for name, one in named.items() if one.requires_grad and id(one) not in held]
    frozen = [name for name, one in named.items() if not one.requires_grad]
    return {
        "trainable": sum(size_of(one) for one in named.values() if one.requires_grad),
        "frozen": sum(size_of(named[name]) for name in frozen),
        "frozen_names": frozen[:NAMED],
        "unoptimised": loose[:NAMED] if optimizers else [],
        "unoptimised_elements": sum(size_of(named[name]) for name in loose) if optimizers else 0,
        "foreign_elements": sum(count for key, count in held.items() if key not in own),
    }


def _of(optimizer: Optimizer) -> list[Tensor]:
    return [one for group in optimizer.param_groups for one in cast(list[Tensor], group["params"])]
