"""Walking an autograd graph: its vertices, what lies behind them, and the parameters at its end."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node
from torch.nn.parameter import is_lazy

Key: TypeAlias = tuple[Node, int]
"""One output of one node: a tensor of the forward pass."""
Vertex: TypeAlias = tuple[Node, int]
"""What is walked: a node with -1, or one output of a node that only hands its inputs on."""

OPAQUE = ("CheckpointFunctionBackward", "CompiledFunctionBackward")
"""Nodes that hide what is inside: reentrant checkpoints and compiled regions."""

LAYOUT = ("TBackward0", "TransposeBackward0", "ToCopyBackward0", "ViewBackward0")
"""Operations that only lay a weight out anew, or cast it, before it is used."""


def width(node: Node) -> int:
    """How many outputs hand on one input; 0 for an ordinary node, where all depend on all.

    A data-parallel wrapper passes all outputs of its module through one node, and a fork of several
    tensors is one node; taken as ordinary they would connect every term with everything.
    """
    kind = type(node).__name__  # both are written in Python; `node.name()` takes ten times as long
    if kind == "_DDPSinkBackward":
        return 1
    return len(getattr(node, "terms", ())) if kind == "_CopiesBackward" else 0


def vertex(node: Node, nr: int) -> Vertex:
    """The vertex that a tensor belongs to."""
    return (node, nr if width(node) else -1)


def vertex_of(edge: GradientEdge) -> Vertex:
    """The vertex that a gradient edge belongs to."""
    return vertex(edge.node, edge.output_nr)


def children(one: Vertex) -> list[Key]:
    """The tensors that a vertex's gradients go to; constants have none."""
    node, nr = one
    edges = node.next_functions
    if nr >= 0:
        at = nr // width(node)
        edges = edges[at : at + 1]
    return [(child, k) for child, k in edges if child is not None]


def chain(node: Node | None, most: int) -> Iterator[Key]:
    """The tensors in front of a node, nearest first, as long as there is one and no other.

    Args:
        node: Where to begin; None has nothing in front.
        most: Operations that are followed back, at most.
    """
    for _ in range(most):
        behind = [] if node is None else children((node, -1))
        if len(behind) != 1:
            return
        yield behind[0]
        node = behind[0][0]


def leaf(one: Vertex) -> Tensor | None:
    """The leaf tensor whose gradient a vertex accumulates; None for any other vertex."""
    node = one[0]
    return getattr(node, "variable", None) if not node.next_functions else None


def shape_of(key: Key) -> tuple[int, ...]:
    """Shape of the tensor that an output of a node was; () as well where that is not known."""
    metadata = getattr(key[0], "_input_metadata", ())
    return tuple(metadata[key[1]].shape) if key[1] < len(metadata) else ()


def size_of(parameter: Tensor) -> int:
    """Elements of a parameter; 0 for one of a lazy module that has not run yet.

    Example:
        >>> import torch
        >>> size_of(torch.nn.LazyLinear(2).weight), size_of(torch.nn.Linear(3, 2).weight)
        (0, 6)
    """
    return 0 if is_lazy(parameter) else parameter.numel()


def straight(one: Vertex) -> Vertex:
    """Past the operations that only lay a weight out anew before it is used."""
    while one[0].name() in LAYOUT and (behind := children(one)):
        one = vertex(*behind[0])
    return one


def topological(roots: Iterable[Vertex]) -> list[Vertex]:
    """All vertices behind the roots, each before those its gradients go to."""
    unique = list(dict.fromkeys(roots))
    waiting: dict[Vertex, int] = dict.fromkeys(unique, 0)
    behind: dict[Vertex, list[Vertex]] = {}
    stack = list(unique)
    while stack:
        one = stack.pop()
        behind[one] = [vertex(*child) for child in children(one)]
        for child in behind[one]:
            if child not in waiting:
                waiting[child] = 0
                stack.append(child)
            waiting[child] += 1
    order = deque(one for one in unique if not waiting[one])
    found: list[Vertex] = []
    while order:
        one = order.popleft()
        found.append(one)
        for child in behind[one]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return found


def ancestors(order: list[Vertex], ends: set[Vertex]) -> set[Vertex]:
    """The vertices from which one of the ends is reached, the ends included."""
    found = set(ends)
    for one in reversed(order):
        if any(vertex(*child) in found for child in children(one)):
            found.add(one)
    return found


def reachable(roots: Iterable[Key], without: frozenset[Key]) -> set[Vertex]:
    """The vertices behind the roots that are reached on a way around some tensors."""
    stack = [vertex(*one) for one in roots if one not in without]
    seen = set(stack)
    while stack:
        for child in children(stack.pop()):
            one = vertex(*child)
            if child not in without and one not in seen:
                seen.add(one)
                stack.append(one)
    return seen
