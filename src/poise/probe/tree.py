"""Tensors inside dicts, lists and tuples: taking them out and putting others in their place."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from torch import Tensor

from poise.errors import ForkError

T = TypeVar("T")


def tensors(tree: object) -> Iterator[Tensor]:
    """The tensors of a tree of mappings, lists and tuples, in order; anything else is passed over.

    Example:
        >>> import torch
        >>> [one.item() for one in tensors({"a": torch.tensor(1), "b": (torch.tensor(2), None)})]
        [1, 2]
    """
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for one in cast(Mapping[object, object], tree).values():
            yield from tensors(one)
    elif isinstance(tree, list | tuple):
        for one in cast(Sequence[object], tree):
            yield from tensors(one)


def replaced(tree: T, swap: Callable[[Tensor], Tensor]) -> T:
    """The same tree with `swap(tensor)` in place of every tensor; containers are new.

    Raises:
        ForkError: A container cannot be made anew.

    Example:
        >>> import torch
        >>> replaced((torch.tensor(1.0), "mask"), lambda one: one + 1)
        (tensor(2.), 'mask')
    """
    return cast(T, _replaced(tree, swap))


def _replaced(tree: object, swap: Callable[[Tensor], Tensor]) -> object:
    if isinstance(tree, Tensor):
        return swap(tree)
    if isinstance(tree, Mapping):
        items = cast(Mapping[object, object], tree).items()
        return _like_mapping(cast(object, tree), {key: _replaced(one, swap) for key, one in items})
    if isinstance(tree, list | tuple):
        found = [_replaced(one, swap) for one in cast(Sequence[object], tree)]
        return _like_sequence(cast(object, tree), found)
    return tree


def _like_mapping(tree: object, found: dict[object, object]) -> object:
    """`found` in the type of `tree`."""
    if type(tree) is dict:
        return found
    if isinstance(tree, defaultdict):
        typed = cast("defaultdict[object, object]", tree)
        return _made(typed, typed.default_factory, found)
    return _made(tree, found)


def _like_sequence(tree: object, found: list[object]) -> object:
    return _made(tree, *found) if hasattr(tree, "_fields") else _made(tree, found)  # named tuples


def _made(tree: object, *given: object) -> object:
    """A container of the same type.

    Raises:
        ForkError: Its type is not made as a dict, a list or a tuple is.
    """
    try:
        return cast(Callable[..., object], type(tree))(*given)
    except TypeError as error:
        raise ForkError(
            f"expected a container that can be made as a dict, list or tuple is, got "
            f"{type(tree).__name__}, which failed with: {error}; pass a plain dict, list or tuple"
        ) from error
