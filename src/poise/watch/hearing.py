"""Readings of the forks of one total, in the training's own backward pass."""

from collections.abc import Iterable

from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from poise.probe.edges import OPAQUE
from poise.probe.fork import Listening, listen
from poise.probe.gradients import Gradients

FORKS = ("_CopiesBackward", OPAQUE[0])
"""Nodes inside which a fork tells its reading: the fork itself, or a checkpoint that holds one."""
MOST = 64
"""Readings that are kept until the micro-batch ends, at most."""


class Hearing:
    """Listens to forks, and keeps what those in one graph say.

    Forks of other models, watched or not, may be passed backward at any time; so the nodes of the
    graph say when one of its own is at work. On a GPU that is in another thread.

    Example:
        >>> import torch
        >>> from poise.probe import fork
        >>> from poise.probe.collective import nodes_behind
        >>> def total(name):
        ...     parts = fork(torch.ones(2, requires_grad=True), ["a", "b"], name=name)
        ...     return parts["a"].sum() + parts["b"].sum()
        >>> hearing, mine, other = Hearing(), total("mine"), total("other")
        >>> hearing.begin(nodes_behind(mine))
        >>> mine.backward(), other.backward()
        (None, None)
        >>> [one.where for one in hearing.end()]
        ['fork:mine']
    """

    def __init__(self) -> None:
        self._listening: Listening | None = None
        self._hooks: list[RemovableHandle] = []
        self._readings: list[Gradients] = []
        self._depth = 0

    def begin(self, nodes: Iterable[Node]) -> None:
        """Listens to the forks among the nodes of a graph until `end`."""
        forks = [one for one in nodes if one.name() in FORKS]
        if not forks:
            return
        self.end()
        self._listening = listen(self._heard)
        for one in forks:
            self._hooks.append(one.register_prehook(self._enter))
            self._hooks.append(one.register_hook(self._leave))

    def end(self) -> list[Gradients]:
        """Stops listening; what was heard."""
        if self._listening is None:
            return []
        self._listening.remove()
        for one in self._hooks:
            one.remove()
        found, self._readings = self._readings, []
        self._listening, self._hooks, self._depth = None, [], 0
        return found

    def _enter(self, _: object) -> None:
        self._depth += 1

    def _leave(self, _: object, __: object) -> None:
        self._depth -= 1

    def _heard(self, reading: Gradients) -> None:
        if self._depth > 0 and len(self._readings) < MOST:
            self._readings.append(reading)
