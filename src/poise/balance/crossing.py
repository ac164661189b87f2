"""One ordinary backward pass that weighs each term where its own part of the graph ends."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from poise.errors import GraphError
from poise.probe.borders import Border
from poise.probe.bottleneck import Bottleneck
from poise.probe.edges import Key
from poise.probe.fork import Home, measured
from poise.probe.graph import Graph
from poise.probe.typed import numbers
from poise.probe.weighing import sum_of

Arrived: TypeAlias = tuple[Tensor | None, ...]


def refuse_fused(graph: Graph) -> None:
    """Refuses terms that meet inside a compiled graph or a checkpoint.

    A weight could act on a term as a whole only, and so on its head as well.

    Raises:
        GraphError: Two terms leave one opaque operation.

    Example:
        >>> import torch
        >>> refuse_fused(Graph({"a": torch.ones(1, requires_grad=True).sum()}))
    """
    if fused := graph.fused():
        raise GraphError(
            "balance: expected terms that meet where their gradients can be weighed, got "
            f"{', '.join(map(repr, fused))} out of one compiled graph or reentrant checkpoint; use "
            "balance.fork inside of it, or compile what comes before and after that place apart"
        )


def met(borders: Sequence[Border], graph: Graph) -> Bottleneck | None:
    """The place that the borders lead into, if it is one: a batch of one term has no other.

    Example:
        >>> import torch
        >>> shared, own = (torch.ones(1, requires_grad=True) for _ in range(2))
        >>> z = shared * 1.0
        >>> graph = Graph({"a": (z * own).sum()})
        >>> met(graph.borders(lambda one: one is shared)[0], graph).name
        'MulBackward0'
    """
    into = list(dict.fromkeys(one.into for one in borders))
    if len({node for node, _ in into}) != 1 or not into[0][0].next_functions:
        return None  # a parameter itself is no place: hooks there fire once for all terms
    terms = {one.term for one in borders}
    return Bottleneck(
        edges=tuple(GradientEdge(*key) for key in into),
        name=into[0][0].name(),
        terms=tuple(name for name in graph.terms if name in terms),
        ignored=tuple(name for name in graph.terms if name not in terms),
    )


def price_of(place: Bottleneck | None, borders: Sequence[Border], inside: Sequence[str]) -> int:
    """Which way of measuring a graph allows, from the dearest to the cheapest.

    Returns:
        2: in the training's own pass, as at a fork. 1: one pass a term, from the terms to the
        bottleneck, as nothing shared lies beside it. 0: one pass a term to the shared parameters.

    Example:
        >>> price_of(None, [], [])
        0
    """
    if place is None:
        return 0
    keys = {(edge.node, edge.output_nr) for edge in place.edges}
    if not inside and all(one.into in keys for one in borders):
        return 2
    beside = place.beside or any(one.term in place.ignored for one in borders)
    return 0 if beside else 1


@contextmanager
def weighed(borders: Sequence[Border], weights: Mapping[str, Tensor]) -> Generator[None]:
    """Backward passes inside multiply each term's gradient with its weight at the borders.

    What a term uses alone, such as the parameters of its head, keeps its unscaled gradient.

    Args:
        borders: Where; of the graph that is passed backward.
        weights: A scalar for each term.

    Example:
        >>> import torch
        >>> from poise.probe import Graph
        >>> shared, own = (torch.ones(1, requires_grad=True) for _ in range(2))
        >>> terms = {"a": (shared * own).sum(), "b": shared.sum()}
        >>> with weighed(Graph(terms).borders()[0], dict.fromkeys(terms, torch.tensor(3.0))):
        ...     sum(terms.values()).backward()
        >>> shared.grad, own.grad
        (tensor([6.]), tensor([1.]))
    """
    with ExitStack() as stack:
        for one in borders:
            weight = weights[one.term]
            stack.callback(hooked(one, lambda got, by=weight: sum_of([got], [by])))
        yield


@contextmanager
def gathered(borders: Sequence[Border], place: Bottleneck, home: Home) -> Generator[None]:
    """A backward pass inside is at the bottleneck what it is at a fork.

    Each term's gradient is taken where it enters the bottleneck; there the home is asked for
    weights, and the weighted sum is passed on in place of the plain one.

    Args:
        borders: All of them lead into the bottleneck.
        place: The bottleneck of the graph that is passed backward.
        home: As that of a fork of `place.terms`.

    Example:
        >>> import torch
        >>> from poise.probe import Fork, Graph
        >>> split, z = Fork(["a", "b"]), torch.ones(2, requires_grad=True) * 1.0
        >>> terms = {"a": z.sum(), "b": 4 * z.sum()}
        >>> graph = Graph(terms)
        >>> with gathered(graph.borders()[0], graph.bottleneck(), split):
        ...     sum(terms.values()).backward()
        >>> split.last.shares
        {'a': 0.2, 'b': 0.8}
    """
    keys: list[Key] = [(edge.node, edge.output_nr) for edge in place.edges]
    pieces: dict[Key, dict[str, Tensor]] = {key: {} for key in keys}

    def take(border: Border) -> Callable[[Tensor], None]:
        def keep(got: Tensor) -> None:
            own = pieces[border.into]
            own[border.term] = own[border.term] + got if border.term in own else got

        return keep

    def replace(arrived: Arrived) -> Arrived:
        groups = [[pieces[key].get(name) for name in place.terms] for key in keys]
        reading = measured(place.terms, home, groups) if home.wants_reading() else None
        weights = home.weigh(reading, groups)
        if reading is not None:
            home.tell(reading)
        found = list(arrived)
        for (_, nr), group in zip(keys, groups, strict=True):
            found[nr] = sum_of(group, weights)
        for one in pieces.values():
            one.clear()
        return tuple(found)

    with ExitStack() as stack:
        for one in borders:
            stack.callback(hooked(one, take(one)))
        stack.callback(before(keys[0][0], replace))
        yield


def everything_back(graph: Graph, factors: Tensor | None, names: Sequence[str]) -> None:
    """One backward pass of all terms, each starting from its factor; None: from 1.

    Example:
        >>> import torch
        >>> shared = torch.ones(1, requires_grad=True)
        >>> graph = Graph({"a": shared.sum(), "b": shared.sum()})
        >>> everything_back(graph, torch.tensor([2.0, 3.0]), ("a", "b"))
        >>> shared.grad
        tensor([5.])
    """
    there = {name: one for name, one in graph.terms.items() if one.requires_grad}
    by = dict.fromkeys(names, 1.0)
    if factors is not None:
        by = dict(zip(names, numbers(factors), strict=True))
    seeds = [torch.full_like(one, by[name]) for name, one in there.items()]
    torch.autograd.backward(list(there.values()), seeds)


def hooked(border: Border, look: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
    """Calls `look` with the gradient that crosses a border; what it returns takes its place.

    Returns:
        What takes the hook away again.
    """

    def swap(gradients: Arrived) -> Arrived | None:
        got = gradients[border.at]
        new = None if got is None else look(got)
        if new is None:
            return None
        return (*gradients[: border.at], new, *gradients[border.at + 1 :])

    if border.handing:
        return before(border.node, swap)
    return after(border.node, swap)


def before(node: Node, swap: Callable[[Arrived], Arrived | None]) -> Callable[[], None]:
    """Calls `swap` with the gradients that an operation receives."""
    return cast(Any, node).register_prehook(swap).remove


def after(node: Node, swap: Callable[[Arrived], Arrived | None]) -> Callable[[], None]:
    """Calls `swap` with the gradients that an operation passes on."""

    def hook(passed_on: Arrived, _: Arrived) -> Arrived | None:
        return swap(passed_on)

    return cast(Any, node).register_hook(hook).remove
