"""One seed for torch, NumPy and Python."""

import random

import numpy as np
import torch

from poise.card.seeds import seeded
from poise.probe.guard import guard


def test_all_global_generators_start_anew() -> None:
    """The same numbers after the same seed, others after another."""
    drawn = []
    with guard():
        for seed in (1, 1, 2):
            seeded(seed)
            drawn.append((torch.rand(2).tolist(), np.random.rand(), random.random()))
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))
