"""One seed for all generators that a loss may draw from."""

import random
import sys
from typing import Any

import torch


def seeded(seed: int) -> None:
    """Seeds torch, Python and NumPy where it is loaded; generators of the user's own are theirs.

    Example:
        >>> seeded(0)
        >>> first = torch.rand(1)
        >>> seeded(0)
        >>> torch.equal(torch.rand(1), first)
        True
    """
    # torch.manual_seed keeps a stack trace for each call until a GPU is in use: a millisecond.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)
