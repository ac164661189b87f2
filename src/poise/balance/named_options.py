"""Options that have one number a term, given by name."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch

from poise.balance.balancer import Machinery
from poise.balance.names import known
from poise.errors import BalanceError, TermNameError


def by_term(
    who: str,
    options: Mapping[str, object],
    terms: Sequence[str],
    names: Sequence[str],
    spared: Sequence[str] = (),
) -> dict[str, Any]:
    """Options in which each dict by name is the vector of the present terms.

    Args:
        who: Whose options they are, for errors.
        options: Name to value.
        terms: The present terms.
        names: All terms.
        spared: Terms that such an option has no number for.

    Raises:
        BalanceError: An option is NaN, which most comparisons would let pass.
        TermNameError: A dict names an unknown term or leaves one out.

    Example:
        >>> by_term("stch", {"mu": 1.0, "weights": {"a": 0.2, "b": 0.8}}, ["b"], ["a", "b"])
        {'mu': 1.0, 'weights': tensor([0.8000], dtype=torch.float64)}
    """
    made: dict[str, Any] = {}
    for key, value in options.items():
        if not isinstance(value, Mapping):
            if isinstance(value, float) and math.isnan(value):
                raise BalanceError(f"{who}: expected a number in option {key!r}, got nan; pass one")
            made[key] = value
            continue
        numbers = cast(Mapping[str, float], value)
        known(f"option {key} of {who}", numbers, names)
        lacking = [name for name in names if name not in numbers and name not in spared]
        if lacking:
            raise TermNameError(
                f"{who}: expected a number for every term in option {key!r}, got none for "
                f"{', '.join(map(repr, lacking))}; add it"
            )
        picked = [numbers[name] for name in terms if name not in spared]
        made[key] = torch.tensor(picked, dtype=torch.float64)
    return made


def split(options: dict[str, object]) -> Machinery:
    """Takes those options out that are meant for `Balancer`.

    Example:
        >>> options = {"alpha": 0.5, "every": 10}
        >>> split(options), options
        ({'every': 10}, {'alpha': 0.5})
    """
    own = {key: options.pop(key) for key in Machinery.__annotations__ if key in options}
    return cast(Machinery, own)
