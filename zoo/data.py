"""Small data, drawn anew for every batch from torch's own generator."""

import torch
from torch import Tensor


def mixture(size: int = 32, kinds: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Features (b, 12), a class of `kinds` (b,), and two numbers (b, 2) that go with them."""
    z = torch.randn(size, 12)
    kind = ((z[:, 0] > 0).long() * 2 + (z[:, 1] > 0).long()) % kinds
    numbers = torch.stack([z[:, 2] + 0.5 * z[:, 0], z[:, 3].tanh() - z[:, 1]], dim=1)
    return z + 0.2 * torch.randn(size, 12), kind, numbers


def blobs(size: int = 32, side: int = 8) -> Tensor:
    """Images (b, side * side) in [0, 1] of one bright spot each."""
    centre = torch.rand(size, 2, 1) * (side - 1)
    width = 0.8 + torch.rand(size, 1, 1)
    grid = torch.arange(side, dtype=torch.float32)
    across = (-((grid - centre[:, :1]) ** 2) / width).exp()
    down = (-((grid - centre[:, 1:]) ** 2) / width).exp()
    return (across.transpose(1, 2) * down).flatten(1)


def boxes(size: int = 16, side: int = 12, cells: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (b, 1, side, side) with a rectangle; by cell: object (b, c, c), box (b, 4), class.

    The box is centre, width and height in units of the image; the class is 1 for tall ones.
    """
    wide, tall = torch.randint(2, 6, (size,)), torch.randint(2, 6, (size,))
    left = (torch.rand(size) * (side - wide)).long()
    top = (torch.rand(size) * (side - tall)).long()
    grid = torch.arange(side)
    inside = (grid >= left[:, None]) & (grid < (left + wide)[:, None])
    under = (grid >= top[:, None]) & (grid < (top + tall)[:, None])
    images = (under[:, :, None] & inside[:, None, :]).float() + 0.1 * torch.randn(size, side, side)
    middle = torch.stack([left + wide / 2, top + tall / 2], dim=1) / side
    cell = (middle * cells).long().clamp(0, cells - 1)
    target = torch.zeros(size, cells, cells)
    target[torch.arange(size), cell[:, 1], cell[:, 0]] = 1
    box = torch.cat([middle, torch.stack([wide, tall], dim=1) / side], dim=1)
    return images[:, None], target, box, (tall > wide).long()


def tokens(size: int = 16, length: int = 24, vocabulary: int = 16) -> Tensor:
    """Sequences (b, t) of a noisy walk: the next token is the last plus the one before, mostly."""
    rows = [torch.randint(1, vocabulary, (size,)), torch.randint(1, vocabulary, (size,))]
    for _ in range(length - 2):
        follows = (rows[-1] + rows[-2]) % (vocabulary - 1) + 1
        noise = torch.randint(1, vocabulary, (size,))
        rows.append(torch.where(torch.rand(size) < 0.1, noise, follows))
    return torch.stack(rows, dim=1)


def speech(size: int = 8, length: int = 6, kinds: int = 5, wide: int = 8) -> tuple[Tensor, Tensor]:
    """Frames (b, 4 * t, wide) in which each symbol sounds for four frames, and the symbols (b, t).

    Symbols are 1 to `kinds`; 0 is the blank.
    """
    symbols = torch.randint(1, kinds + 1, (size, length))
    voice = torch.eye(kinds + 1, wide)[symbols].repeat_interleave(4, dim=1)
    return voice + 0.3 * torch.randn(size, 4 * length, wide), symbols


def views(size: int = 32, wide: int = 16) -> tuple[Tensor, Tensor]:
    """Two noisy views (b, wide) of the same things."""
    thing = torch.randn(size, wide)
    return tuple(thing + 0.4 * torch.randn(size, wide) for _ in range(2))  # type: ignore[return-value]  # two
