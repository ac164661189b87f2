"""Which parameters several terms reach: in one batch, or one in this batch and one in another."""

import weakref
from collections.abc import Iterable, Mapping
from typing import final

from torch import Tensor

from poise.probe.graph import Graph

SEVERAL = ""
"""Stands for more than one term."""


@final
class Common:
    """Remembers which terms reached a parameter, so that a batch of one term shows what it shares.

    Parameters are told apart by identity and not kept alive; copies and pickles start anew. In a
    state they have their names in the model, if there was one.

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
        self._names: dict[str, weakref.ref[Tensor]] = {}
        self._loaded: dict[str, str] = {}

    def learn(self, graph: Graph) -> None:
        """Takes note of a graph, unless one of the same terms was seen before."""
        kind = tuple(graph.terms)
        if kind in self._learned:
            return
        self._learned.add(kind)
        self._recall(graph)
        self.add(graph.shared.values())
        for term, names in graph.reach.reached.items():
            for name in names:
                self._note(graph.parameters[name], term)

    def _recall(self, graph: Graph) -> None:
        """Finds the parameters of a loaded state by their names."""
        if graph.model is None:
            return
        for name, one in graph.parameters.items():
            self._names[name] = weakref.ref(one)
            term = self._loaded.pop(name, None)
            if term == SEVERAL:
                self.add([one])
            elif term is not None:
                self._note(one, term)

    def _note(self, one: Tensor, term: str) -> None:
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

    def to_state(self) -> dict[str, str]:
        """By name, the one term that reached a parameter, or `SEVERAL`."""
        state = dict(self._loaded)
        for name, known in self._names.items():
            one = known()
            if one is None:
                continue
            if self.has(one):
                state[name] = SEVERAL
            elif id(one) in self._reached and self._reached[id(one)][0]() is one:
                state[name] = self._reached[id(one)][1]
        return state

    def load(self, state: Mapping[str, str]) -> None:
        """Forgets all, and takes what a state says as soon as a graph has those names."""
        self.__init__()
        self._loaded = dict(state)

    def __reduce__(self) -> tuple[type["Common"], tuple[()]]:
        return Common, ()
