"""The one tensor through which the terms pass on their way to the parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch.autograd.graph import GradientEdge

from poise.probe.edges import (
    LAYOUT,
    OPAQUE,
    Key,
    Vertex,
    ancestors,
    children,
    leaf,
    straight,
    vertex,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The tensor nearest to the terms that all of them pass on their way to what they share.

    Every path from a term of `terms` to an operation that all of them share runs through it. A
    path that meets no such operation may end past it: in a head, in a layer that only some of the
    terms share, in a weight that is used a second time. Shared parameters at the end of such paths
    are in `beside`: what the terms do to them is not, or not wholly, in a reading taken here.

    Attributes:
        edges: Where it is in the graph; `gradients_at` takes them as places. One, or the outputs
            of one operation, such as an LSTM of which the terms use output and state. They hold
            the graph: drop them with the step.
        name: Name of the operation that made the tensor, such as `ReluBackward0`.
        shapes: Shape of the tensor at each edge, where it is known.
        terms: The terms that pass it.
        ignored: Terms that share no operation with another term: constants, regularisers that
            look at parameters only, terms of a forward pass of their own.
        beside: Parameters that two of `terms` share and one of them also reaches past it.
    """

    edges: tuple[GradientEdge, ...]
    name: str
    shapes: tuple[tuple[int, ...], ...] = ()
    terms: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor, or of the first of several; empty where it is not known."""
        return self.shapes[0] if self.shapes else ()


def meeting(
    order: Sequence[Vertex], bits: Mapping[Vertex, int], sources: Sequence[Key], wanted: set[int]
) -> tuple[int, list[Key]]:
    """Where the terms meet.

    Args:
        order: All vertices, each before those its gradients go to.
        bits: By vertex, the terms that reach it, one bit each.
        sources: Each term, in the order of the bits.
        wanted: `id` of the parameters that count.

    Returns:
        The terms that share an operation with another, one bit each, and the tensors: one, or the
        outputs of one operation; none if there is no such place.
    """
    inner = _operations(order, wanted)
    whole = 0
    for one in inner:
        whole |= bits[one] if bits[one].bit_count() > 1 else 0
    full = {one for one in inner if bits[one] == whole}
    front = {key for k, key in enumerate(sources) if whole >> k & 1 and vertex(*key) in full}
    for one in order:
        if one in inner and one not in full:
            front |= {key for key in children(one) if vertex(*key) in full}
    found = _narrowest([one for one in order if one in full], front)
    if len(found) > 1 and not found.isdisjoint(sources):
        return whole, []  # the terms themselves, made by one compiled region: nothing is common
    return whole, sorted(found, key=lambda key: key[1])


def _operations(order: Sequence[Vertex], wanted: set[int]) -> set[Vertex]:
    """The operations behind which there is a parameter, without those that prepare a weight.

    A reentrant checkpoint hides its parameters, so it counts as one that has some.
    """
    hidden = {one for one in order if one[0].name() == OPAQUE[0]}
    ends = {one for one in order if (variable := leaf(one)) is not None and id(variable) in wanted}
    carrying = ancestors(list(order), ends | hidden)
    return {one for one in carrying - ends if not _prepares(one)}


def _prepares(one: Vertex) -> bool:
    return one[0].name() in LAYOUT and leaf(straight(one)) is not None


def _narrowest(full: Sequence[Vertex], front: set[Key]) -> set[Key]:
    """The first tensor in `full` that all paths from the front run through.

    Walks the front over the graph: every path crosses it, so a front of one tensor is one. A path
    may end in a weight beside the front, but not in an operation of its own: what lies behind that
    one would be missed by every later tensor.
    """
    known = set(full)
    for one in full:
        behind = {key for key in children(one) if vertex(*key) in known}
        alone = all(vertex(*key) == one for key in front)
        if len(front) == 1 or (alone and len(children(one)) > 1):
            return front
        if not behind:
            return set()
        front = {key for key in front if vertex(*key) != one} | behind
    return set()
