"""One call of a loss function."""

import warnings

import pytest
import torch
from torch import Tensor

from poise.card.outcome import call, scalar
from poise.errors import InspectError
from tests.card.subjects import normal


def test_value_and_gradient() -> None:
    """As autograd gives them; the factor multiplies the gradient."""
    x = normal(5)
    found = call(lambda one: one.square().sum(), (x,), factor=3.0)
    assert found.value == float(x.square().sum())
    assert torch.equal(found.gradient(), 6.0 * x)


def test_raising_and_warning_are_kept_as_text() -> None:
    """Neither leaves the call."""

    def bad(x: Tensor) -> Tensor:
        warnings.warn("shaky", stacklevel=1)
        return x @ torch.zeros(7, 2)

    found = call(bad, (normal(5, 3),))
    assert found.raised.startswith("RuntimeError: mat1 and mat2")
    assert not found.finite
    assert call(lambda x: warnings.warn("shaky", stacklevel=1) or x.sum(), (normal(3),)).warned


def test_the_example_is_left_alone() -> None:
    """A function that writes into its arguments writes into copies."""
    x = normal(4)
    kept = x.clone()
    call(lambda one: one.detach().zero_().sum() + one.sum(), (x,))
    assert torch.equal(x, kept)
    assert x.grad is None


def test_no_scalar_is_an_error() -> None:
    """A loss must be one number."""
    with pytest.raises(InspectError, match=r"of shape \[3\], expected one floating number"):
        scalar(normal(3))
    with pytest.raises(InspectError, match="returned a float, expected a scalar tensor"):
        scalar(1.0)
