"""Small examples for the losses of distillation, drawn from seeds of their own."""

import torch
from torch import Tensor

BATCH, TOKENS, WIDTH = 4, 5, 8


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def padded() -> Tensor:
    """A mask over the tokens; the first text is two tokens shorter."""
    mask = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    mask[0, 3:] = False
    return mask


def pair(width: int = WIDTH, other: int | None = None, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Logits or states of a student and of an unrelated teacher."""
    student = normal(BATCH, TOKENS, width, scale=scale)
    return student, normal(BATCH, TOKENS, other or width, seed=1, scale=scale)


def maps() -> tuple[Tensor, Tensor]:
    """Attention of a student and a teacher with two heads, in which every key has a share."""
    return (
        normal(BATCH, 2, TOKENS, TOKENS).softmax(dim=-1),
        normal(BATCH, 2, TOKENS, TOKENS, seed=1).softmax(dim=-1),
    )


def spans(*lengths: int, size: int | None = None) -> Tensor:
    """Offsets of one text whose tokens have these lengths, padded to `size` tokens."""
    ends = torch.tensor(lengths).cumsum(dim=0)
    found = torch.stack([ends - torch.tensor(lengths), ends], dim=-1)
    short = (size or len(lengths)) - len(lengths)
    return torch.cat([found, torch.zeros(short, 2, dtype=found.dtype)])[None]
