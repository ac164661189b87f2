"""Tensors inside containers."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor

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
