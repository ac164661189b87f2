"""Random numbers for a rule, from a generator that is part of its state."""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor


def seeded(seed: int) -> Tensor:
    """The state of a fresh CPU generator with this seed (0 to 2^63 - 1), as bytes.

    Example:
        >>> seeded(0).dtype
        torch.uint8
    """
    return torch.Generator().manual_seed(seed).get_state()


@contextmanager
def thrown(state: Tensor) -> Generator[None]:
    """Within the block torch's CPU generator has this state; `state` follows it in place.

    Afterwards the generator is as it was, so the training's own random numbers do not change.

    Example:
        >>> state, before = seeded(0), torch.get_rng_state()
        >>> with thrown(state):
        ...     first = torch.rand(1)
        >>> with thrown(state):
        ...     second = torch.rand(1)
        >>> bool(first == second), bool((torch.get_rng_state() == before).all())
        (False, True)
    """
    before = torch.get_rng_state()
    torch.set_rng_state(state)
    try:
        yield
    finally:
        state.copy_(torch.get_rng_state())
        torch.set_rng_state(before)
