"""Windows of bytes out of a text."""

from typing import NamedTuple

import torch
from torch import Tensor

from poise.errors import RecipeError

TOKENS = 32
"""Bytes of a window."""
HELD_OUT = 10
"""One of so many windows is kept for evaluation."""


class Windows(NamedTuple):
    """Windows to train on and to evaluate with; no byte is in both.

    Example:
        >>> windows("poise " * 200).train.shape
        torch.Size([33, 32])
    """

    train: Tensor
    """Token ids 0 to 255, [windows, tokens]."""
    held: Tensor
    """The same, every tenth window of the text."""


def windows(text: str, tokens: int = TOKENS) -> Windows:
    """Cuts a text into windows of bytes.

    Args:
        text: At least 20 windows long; encoded as UTF-8.
        tokens: Bytes of a window.

    Raises:
        RecipeError: The text is too short.

    Example:
        >>> train, held = windows("poise " * 200)
        >>> len(train), len(held)
        (33, 4)
    """
    ids = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).long()
    count = len(ids) // tokens
    if count < 2 * HELD_OUT:
        raise RecipeError(
            f"plasticity: expected a text of {2 * HELD_OUT * tokens} bytes or more, got "
            f"{len(ids)}; give a longer one"
        )
    cut = ids[: count * tokens].view(count, tokens)
    held = torch.arange(count) % HELD_OUT == 0
    return Windows(cut[~held], cut[held])


def batch(ids: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random batch of windows, [size, tokens].

    Example:
        >>> batch(torch.arange(6).view(3, 2), 4, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 2])
    """
    return ids[torch.randint(len(ids), (size,), generator=generator)]
