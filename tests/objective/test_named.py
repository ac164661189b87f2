"""What a weight that is a function says about itself."""

import json
from dataclasses import dataclass
from functools import lru_cache, partial

import pytest
import torch

from poise.objective.named import described


def ramp(step: int, *, stop: float = 1.0) -> float:
    """A function at the top of a module."""
    return step / stop


class Ramp:
    """An object with plain state."""

    def __init__(self, stop: object) -> None:
        self.stop = stop

    def __call__(self, step: int) -> float:
        """The weight."""
        return step / float(self.stop)  # pyright: ignore[reportArgumentType]

    def at(self, step: int) -> float:
        """A method."""
        return self(step)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dataclass without a dict."""

    stop: float

    def __call__(self, step: int) -> float:
        """The weight."""
        return step / self.stop


class Slotted:
    """State that cannot be listed."""

    __slots__ = ("stop",)

    def __call__(self, step: int) -> float:
        """The weight."""
        return step / 2.0


HERE = "tests.objective.test_named"
KNOWN = {
    "function": (ramp, {"function": f"{HERE}.ramp"}),
    "builtin": (max, {"function": "builtins.max"}),
    "partial": (
        partial(ramp, stop=2.0),
        {"function": f"{HERE}.ramp", "args": [], "keywords": {"stop": 2.0}},
    ),
    "nested": (
        partial(max, (1, [None, "x"]), key={"k": True}),
        {"function": "builtins.max", "args": [[1, [None, "x"]]], "keywords": {"key": {"k": True}}},
    ),
    "object": (Ramp(3), {"function": f"{HERE}.Ramp", "state": {"stop": 3}}),
    "dataclass": (Frozen(3.0), {"function": f"{HERE}.Frozen", "state": {"stop": 3.0}}),
}
OPAQUE = {
    "lambda": lambda step: step,
    "partial of a lambda": partial(lambda k, step: k * step, 2.0),
    "partial with a tensor": partial(ramp, torch.ones(())),
    "partial with infinity": partial(ramp, stop=float("inf")),
    "partial with odd keys": partial(max, {1: 2}),
    "method": Ramp(3).at,
    "method of a builtin": [1.0, 2.0].__getitem__,
    "bound builtin": [].append,
    "class": Ramp,
    "object with a tensor": Ramp(torch.ones(())),
    "object with slots": Slotted(),
    "cached": lru_cache(ramp),
}


@pytest.mark.parametrize(("weight", "expected"), KNOWN.values(), ids=KNOWN)
def test_known(weight: object, expected: object) -> None:
    """Name and all numbers, as JSON gives them back."""
    found = described(weight)  # pyright: ignore[reportArgumentType]
    assert found == expected
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("weight", OPAQUE.values(), ids=OPAQUE)
def test_opaque(weight: object) -> None:
    """Where two that differ could look the same, it says so."""
    found = described(weight)  # pyright: ignore[reportArgumentType]
    assert found["opaque"] is True
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_function_inside_a_function_is_opaque() -> None:
    """Its name says nothing about what it closes over."""

    def inner(step: int) -> float:
        return float(step)

    assert described(inner)["opaque"] is True
