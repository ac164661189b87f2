"""Every term's gradient at every leaf, weighed and delivered: K passes, and none besides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast, final

import torch
from torch import Tensor

from poise.probe.collective import processes
from poise.probe.gradients import Gradients, impassable, reading_of
from poise.probe.graph import Graph
from poise.probe.half import has_half
from poise.probe.typed import passed_back
from poise.probe.weighing import sum_of

LOOKERS = ("BackwardHookFunctionBackward", "_CopiesBackward")
"""Operations that look at the whole gradient: hooks of modules, and forks."""


def at_once(graph: Graph) -> bool:
    """May the passes that measure be the training's own?

    Not where somebody is to see the gradient of all terms on its way: hooks of parameters, which
    may change it, hooks of modules, forks, other processes. Nor with float16, whose gradients are
    measured with a scale of their own.

    Example:
        >>> p = torch.ones(2, requires_grad=True)
        >>> at_once(Graph({"a": p.sum(), "b": p.square().sum()}))
        True
        >>> handle = p.register_hook(lambda gradient: gradient)
        >>> at_once(Graph({"a": p.sum(), "b": p.square().sum()}))
        False
    """
    nodes = graph.nodes()
    return not (
        processes() > 1
        or any(cast(Any, one)._backward_hooks for one in graph.leaves)
        or any(node.name() in LOOKERS for node in nodes)
        or has_half(nodes)
    )


@final
@dataclass(frozen=True, slots=True)
class Rows:
    """Each term's gradient at every leaf that it reaches.

    Attributes:
        graph: The graph that was passed backward.
        pieces: By term, its gradient by leaf.

    Example:
        >>> shared, own = (torch.ones(1, requires_grad=True) for _ in range(2))
        >>> rows = Rows.of(Graph({"a": (shared * own).sum(), "b": shared.sum()}))
        >>> weights = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
        >>> rows.deliver(weights, lambda leaf: False, everywhere=False)
        >>> shared.grad, own.grad
        (tensor([5.]), tensor([1.]))
    """

    graph: Graph
    pieces: Mapping[str, dict[Tensor, Tensor]]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """One pass a term, which is the training's own; the last one frees the graph.

        Raises:
            GraphError: The graph was freed, or cannot be passed backward more than once.
        """
        with_graph = [name for name, one in graph.terms.items() if one.requires_grad]
        found: dict[str, dict[Tensor, Tensor]] = {}
        for name in with_graph:
            leaves = [one for one, terms in graph.leaves.items() if name in terms]
            try:
                row = passed_back(graph.terms[name], leaves, keep=name != with_graph[-1])
            except RuntimeError as error:
                raise impassable(name, error) from error
            found[name] = {at: one for at, one in zip(leaves, row, strict=True) if one is not None}
        return cls(graph, found)

    def reading(self) -> Gradients:
        """The reading at the shared parameters."""
        shared = self.graph.shared
        return reading_of(
            [
                [self.pieces.get(name, {}).get(one) for one in shared.values()]
                for name in self.graph.terms
            ],
            dict.fromkeys(self.graph.terms, 1.0),
            names=tuple(shared),
            where="shared",
            seconds=0.0,
        )

    def deliver(
        self, weights: Mapping[str, Tensor], common: Callable[[Tensor], bool], *, everywhere: bool
    ) -> None:
        """Adds the weighted gradients to `.grad`, as a backward pass does, with its hooks.

        The rows are used up.

        Args:
            weights: A scalar for each term.
            common: Says which leaves are shared with terms that are not here.
            everywhere: Weigh what one term uses alone, too.
        """
        leaves: list[Tensor] = []
        sums: list[Tensor] = []
        for leaf, terms in self.graph.leaves.items():
            own = [self.pieces[name].pop(leaf, None) for name in terms]
            by = [weights[name] for name in terms]
            weighed = everywhere or len(terms) > 1 or common(leaf)
            total = sum_of(own, by if weighed else None)
            if total is not None:
                leaves.append(leaf)
                sums.append(total)
        if leaves:
            torch.autograd.backward(leaves, sums)
