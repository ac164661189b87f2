"""Shrinking: fewer rows, rounder numbers, zeros; never an input that does not clash."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poise.card.same_answer import Inputs
from poise.card.same_shrink import TRIES, shrunk
from tests.losses_of_notes import normal


def first(inputs: Inputs) -> Tensor:
    """The first input."""
    one = inputs[0]
    assert isinstance(one, Tensor)
    return one


@given(seed=st.integers(0, 1000), bound=st.floats(0.5, 2.0))
@settings(max_examples=30)
def test_result_still_clashes_and_is_no_larger(seed: int, bound: float) -> None:
    """Whatever the condition, the result fulfils it with at most as many elements."""
    start = (normal(6, 4, seed=seed) * 3, normal(6, 4, seed=seed + 1))
    found = shrunk(start, lambda one: bool((first(one).abs() > bound).any()))
    assert (first(found).abs() > bound).any()
    assert first(found).numel() <= 24


def test_one_row_and_round_numbers() -> None:
    """One large element is all that is left of a batch."""
    start = (normal(8, 3), normal(8, 3, seed=1))
    start[0][7, 2] = 41.37
    found = shrunk(start, lambda one: bool((first(one) > 9).any()))
    assert first(found).shape == (1, 1)
    assert first(found).item() in (40.0, 41.0)
    assert found[1].shape == (1, 1)  # type: ignore[attr-defined]


def test_integers_and_other_things_are_kept() -> None:
    """Only floating numbers are rounded; shapes stay together."""
    start = (normal(4), torch.tensor([7, 8, 9, 7]), "mean")
    found = shrunk(start, lambda one: len(first(one)) >= 2)
    assert found[2] == "mean"
    assert isinstance(found[1], Tensor)
    assert found[1].shape == first(found).shape


def test_tries_are_bounded() -> None:
    """A condition that never holds again ends the search."""
    calls: list[Inputs] = []
    start = (normal(50, 50),)
    assert shrunk(start, lambda one: bool(calls.append(one))) is start
    assert len(calls) <= TRIES
