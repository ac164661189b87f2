"""Which parameters several terms reach: in one batch, or one in this batch and one in another."""

import weakref
from collections.abc import Iterable
from typing import final

from torch import Tensor

from poise.probe.graph import Graph


@final
class Common:
    """Remembers which terms reached a parameter, so that a batch of one term shows what it shares.

    Parameters are told apart by identity and not kept alive; copies and pickles start anew.

    Example:
        >>> import torch
        >>> common, p = Common(), torch.ones(1, requires_grad=True)
        >>> common.learn(Graph({"a": p.sum()}))
        >>> id(p) in common.found
        False
        >>> common.learn(Graph({"b": p.sum()}))
        >>> id(p) in common.found
        True
    """

    def __init__(self) -> None:
        self.found: dict[int, weakref.ref[Tensor]] = {}
        self._reached: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._learned: set[tuple[str, ...]] = set()

    def learn(self, graph: Graph) -> None:
        """Takes note of a graph, unless one of the same terms was seen before."""
        kind = tuple(graph.terms)
        if kind in self._learned:
            return
        self._learned.add(kind)
        self.add(graph.shared.values())
        for term, names in graph.reach.reached.items():
            for one in (graph.parameters[name] for name in names):
                known, first = self._reached.setdefault(id(one), (weakref.ref(one), term))
                if known() is not one:  # another tensor had this identity and is gone
                    self._reached[id(one)] = (weakref.ref(one), term)
                elif first != term:
                    self.add([one])

    def add(self, parameters: Iterable[Tensor]) -> None:
        """These are shared, whatever the graphs of this process say."""
        for one in parameters:
            self.found[id(one)] = weakref.ref(one)

    def has(self, one: Tensor) -> bool:
        """Is this parameter shared, as far as is known?"""
        known = self.found.get(id(one))
        return known is not None and known() is one

    def __reduce__(self) -> tuple[type["Common"], tuple[()]]:
        return Common, ()
