"""Which parameters each term reaches, and the one tensor that carries all terms to them."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, final

from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from poise.probe.gradients import check_terms

Key: TypeAlias = tuple[Node, int]
"""One output of one node: a tensor of the forward pass."""
Vertex: TypeAlias = tuple[Node, int]
"""What is walked: a node with -1, or one output of a node that only hands its inputs on."""

OPAQUE = ("CheckpointFunctionBackward", "CompiledFunctionBackward")
"""Nodes that hide what is inside: reentrant checkpoints and compiled regions."""

LAYOUT = ("TBackward0", "TransposeBackward0", "ToCopyBackward0", "ViewBackward0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which parameters each term's graph is connected to.

    Connected means that a gradient may flow, not that it is other than zero.

    Attributes:
        reached: By term, names of the parameters it reaches, in the model's order.
        shared: Parameters that two terms or more reach.
        owned: By term, the parameters that it alone reaches.
        unreached: Trainable parameters that no term reaches.
        frozen: Parameters with `requires_grad=False`.
        detached: Terms without any graph: constants and detached tensors.
        opaque: Names of graph nodes that hide parameters (reentrant checkpoints) or connect
            everything inside (compiled regions), so that this map may say too little or too much.
        sizes: Number of elements by parameter name.
    """

    reached: Mapping[str, tuple[str, ...]]
    shared: tuple[str, ...]
    owned: Mapping[str, tuple[str, ...]]
    unreached: tuple[str, ...]
    frozen: tuple[str, ...]
    detached: tuple[str, ...]
    opaque: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)

    def to_record(self) -> dict[str, object]:
        """The key `reach` of a `probe` record: names by term, and what no term reaches."""
        return {
            "reach": {name: list(found) for name, found in self.reached.items()},
            "unreached": list(self.unreached),
            "frozen": list(self.frozen),
            "opaque": list(self.opaque),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The tensor through which every path from a term to a shared parameter runs.

    Attributes:
        edge: Where it is in the graph; `gradients_at` takes it as a place. Holds the graph: drop
            it with the step.
        name: Name of the operation that made the tensor, such as `ReluBackward0`.
        shape: Shape of the tensor where it is known, else empty.
    """

    edge: GradientEdge
    name: str
    shape: tuple[int, ...] = ()


@final
class Graph:
    """The autograd graph behind the terms of one step, walked once.

    It holds references into the graph: use it within the step and drop it.

    Args:
        terms: Scalar losses by name, with their graph. The total must not be among them.
        model: Gives parameters their names and their order. Without one, all leaf tensors of the
            graph count as parameters, named `leaf0`, `leaf1`, ... with the terms in order.

    Raises:
        GraphError: A term is no scalar tensor.

    Example:
        >>> import torch
        >>> model = nn.ModuleDict({k: nn.Linear(2, 2) for k in ("trunk", "a", "b", "spare")})
        >>> z = model["trunk"](torch.ones(1, 2)).relu()
        >>> graph = Graph({"a": model["a"](z).sum(), "b": model["b"](z).sum()}, model)
        >>> graph.reach.shared
        ('trunk.weight', 'trunk.bias')
        >>> graph.reach.owned["b"], graph.reach.unreached
        (('b.weight', 'b.bias'), ('spare.weight', 'spare.bias'))
        >>> graph.bottleneck().name
        'ReluBackward0'
    """

    def __init__(self, terms: Mapping[str, Tensor], model: nn.Module | None = None) -> None:
        check_terms(terms)
        self.terms = dict(terms)
        self.model = model
        self._sources = {
            name: get_gradient_edge(one) for name, one in terms.items() if one.requires_grad
        }
        self._order = _topological(map(_vertex_of, self._sources.values()))
        self._bits = self._mark()
        self._leaves = {
            variable: bits
            for vertex, bits in self._bits.items()
            if (variable := _leaf(vertex[0])) is not None
        }
        self.parameters: dict[str, Tensor] = self._named(model)
        self.reach = self._reach()

    @property
    def shared(self) -> dict[str, Tensor]:
        """The shared parameters by name."""
        return {name: self.parameters[name] for name in self.reach.shared}

    def bottleneck(self) -> Bottleneck | None:
        """The tensor nearest to the terms that carries all of them to all shared parameters.

        None if there is no such tensor but a parameter itself, or nothing is shared. Where the
        terms are made from slices of one output, that output is the bottleneck, and the gradients
        there do not overlap.
        """
        wanted = {id(self.parameters[name]) for name in self.reach.shared}
        leaves = {
            one
            for one in self._order
            if (variable := _leaf(one[0])) is not None and id(variable) in wanted
        }
        found = _narrowest(self._order, list(self._sources.values()), leaves)
        if found is None:
            return None
        return Bottleneck(edge=GradientEdge(*found), name=found[0].name(), shape=_shape(found))

    def nodes(self) -> list[Node]:
        """All nodes of the graph, each before the nodes that its gradients go to."""
        return list(dict.fromkeys(node for node, _ in self._order))

    def owner_of(self, node: Node, depth: int | None = None) -> str | None:
        """The module (without a model: the leaf) whose parameter is nearest behind a node.

        Args:
            node: Where to start.
            depth: How many edges to follow at most; None: any number.
        """
        names: dict[Tensor | None, str] = {one: name for name, one in self.parameters.items()}
        level: list[Vertex] = [(node, -1)]
        seen, far = set(level), 0
        while level and (depth is None or far <= depth):
            found = next((one for one in map(_variable, level) if one in names), None)
            if found is not None:
                return names[found].rpartition(".")[0] or names[found]
            behind = (_straight(_vertex(*child)) for one in level for child in _children(one))
            level = [one for one in dict.fromkeys(behind) if one not in seen]
            seen.update(level)
            far += 1
        return None

    def _mark(self) -> dict[Vertex, int]:
        """By vertex, the terms that reach it, one bit each."""
        bits = dict.fromkeys(self._order, 0)
        for k, edge in enumerate(self._sources.values()):
            bits[_vertex_of(edge)] |= 1 << k
        for one in self._order:
            for child in _children(one):
                bits[_vertex(*child)] |= bits[one]
        return bits

    def _named(self, model: nn.Module | None) -> dict[str, Tensor]:
        if model is not None:
            return dict(model.named_parameters())
        return {f"leaf{k}": variable for k, variable in enumerate(self._leaves)}

    def _reach(self) -> Reach:
        marks = {name: self._leaves.get(one, 0) for name, one in self.parameters.items()}
        reached = {
            term: tuple(name for name, mark in marks.items() if mark >> k & 1)
            for k, term in enumerate(self._sources)
        }
        alone = {name for name, mark in marks.items() if mark.bit_count() == 1}
        trainable = {name: one.requires_grad for name, one in self.parameters.items()}
        opaque = dict.fromkeys(n for one in self.nodes() if (n := one.name()).endswith(OPAQUE))
        return Reach(
            reached={term: reached.get(term, ()) for term in self.terms},
            shared=tuple(name for name, mark in marks.items() if mark.bit_count() > 1),
            owned={
                term: tuple(name for name in reached.get(term, ()) if name in alone)
                for term in self.terms
            },
            unreached=tuple(n for n, mark in marks.items() if not mark and trainable[n]),
            frozen=tuple(name for name, there in trainable.items() if not there),
            detached=tuple(term for term in self.terms if term not in self._sources),
            opaque=tuple(opaque),
            sizes={name: one.numel() for name, one in self.parameters.items()},
        )


def _width(node: Node) -> int:
    """How many outputs hand on one input; 0 for an ordinary node, where all depend on all.

    A data-parallel wrapper passes all outputs of its module through one node, and a fork of several
    tensors is one node; taken as ordinary they would connect every term with everything.
    """
    name = node.name()
    if name == "_DDPSinkBackward":
        return 1
    return len(getattr(node, "terms", ())) if name == "_CopiesBackward" else 0


def _vertex(node: Node, nr: int) -> Vertex:
    return (node, nr if _width(node) else -1)


def _vertex_of(edge: GradientEdge) -> Vertex:
    return _vertex(edge.node, edge.output_nr)


def _children(vertex: Vertex) -> list[Key]:
    """The tensors that a vertex's gradients go to; constants have none."""
    node, nr = vertex
    edges = node.next_functions
    if nr >= 0:
        at = nr // _width(node)
        edges = edges[at : at + 1]
    return [(child, k) for child, k in edges if child is not None]


def _leaf(node: Node) -> Tensor | None:
    """The leaf tensor of an AccumulateGrad node."""
    return getattr(node, "variable", None) if not node.next_functions else None


def _variable(vertex: Vertex) -> Tensor | None:
    return _leaf(vertex[0])


def _straight(vertex: Vertex) -> Vertex:
    """Past the operations that only lay a weight out anew before it is used."""
    while vertex[0].name() in LAYOUT and (behind := _children(vertex)):
        vertex = _vertex(*behind[0])
    return vertex


def _topological(roots: Iterable[Vertex]) -> list[Vertex]:
    """All vertices behind the roots, each before those its gradients go to."""
    unique = list(dict.fromkeys(roots))
    waiting: dict[Vertex, int] = dict.fromkeys(unique, 0)
    behind: dict[Vertex, list[Vertex]] = {}
    stack = list(unique)
    while stack:
        one = stack.pop()
        behind[one] = [_vertex(*child) for child in _children(one)]
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


def _narrowest(order: list[Vertex], sources: list[GradientEdge], leaves: set[Vertex]) -> Key | None:
    """The first tensor in `order` that all paths from the sources to the leaves run through.

    Walks a front over the graph: every path crosses the front, so a front of one tensor is one.
    """
    carrying = _ancestors(order, leaves)
    front: set[Key] = {(one.node, one.output_nr) for one in sources if _vertex_of(one) in carrying}
    for one in order:
        if one not in carrying or one in leaves:
            continue  # a leaf stays in the front: its path ends beside every later tensor
        if len(front) == 1:
            return next(iter(front))
        front = {key for key in front if _vertex(*key) != one}
        front |= {key for key in _children(one) if _vertex(*key) in carrying}
    return None


def _ancestors(order: list[Vertex], leaves: set[Vertex]) -> set[Vertex]:
    """The vertices from which a leaf is reached, leaves included."""
    found = set(leaves)
    for one in reversed(order):
        if any(_vertex(*child) in found for child in _children(one)):
            found.add(one)
    return found


def _shape(key: Key) -> tuple[int, ...]:
    metadata = getattr(key[0], "_input_metadata", ())
    return tuple(metadata[key[1]].shape) if key[1] < len(metadata) else ()
