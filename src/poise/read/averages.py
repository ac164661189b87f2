"""What probes tell of averages of the weights: how slowly they follow, all in all."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from poise.record.schema import Record, number

COPIED = 1e-3
"""An average that keeps less than this of itself was set to the weights: it starts there."""

Point = tuple[int, float]
"""Step, and what one update kept there."""


def averages_of(records: Sequence[Record]) -> dict[str, object]:
    """Declarations on averages of the weights, from the key `averages` of probe records.

    Args:
        records: Probe records, in order, each with a step.

    Returns:
        `averages`: by name, `decay`, as `decay_of` has it, and `follows` as it was seen last;
        `ema_decay`: the decay of the slowest average. Empty if no probe tells of any.

    Example:
        >>> record = {"step": 4, "averages": {"ema": {"decay": 0.99, "follows": 0.25}}}
        >>> averages_of([record])
        {'averages': {'ema': {'decay': 0.99, 'follows': 0.25}}, 'ema_decay': 0.99}
    """
    points: dict[str, list[Point]] = {}
    found: dict[str, dict[str, float]] = {}
    for record in records:
        for name, told in _pairs(record.get("averages")).items():
            seen = {key: number(one) for key, one in _pairs(told).items() if one is not None}
            known = found.setdefault(name, {})
            if (follows := seen.get("follows")) is not None:
                known["follows"] = follows
            decay = seen.get("decay")
            if decay is not None and 0 <= decay <= 1:
                points.setdefault(name, []).append((cast(int, record["step"]), decay))
    for name, one in points.items():
        if (decay := decay_of(one)) is not None:
            found[name] = {"decay": decay, **found[name]}
    decays = [one["decay"] for one in found.values() if "decay" in one]
    declared: dict[str, object] = {"averages": found} if any(found.values()) else {}
    return declared | ({"ema_decay": max(decays)} if decays else {})


def decay_of(points: Sequence[Point]) -> float | None:
    """The constant decay that keeps as much of the start as a changing one did.

    An average whose decay is warmed up forgets its start although the last decay seen is close to
    1. What is kept of the start is the product over all steps: the logarithm is taken to be
    straight between two probes. Steps at which the average was set to the weights are left out.

    Args:
        points: Steps and decays in the order of the record.

    Returns:
        The geometric mean over the steps; None without any point.

    Example:
        >>> decay_of([(0, 0.5), (10, 0.5)]), round(decay_of([(0, 0.25), (10, 1.0)]), 3)
        (0.5, 0.5)
    """
    kept = sorted((step, math.log(decay)) for step, decay in points if decay >= COPIED)
    if not kept:
        return None
    way = kept[-1][0] - kept[0][0]
    if not way:
        return math.exp(sum(log for _, log in kept) / len(kept))
    area = sum((b - a) * (first + last) / 2 for (a, first), (b, last) in pairwise(kept))
    return math.exp(area / way)


def _pairs(value: object) -> Record:
    return cast(Record, value) if isinstance(value, dict) else {}
