"""Shapes that must agree, and lengths."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.tensors import expect_same, lengths


def test_what_would_broadcast_is_refused() -> None:
    """[2, 1, 3] against [2, 4, 3] is an error that names both arguments and both shapes."""
    with pytest.raises(LossError, match=r"f: expected 'b' to have the shape of 'a', \[2, 4, 3\]"):
        expect_same("f", a=torch.zeros(2, 4, 3), b=torch.zeros(2, 1, 3))


def test_equal_shapes_pass() -> None:
    """Three tensors of one shape are fine."""
    expect_same("f", a=torch.zeros(2), b=torch.ones(2), c=torch.ones(2))


def test_a_length_of_zero_has_gradient_zero() -> None:
    """The root of a sum of squares would give NaN there."""
    x = torch.zeros(1, 3, requires_grad=True)
    lengths(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(1, 3))
