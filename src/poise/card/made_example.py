"""Makes an example from shapes, told on the command line or by jaxtyping annotations."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from poise.errors import InspectError

SIZES = {"batch": 8, "length": 6, "classes": 5}
"""Sizes of axes whose name says what they are; any other axis has 4."""
WORDS = {
    "batch": ("b", "n", "batch", "samples"),
    "length": ("l", "t", "s", "length", "tokens", "time", "seq", "steps", "positions"),
    "classes": ("c", "k", "v", "classes", "vocab", "vocabulary", "channels"),
}
OTHER = 4
KINDS = "float, positive, prob (sums to 1 over the last axis), bool, int5 (labels below 5)"
SPEC = re.compile(r"(?P<name>[^=]+)=(?P<shape>\d+(x\d+)*)(:(?P<kind>[a-z]+)(?P<classes>\d*))?")


def from_shapes(specs: Sequence[str]) -> tuple[Tensor, ...]:
    """Tensors for `NAME=8x5`, `NAME=8:int5`, `NAME=8x5:bool`, in order; always the same numbers.

    Example:
        >>> prediction, labels = from_shapes(["prediction=8x5", "labels=8:int5"])
        >>> prediction.shape, labels.dtype
        (torch.Size([8, 5]), torch.int64)
    """
    source = torch.Generator().manual_seed(0)
    found: list[Tensor] = []
    for spec in specs:
        match = SPEC.fullmatch(spec.strip())
        if match is None:
            message = (
                f"{spec!r} is no shape of an argument; give NAME=8x5, or NAME=8x5:KIND with KIND "
                f"one of {KINDS}"
            )
            raise InspectError(message)
        shape = [int(one) for one in match["shape"].split("x")]
        found.append(_made(source, shape, match["kind"] or "float", match["classes"] or ""))
    return tuple(found)


def _made(source: torch.Generator, shape: list[int], kind: str, classes: str) -> Tensor:
    if kind == "int" and classes:
        return torch.randint(0, int(classes), shape, generator=source)
    if kind == "bool":
        return torch.rand(shape, generator=source) < 0.7
    normal = torch.randn(shape, generator=source)
    makers: Mapping[str, Callable[[], Tensor]] = {
        "float": lambda: normal,
        "positive": normal.exp,
        "prob": lambda: normal.softmax(-1),
    }
    if kind not in makers:
        message = f"no example can be made of {kind + classes!r}; the kinds are {KINDS}"
        raise InspectError(message)
    return makers[kind]()


def from_annotations(loss: Callable[..., object]) -> tuple[Tensor, ...] | None:
    """Tensors as the function's jaxtyping annotations say; None if an argument has none.

    The same axis name gets the same size everywhere; a first argument of floats, then labels
    (integers) below the size of its axis of classes, masks (Boolean) and further floats.
    """
    specs: list[str] = []
    classes = SIZES["classes"]
    try:
        parameters = list(inspect.signature(loss).parameters.values())
    except (TypeError, ValueError):  # built in C, without a signature
        return None
    for one in parameters:
        if one.default is not one.empty:
            break
        axes: object = getattr(one.annotation, "dim_str", None)
        if not isinstance(axes, str):
            return None
        sizes = [_size(axis) for axis in axes.split()]
        kind = _kind(getattr(one.annotation, "dtypes", ()), classes)
        if not sizes:
            return None
        if not specs:
            classes = sizes[-1]
        specs.append(f"{one.name}={'x'.join(map(str, sizes))}:{kind}")
    return from_shapes(specs) if specs else None


def _size(axis: str) -> int:
    plain = axis.lstrip("*#_?").lower()
    if plain.isdigit():
        return int(plain)
    found = (what for what, words in WORDS.items() if plain in words)
    return SIZES.get(next(found, ""), OTHER)


def _kind(dtypes: object, classes: int) -> str:
    said = str(dtypes)
    if "bool" in said:
        return "bool"
    return f"int{classes}" if "int" in said and "float" not in said else "float"
