"""The gradients of all terms where the terms meet: at the shared parameters or just before them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.optim import Optimizer

from poise.probe.bottleneck import Bottleneck
from poise.probe.gradients import Gradients, passed, reading_of
from poise.probe.graph import Graph
from poise.probe.guard import guard
from poise.probe.half import has_half, passed_scaled
from poise.probe.update import UpdateShare, total_of, update_share, weighted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """What the terms do to the parameters that they share.

    Attributes:
        gradients: Their weighted gradients at all shared parameters; `where` is `shared`.
        update: Their shares of the coming update; None if no optimizer was given.
        sums: Sum of the weighted gradients at each shared parameter, dense and in single precision
            or wider; None where there is none.
    """

    gradients: Gradients
    update: UpdateShare | None = None
    sums: Sequence[Tensor | None] = ()

    def to_record(self) -> dict[str, object]:
        """The keys of a `probe` record that both fill."""
        return self.gradients.to_record() | (self.update.to_record() if self.update else {})


def at_shared(
    graph: Graph,
    *,
    weights: Mapping[str, float] | None = None,
    optimizer: Optimizer | None = None,
    scale: float | None = None,
) -> Shared:
    """Measures every term at all parameters that two terms or more reach.

    One backward pass a term through the whole graph, before the training's own: about K times the
    cost of a backward pass and K times the memory of the shared parameters.

    Args:
        graph: The graph of this step.
        weights: Weight by term; 1.0 where absent.
        optimizer: Also measure update shares with its preconditioner.
        scale: Loss scale to pass backward with and to divide out again, so that float16 gradients
            do not vanish. None: a power of two for each term where the graph holds float16,
            lowered as long as a gradient overflows, and 1 elsewhere.

    Raises:
        GraphError: The graph was freed, or holds a reentrant checkpoint or compiled loss.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> out = model(torch.ones(1, 2))
        >>> graph = Graph({"a": out.sum(), "b": -3 * out.sum()}, model)
        >>> at_shared(graph).gradients.direction_shares
        {'a': -0.5, 'b': 1.5}
    """
    parameters = list(graph.shared.values())
    rows, factors, gradients = _measured(
        graph, parameters, tuple(graph.shared), "shared", weights=weights, scale=scale
    )
    there = {name: rows[name] for name in gradients.terms}
    update = None if optimizer is None else update_share(optimizer, parameters, there, factors)
    by = [factors[name] for name in there]
    at_each = zip(*there.values(), strict=True)
    sums = [total_of(weighted(pieces, by)) for pieces in at_each]
    return Shared(gradients=gradients, update=update, sums=sums)


def at_bottleneck(
    graph: Graph,
    place: Bottleneck,
    *,
    weights: Mapping[str, float] | None = None,
    scale: float | None = None,
) -> Gradients:
    """Measures every term at the one tensor that carries all terms to the shared parameters.

    Each pass runs only through what comes after that tensor, usually a head.

    Args:
        graph: The graph of this step.
        place: What `graph.bottleneck()` found.
        weights: Weight by term; 1.0 where absent.
        scale: As in `at_shared`.

    Raises:
        GraphError: The graph was freed, or the part after the tensor cannot be passed backward.

    Example:
        >>> import torch
        >>> trunk, heads = torch.nn.Linear(2, 2), torch.nn.ModuleList([torch.nn.Linear(2, 1)] * 2)
        >>> z = trunk(torch.ones(1, 2))
        >>> graph = Graph({"a": heads[0](z).sum(), "b": heads[1](z).sum()}, trunk)
        >>> place = graph.bottleneck()
        >>> at_bottleneck(graph, place, weights={"b": 3.0}).shares["b"].__round__(6)
        0.75
    """
    return _measured(
        graph, place.edges, (place.name,) * len(place.edges), "edge", weights=weights, scale=scale
    )[2]


def _measured(
    graph: Graph,
    places: Sequence[Tensor | GradientEdge],
    names: tuple[str, ...],
    where: str,
    *,
    weights: Mapping[str, float] | None,
    scale: float | None,
) -> tuple[dict[str, Sequence[Tensor | None]], dict[str, float], Gradients]:
    """Each term's scaled gradient, weight over scale by term, and the reading without the scale."""
    start = time.perf_counter()
    with guard(graph.model):  # a checkpoint inside runs its forward pass again
        found = _rows(graph, places, weights or {}, scale)
    known = {name: float((weights or {}).get(name, 1.0)) for name in found}
    factors = {name: known[name] / by for name, (_, by) in found.items()}
    rows = {name: row for name, (row, _) in found.items()}
    seconds = time.perf_counter() - start
    reading = reading_of(list(rows.values()), factors, names=names, where=where, seconds=seconds)
    plain = {name: known[name] for name in reading.terms}
    return rows, factors, replace(reading, weights=plain)


def _rows(
    graph: Graph,
    places: Sequence[Tensor | GradientEdge],
    weights: Mapping[str, float],
    scale: float | None,
) -> dict[str, tuple[Sequence[Tensor | None], float]]:
    """By term, its gradient times a scale, and the scale."""
    terms = graph.terms.items()
    if scale is None and has_half(graph.nodes()):
        return {k: passed_scaled(k, one, places, float(weights.get(k, 1.0))) for k, one in terms}
    by = 1.0 if scale is None else scale
    return {name: (passed(name, term, places, by), by) for name, term in terms}
