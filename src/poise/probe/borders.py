"""Where the part of the graph that one term alone uses ends, and what terms share begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import Node

from poise.probe.edges import Key, Vertex, children, leaf, vertex, width


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """An edge of the graph from what one term alone uses to what it shares.

    Attributes:
        term: The term.
        node: The operation on the term's own side.
        at: Which of the gradients that the operation passes on crosses; where `handing` is true,
            which of those that it receives.
        handing: The operation only hands each of its inputs on (a fork, a wrapper), so that it
            sees the term's gradient alone before its backward pass, but not after it.
        into: The tensor on the shared side.
    """

    term: str
    node: Node
    at: int
    handing: bool
    into: Key


def borders_of(
    order: Sequence[Vertex],
    bits: Mapping[Vertex, int],
    sources: Mapping[str, Key],
    common: Callable[[Tensor], bool] | None = None,
) -> tuple[list[Border], tuple[str, ...]]:
    """The borders of all terms.

    Args:
        order: All vertices of the graph.
        bits: By vertex, the terms that reach it, one bit each.
        sources: Each term's own tensor, in the order of the bits.
        common: Says which parameters are shared although one term alone reaches them here: with
            terms that this batch does not have.

    Returns:
        The borders, and the terms that have none because all they use is shared: another term is
        made from them, or they use nothing but parameters that are `common`.
    """
    names = tuple(sources)
    past: set[Vertex] = set() if common is None else _nothing_else(order, bits, common)
    many = {one for one in order if bits[one].bit_count() > 1} | past
    inside = tuple(name for name, key in sources.items() if vertex(*key) in many)
    found: list[Border] = []
    for one in order:
        if one not in many:
            term = names[bits[one].bit_length() - 1]
            found += [
                Border(term=term, node=one[0], at=at, handing=one[1] >= 0, into=child)
                for at, child in _outgoing(one)
                if vertex(*child) in many
            ]
    return found, inside


def _nothing_else(
    order: Sequence[Vertex], bits: Mapping[Vertex, int], common: Callable[[Tensor], bool]
) -> set[Vertex]:
    """The vertices of one term alone behind which there are no parameters but common ones."""
    found: set[Vertex] = set()
    lone = [one for one in order if bits[one].bit_count() == 1]
    for one in lone:
        variable = leaf(one)
        if variable is not None and common(variable):
            found.add(one)
    if not found:
        return found
    for one in reversed(lone):
        behind = [vertex(*child) for child in children(one)]
        if behind and all(child in found for child in behind):
            found.add(one)
    return found


def _outgoing(one: Vertex) -> list[tuple[int, Key]]:
    """The tensors that a vertex's gradients go to, with the place that they leave or enter at."""
    node, nr = one
    if width(node):
        return [(nr, child) for child in children(one)]
    edges = enumerate(node.next_functions)
    return [(at, (child, k)) for at, (child, k) in edges if child is not None]
