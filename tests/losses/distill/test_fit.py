"""What is asked of the tensors of a loss."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.distill.fit import at_least, same_shape


def test_shapes_and_axes() -> None:
    """Equal shapes of the named number of axes pass; nothing is broadcast."""
    same_shape("f", torch.zeros(2, 3), torch.zeros(2, 3), "batch, features")
    for student, teacher in ((torch.zeros(2, 1), torch.zeros(2, 3)), (torch.zeros(2),) * 2):
        with pytest.raises(LossError, match=r"f: expected student and teacher of one shape"):
            same_shape("f", student, teacher, "batch, features")


def test_bounds() -> None:
    """The bound itself is allowed unless it is strict; NaN never is."""
    at_least("f", "x", 1.0, 1)
    with pytest.raises(LossError, match=r"f: expected x above 1, got 1\.0"):
        at_least("f", "x", 1.0, 1, strict=True)
    with pytest.raises(LossError, match="f: expected x of at least 1, got nan"):
        at_least("f", "x", float("nan"), 1)
