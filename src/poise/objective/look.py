"""Looking at a term that is not in the total, without a trace in the training."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from poise.probe import RandomState


@contextmanager
def keeping_random() -> Generator[None]:
    """Sets the random generators back to where they were, also after an exception.

    A dropout inside would otherwise give every later one other numbers: the training with a monitor
    would be another one than without. What is drawn inside are the numbers that come next anyway,
    so a function that wants its own brings its own generator. Nothing is done where the state
    cannot be read: inside torch.compile, and while a CUDA graph is captured.

    Example:
        >>> state = torch.get_rng_state()
        >>> with keeping_random():
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), state)
        True
    """
    if torch.compiler.is_compiling() or _capturing():
        yield
        return
    before = RandomState.now()
    try:
        yield
    finally:
        before.restore()


def _capturing() -> bool:
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()
