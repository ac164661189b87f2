"""Which term is not finite, and where that began: forward by module, backward by operation."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from poise.probe.gradients import Gradients, passed
from poise.probe.graph import Graph
from poise.probe.guard import guard
from poise.probe.tree import tensors
from poise.probe.typed import flags, modules_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finite:
    """Whether each term and its gradient are finite.

    Attributes:
        values: By term, whether its value is finite.
        gradients: By term with a gradient, whether that is finite.
        backward: By term whose gradient is not finite, where in the backward pass that began.
        forward: First module in the forward pass with a non-finite output; None if not looked for
            or not found.
    """

    values: Mapping[str, bool]
    gradients: Mapping[str, bool] = field(default_factory=dict[str, bool])
    backward: Mapping[str, str] = field(default_factory=dict[str, str])
    forward: str | None = None

    @property
    def all(self) -> bool:
        """True if every value and gradient is finite."""
        return all(self.values.values()) and all(self.gradients.values())

    def to_record(self) -> dict[str, object]:
        """The key `finite` of a `probe` record: True, False, or where it began, by term."""
        found: dict[str, bool | str] = {}
        for name, value in self.values.items():
            place = self.forward if not value else self.backward.get(name)
            fine = value and self.gradients.get(name, True)
            found[name] = True if fine else place or False
        return {"finite": found}


def check_finite(
    graph: Graph,
    gradients: Gradients | None = None,
    *,
    closure: Callable[[], object] | None = None,
    model: nn.Module | None = None,
) -> Finite:
    """Checks values and gradients, and looks for the origin only where something is not finite.

    Args:
        graph: The graph of this step.
        gradients: A reading of the same graph, whose norms tell which gradients are finite; None:
            each term is passed backward to all parameters.
        closure: Repeats the forward pass; needed to name the module where a value went wrong.
        model: Its modules are looked at while the closure runs, and restored.

    Example:
        >>> p = torch.zeros(2, requires_grad=True)
        >>> graph = Graph({"ok": (p + 1).sum(), "bad": p.sqrt().sum()})
        >>> check_finite(graph).to_record()
        {'finite': {'ok': True, 'bad': "SqrtBackward0 in 'leaf0'"}}
    """
    names = list(graph.terms)
    stacked = torch.stack([one.detach().reshape(()).isfinite() for one in graph.terms.values()])
    values = dict(zip(names, flags(stacked), strict=True))
    with guard(graph.model):
        fine = _fine(graph, gradients)
    wrong = None
    if (
        not (all(values.values()) and all(fine.values()))
        and closure is not None
        and model is not None
    ):
        wrong = first_module(model, closure)
    backward = {name: origin(graph, name) for name, good in fine.items() if not good}
    return Finite(values=values, gradients=fine, backward=backward, forward=wrong)


def _fine(graph: Graph, gradients: Gradients | None) -> dict[str, bool]:
    if gradients is not None:
        diagonal = flags(gradients.products.diagonal().isfinite())
        return dict(zip(gradients.terms, diagonal, strict=True))
    found: dict[str, bool] = {}
    for name, term in graph.terms.items():
        reached = [graph.parameters[one] for one in graph.reach.reached[name]]
        pieces = [one for one in passed(name, term, reached) if one is not None]
        if pieces:
            found[name] = all(bool(one.isfinite().all()) for one in map(_dense, pieces))
    return found


def _dense(one: Tensor) -> Tensor:
    return one if one.layout == torch.strided else one.to_dense()


def origin(graph: Graph, term: str) -> str:
    """Where a term's backward pass first turns finite gradients into non-finite ones.

    Returns:
        The operation and the module nearest to it, such as `SqrtBackward0 after 'trunk.2'` or
        `AddmmBackward0 in 'head'`; `not found` if the gradient is finite.
    """
    seen: list[Node] = []

    def hook_for(node: Node) -> Callable[..., None]:
        def hook(inputs: Any, outputs: Any) -> None:  # noqa: ANN401 -- tuples of tensors or None
            if not seen and _finite(outputs) and not _finite(inputs):
                seen.append(node)

        return hook

    handles = [node.register_hook(hook_for(node)) for node in graph.nodes()]
    try:
        reached = [graph.parameters[name] for name in graph.reach.reached[term]]
        with guard(graph.model):
            passed(term, graph.terms[term], reached)
    finally:
        for one in handles:
            one.remove()
    return _described(seen[0], graph) if seen else "not found"


def _finite(gradients: Any) -> bool:  # noqa: ANN401
    return all(bool(one.isfinite().all()) for one in tensors(gradients))


def _described(node: Node, graph: Graph) -> str:
    own = graph.owner_of(node, depth=1)
    if own is not None:
        return f"{node.name()} in '{own}'"
    near = graph.owner_of(node)
    return f"{node.name()} after '{near}'" if near is not None else node.name()


def _hooked(module: nn.Module, hook: Callable[..., None]) -> RemovableHandle:
    return cast(Callable[..., RemovableHandle], module.register_forward_hook)(hook)


@final
class ForwardWatch:
    """Finds the first module with a non-finite output while it is installed.

    Attributes:
        first: Name of that module; None so far.
    """

    def __init__(self, model: nn.Module) -> None:
        self.first: str | None = None
        self._handles: list[RemovableHandle] = [
            _hooked(module, self._hook(name or "(model)")) for name, module in modules_of(model)
        ]

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: object, output: object) -> None:
            if self.first is None and not _finite(output):
                self.first = name

        return hook

    def remove(self) -> None:
        """Takes the hooks away again."""
        for one in self._handles:
            one.remove()


@contextmanager
def watching_forward(model: nn.Module) -> Generator[ForwardWatch]:
    """Looks at every module's output in the forward passes inside.

    Waits for the device after each module, so it is for a step that is known to be wrong.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> with watching_forward(model) as seen:
        ...     _ = model(torch.tensor([[float("nan")]]))
        >>> seen.first
        '0'
    """
    watch = ForwardWatch(model)
    try:
        yield watch
    finally:
        watch.remove()


def first_module(model: nn.Module, closure: Callable[[], object]) -> str | None:
    """Runs the closure under a guard and names the first module with a non-finite output."""
    with guard(model), torch.no_grad(), watching_forward(model) as seen:
        closure()
    return seen.first
