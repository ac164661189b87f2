"""Which parameters each term reaches, and the one tensor that carries all terms to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from poise.probe.borders import Border, borders_of
from poise.probe.bottleneck import Bottleneck, meeting
from poise.probe.edges import (
    OPAQUE,
    Key,
    Vertex,
    children,
    leaf,
    reachable,
    shape_of,
    size_of,
    straight,
    topological,
    vertex,
    vertex_of,
)
from poise.probe.gradients import check_terms
from poise.probe.sharded import refuse_sharded


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


@final
class Graph:
    """The autograd graph behind the terms of one step, walked once.

    It holds references into the graph: use it within the step and drop it.

    Args:
        terms: Scalar losses by name, with their graph. The total must not be among them.
        model: Gives parameters their names and their order. Without one, all leaf tensors of the
            graph count as parameters, named `leaf0`, `leaf1`, ... with the terms in order.

    Raises:
        GraphError: A term is no scalar tensor, or a parameter is sharded over processes.

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
        self._order = topological(map(vertex_of, self._sources.values()))
        self._bits = self._mark()
        self._leaves = {
            variable: bits
            for one, bits in self._bits.items()
            if (variable := leaf(one)) is not None
        }
        refuse_sharded(model, self._leaves)
        self.parameters: dict[str, Tensor] = self._named(model)

    @cached_property
    def reach(self) -> Reach:
        """Which parameters each term reaches."""
        return self._reach()

    @cached_property
    def leaves(self) -> dict[Tensor, tuple[str, ...]]:
        """Every leaf that some term reaches, a parameter of the model or not, with those terms."""
        names = tuple(self._sources)
        return {
            one: tuple(name for k, name in enumerate(names) if bits >> k & 1)
            for one, bits in self._leaves.items()
        }

    @property
    def shared(self) -> dict[str, Tensor]:
        """The shared parameters by name."""
        return {name: self.parameters[name] for name in self.reach.shared}

    def bottleneck(self) -> Bottleneck | None:
        """The tensor nearest to the terms that carries all of them to what they share.

        Terms that share no operation with another are ignored and named. None if the others do not
        all pass one tensor (two trunks that all terms read, or each by other terms), if it could
        only be a parameter itself, or if nothing is shared. Where the terms are made from slices of
        one output, that output is the bottleneck, and the gradients there do not overlap.
        """
        wanted = {id(one) for one in self.parameters.values() if one.requires_grad}
        sources: list[Key] = [(one.node, one.output_nr) for one in self._sources.values()]
        passing, found = meeting(self._order, self._bits, sources, wanted)
        if not found:
            return None
        terms = tuple(name for k, name in enumerate(self._sources) if passing >> k & 1)
        around = reachable(
            (key for k, key in enumerate(sources) if passing >> k & 1), frozenset(found)
        )
        past = {
            id(variable)
            for one in around
            if (variable := leaf(one)) is not None and (self._bits[one] & passing).bit_count() > 1
        }
        return Bottleneck(
            edges=tuple(GradientEdge(*key) for key in found),
            name=found[0][0].name(),
            shapes=tuple(map(shape_of, found)),
            terms=terms,
            ignored=tuple(name for name in self.terms if name not in terms),
            beside=tuple(name for name, one in self.shared.items() if id(one) in past)
            if past
            else (),
        )

    def borders(
        self, common: Callable[[Tensor], bool] | None = None
    ) -> tuple[list[Border], tuple[str, ...]]:
        """Where each term's own part of the graph ends, and the terms that have no own part.

        Args:
            common: Says which parameters are shared with terms that are not here.
        """
        sources: dict[str, Key] = {
            name: (one.node, one.output_nr) for name, one in self._sources.items()
        }
        return borders_of(self._order, self._bits, sources, common)

    def fused(self) -> tuple[str, ...]:
        """Terms that leave one opaque operation together: where they meet is inside it, unseen."""
        homes: dict[Node, list[str]] = {}
        for name, one in self._sources.items():
            if one.node.name().endswith(OPAQUE):
                homes.setdefault(one.node, []).append(name)
        return tuple(name for names in homes.values() if len(names) > 1 for name in names)

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
            found = next((one for one in map(leaf, level) if one in names), None)
            if found is not None:
                return names[found].rpartition(".")[0] or names[found]
            behind = (straight(vertex(*child)) for one in level for child in children(one))
            level = [one for one in dict.fromkeys(behind) if one not in seen]
            seen.update(level)
            far += 1
        return None

    def _mark(self) -> dict[Vertex, int]:
        """By vertex, the terms that reach it, one bit each."""
        bits = dict.fromkeys(self._order, 0)
        for k, edge in enumerate(self._sources.values()):
            bits[vertex_of(edge)] |= 1 << k
        for one in self._order:
            for child in children(one):
                bits[vertex(*child)] |= bits[one]
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
            sizes={name: size_of(one) for name, one in self.parameters.items()},
        )
