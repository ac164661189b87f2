"""The breakdown of several batches together."""

from collections.abc import Iterable

import torch
from torch import Tensor

from poise.errors import TermError
from poise.objective.breakdown import Breakdown, Entry, Standing
from poise.reduce import combine


def average(breakdowns: Iterable[Breakdown]) -> Breakdown:
    """What one evaluation over all batches would have given, without graph.

    Terms that know their counts are combined by sums and counts, so a short last batch weighs as
    little as it should. Terms without counts are averaged plainly over the batches that have them.

    Args:
        breakdowns: At least one, of one objective with the same weights: not of calls with `counts`
            for accumulation, whose values are parts already.

    Returns:
        Value, weight and count of every term over all batches; the total is their weighted sum.

    Raises:
        TermError: There is no breakdown, or their terms or weights differ.

    Example:
        >>> from poise.objective import Objective, Term
        >>> from poise.reduce import masked_mean
        >>> objective = Objective(Term("mae", masked_mean))
        >>> batches = torch.ones(8), torch.full((2,), 6.0)
        >>> average(objective.evaluate(batch) for batch in batches).total
        tensor(2.)
    """
    given = tuple(breakdowns)
    if not given:
        raise TermError("average: expected at least one Breakdown, got none")
    first = given[0]
    for one in given[1:]:
        if one.weights != first.weights:
            raise TermError(
                f"average: expected the same terms and weights in all batches, got {first.weights} "
                f"and {one.weights}; evaluate all batches at one step"
            )
    entries = tuple(_together([one[name] for one in given]) for name in first)
    weighted = [one.weighted for one in entries if one.weighted is not None]
    total = sum(weighted[1:], weighted[0]) if weighted else torch.zeros_like(first.total)
    return Breakdown(
        total=total.detach(),
        entries=entries,
        step=first.step,
        changed=first.changed,
        declared=first.declared,
    )


def _together(entries: list[Entry]) -> Entry:
    name, role, weight = entries[0].name, entries[0].role, entries[0].weight
    present = [one for one in entries if one.value is not None]
    if not present:
        return Entry(name=name, role=role, weight=weight, standing=entries[0].standing)
    parts = [one.part.detach() for one in present if one.part is not None]
    whole = combine(parts) if len(parts) == len(present) else None
    values = [one.value.detach() for one in present if one.value is not None]
    value = whole.value if whole else torch.stack(values).mean()
    counted = present[0].standing is Standing.COUNTED
    return Entry(
        name=name,
        role=role,
        standing=present[0].standing,
        weight=weight,
        value=value,
        weighted=weight * value if counted else None,
        count=whole.count if whole and isinstance(whole.count, Tensor) else None,
        part=whole,
    )
