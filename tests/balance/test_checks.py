"""Tests for poise.balance.checks."""

import numpy as np
import pytest
import torch

from poise.balance.checks import LARGEST_SEED, integer, range_of, real
from poise.errors import BalanceError


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), torch.tensor(1.0)])
def test_whatever_holds_one_number_is_one(value: object) -> None:
    """Of Python, NumPy or PyTorch."""
    found = real("x", "lr", value, "above 0", lambda one: one > 0)
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    "value", ["1", b"1", True, None, [1.0], torch.ones(2), 1j, float("nan"), float("inf"), 10**400]
)
def test_anything_else_is_refused_by_name(value: object) -> None:
    """A text or a truth value is a slip, though Python would make a number of it."""
    with pytest.raises(BalanceError, match=r"^x: expected lr to be a finite number, got .*; pass"):
        real("x", "lr", value)


def test_what_does_not_fit_is_told_with_what_would() -> None:
    """In one line."""
    with pytest.raises(BalanceError, match="lr to be a finite number above 0, got 0; pass"):
        real("x", "lr", 0, "above 0", lambda one: one > 0)


def test_whole_numbers() -> None:
    """From the least on, as far as 64 bits go; neither 1.0 nor True."""
    assert integer("x", "every", 3, 1) == 3
    assert integer("x", "seed", LARGEST_SEED, 0) == LARGEST_SEED
    for value in (0, 1.0, True, "1", None, LARGEST_SEED + 1):
        with pytest.raises(BalanceError, match="every to be a whole number from 1 on, got"):
            integer("x", "every", value, 1)


def test_a_range_may_be_open() -> None:
    """Infinite ends and a single point are fine; a NaN or a turned pair is not."""
    assert range_of("x", "limits", (-float("inf"), 1)) == (-float("inf"), 1.0)
    assert range_of("x", "limits", [2, 2]) == (2.0, 2.0)
    for value in ((1,), (1, 2, 3), (2, 1), (float("nan"), 1), ("a", "b"), "ab", None, 5, {1: 2}):
        with pytest.raises(BalanceError, match="limits to be a pair of numbers, least and largest"):
            range_of("x", "limits", value)
