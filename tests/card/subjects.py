"""Prepares a loss function for one probe."""

from collections.abc import Callable

import torch
from torch import Tensor

from poise.card.arguments import roles
from poise.card.seen import Seen
from poise.card.subject import Subject, subject


def of(loss: Callable[..., object], *example: object, role: str = "task", **told: int) -> Subject:
    """The subject of a probe, named `loss`."""
    return subject("loss", loss, example, roles(loss, example, **told), role)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def labels(*shape: int, classes: int = 3) -> Tensor:
    """Class indices, always the same."""
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(7))


def rules(seen: Seen) -> list[str]:
    """Rules of the findings."""
    return [one.rule for one in seen.findings]


def facts(seen: Seen) -> dict[str, object]:
    """Facts by name."""
    return {one.name: one.value for one in seen.facts}
