"""Each term's gradient at the shared parameters, where no one tensor carries all terms."""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from poise.balance.ranks import added, averaged
from poise.balance.rule import GradientRule
from poise.errors import BalanceError
from poise.probe.bottleneck import Bottleneck
from poise.probe.collective import processes
from poise.probe.gradients import Gradients, passed, reading_of
from poise.probe.graph import Graph
from poise.probe.guard import guard
from poise.probe.half import has_half, passed_scaled
from poise.probe.shared import at_bottleneck
from poise.probe.typed import flags


def reading_of_passes(
    graph: Graph,
    place: Bottleneck | None,
    model: nn.Module | None,
    names: Sequence[str] | None = None,
) -> tuple[Gradients, dict[str, Tensor] | None]:
    """One backward pass a term, before the training's own.

    Args:
        graph: The graph of this step.
        place: Measure here, if everything shared lies behind it; None: at the shared parameters.
        model: Owns the parameters; with several processes it must be given, so that all mean the
            same parameters.
        names: All terms that a process may have, in order; None: those of the graph.

    Returns:
        The reading; and the parameters by name, if it is that of all processes already.

    Raises:
        BalanceError: Several processes and no model.
        GraphError: The graph was freed, or cannot be passed backward more than once.

    Example:
        >>> p = torch.ones(2, requires_grad=True)
        >>> reading_of_passes(Graph({"a": p.sum(), "b": 4 * p.sum()}), None, None)[0].shares
        {'a': 0.2, 'b': 0.8}
    """
    if place is not None:
        return at_bottleneck(graph, place), None
    parameters = _shared(graph, model)
    present = _present(graph, graph.terms if names is None else names)
    with guard(model):
        rows = {name: _row(graph, name, list(parameters.values())) for name in present}
    reading = reading_of(
        list(rows.values()),
        dict.fromkeys(rows, 1.0),
        names=tuple(parameters),
        where="shared",
        seconds=0.0,
    )
    return reading, parameters


def refuse_samples(rule: GradientRule) -> None:
    """Refuses a rule that needs single samples: at parameters there are none.

    Raises:
        BalanceError: It does.

    Example:
        >>> from poise.balance.share import ShareRule
        >>> refuse_samples(ShareRule({"a": 1.0}))
    """
    if rule.per_sample:
        raise BalanceError(
            "balance: per_sample needs one tensor that carries all terms, and there is none; "
            "use balance.fork at a tensor, or per_sample=False"
        )


def _present(graph: Graph, names: Iterable[str]) -> list[str]:
    """The terms that some process has, in one order for all: each is a collective."""
    here = torch.tensor([float(name in graph.terms) for name in names])
    there = flags(added(here) > 0)
    return [name for name, one in zip(names, there, strict=True) if one]


def _row(graph: Graph, name: str, parameters: list[Tensor]) -> list[Tensor | None]:
    term = graph.terms.get(name)
    if term is None:
        plain: list[Tensor | None] = [None] * len(parameters)
    elif has_half(graph.nodes()):
        row, scale = passed_scaled(name, term, parameters)
        plain = [None if one is None else one.float() / scale for one in row]
    else:
        plain = list(passed(name, term, parameters))
    return averaged(plain, parameters)


def _shared(graph: Graph, model: nn.Module | None) -> dict[str, Tensor]:
    """The parameters that two terms reach, on this process or on another."""
    if processes() == 1:
        return graph.shared
    if model is None:
        raise BalanceError(
            "balance: several processes have to measure the same parameters; expected "
            "backward(terms, model=model), got no model"
        )
    every = {name: one for name, one in model.named_parameters() if one.requires_grad}
    here = torch.tensor([name in graph.shared for name in every], dtype=torch.int32)
    device = next(iter(every.values())).device
    there = here.to(device)
    dist.all_reduce(there, op=dist.ReduceOp.MAX)  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    return {
        name: one for (name, one), k in zip(every.items(), flags(there.bool()), strict=True) if k
    }
