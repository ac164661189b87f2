"""Tensors inside containers."""

from collections import OrderedDict, defaultdict
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from poise.errors import ForkError
from poise.probe.tree import replaced, tensors


class Two(NamedTuple):
    """A named tuple of a tensor and a text."""

    one: Tensor
    text: str


def test_round_trip() -> None:
    """Every tensor is found once in order, and containers keep their types."""
    made = [torch.tensor(k) for k in range(4)]
    tree = OrderedDict(a=(made[0], [made[1]]), b=Two(made[2], "x"), c={1: made[3], 2: None})
    assert [int(one) for one in tensors(tree)] == [0, 1, 2, 3]
    found = replaced(tree, lambda one: one * 10)
    assert type(found) is OrderedDict
    assert type(found["b"]) is Two
    assert [int(one) for one in tensors(found)] == [0, 10, 20, 30]
    assert found["c"][2] is None
    assert found["b"].text == "x"
    assert [int(one) for one in tensors(tree)] == [0, 1, 2, 3]


def test_a_defaultdict_keeps_its_default() -> None:
    """It is made anew with its factory."""
    found = replaced(defaultdict(list, {"x": torch.tensor(1)}), lambda one: one * 10)
    assert (type(found), int(found["x"]), found["new"]) == (defaultdict, 10, [])


def test_a_container_that_cannot_be_made_is_refused() -> None:
    """The message names the type and what to pass instead."""

    class Odd(dict[str, Tensor]):
        def __init__(self) -> None:
            super().__init__(x=torch.tensor(1))

    with pytest.raises(ForkError, match=r"got Odd, which failed with.*; pass a plain dict"):
        replaced(Odd(), lambda one: one)
