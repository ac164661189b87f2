"""Says whether a probe is running, so that forks and hooks of the user can stand aside."""

from collections.abc import Generator
from contextlib import contextmanager

# A plain counter and not a context variable: backward passes of a GPU run in threads of their own.
_depth = 0


def probing() -> bool:
    """True while a probe passes backward through the graph on its own account.

    Hooks on tensors and modules run in such a pass too; one with side effects can ask here.

    Example:
        >>> probing()
        False
    """
    return _depth > 0


@contextmanager
def quiet() -> Generator[None]:
    """Marks the backward and forward passes inside as a probe's: no fork records them."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
