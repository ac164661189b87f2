"""Value shares: how much of the weighted sum of absolute values each term holds over time."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from poise.doctor.case import Case
from poise.doctor.hints import family
from poise.doctor.trace import Stretch, Trace
from poise.run import Floats, Ints, Kind

GRADIENT_UNKNOWN = "gradient unknown: attach poise.Watch to see it"
"""Said by every finding that compares values: who owns the value need not own the update."""


LARGEST = 1e290
"""Weighted values are cut here, so that their sum stays finite."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Value shares of the terms of one stretch.

    Attributes:
        names: The terms, k of them, without those of weight zero.
        values: Share of each term in each block, shape (b, k); a block's shares add up to 1.
        number: Which block of the stretch, shape (b,).
        known: True if every weight is declared or fitted; raw values were compared otherwise.
    """

    names: tuple[str, ...]
    values: Floats
    number: Ints
    known: bool

    def of(self, name: str) -> float:
        """Median share of one term; 0.0 if it is not part of the sum."""
        return float(np.median(self.values[:, self.names.index(name)])) if name in self.names else 0

    @cached_property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Terms by family: `loss_dice`, `loss_dice_0` ... are one."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(family(name), []).append(name)
        return {key: tuple(names) for key, names in found.items()}

    def of_family(self, key: str) -> Floats:
        """Summed share of a family in each block, shape (b,)."""
        columns = [self.names.index(name) for name in self.families[key]]
        return self.values[:, columns].sum(axis=1)


def known_weight(case: Case, name: str) -> float | None:
    """Declared weight of a term, or a fitted one that enough records support; None if unknown.

    As many records as terms are needed, and at least 5: fewer are fitted by any weights.
    """
    found = case.composition
    if found is None:
        return None
    entry = next((one for one in found.terms if one.name == name), None)
    enough = found.records >= max(5, len(found.terms))
    return entry.weight if entry is not None and (enough or entry.source == "declared") else None


def value_shares(case: Case, stretch: Stretch) -> Shares | None:
    """Value shares of the terms of one stretch; None where shares of value mean nothing.

    That is where fewer than two terms are ever non-zero, and where each term is divided by its own
    running mean, so that all weighted values are alike by construction. A term that a block does
    not mention has share 0 there. Logged weights are used block by block, else declared or fitted
    ones, else 1.
    """
    used = [
        (one, weight, known)
        for one in stretch.terms
        for weight, known in [_weight(case, stretch, one)]
        if not one.zero and np.any(weight != 0)
    ]
    if len(used) < 2 or case.normaliser is not None:
        return None
    number = np.unique(np.concatenate([one.number for one, _, _ in used]))
    table = np.zeros((len(number), len(used)))
    for k, (one, weight, _) in enumerate(used):
        with np.errstate(over="ignore"):
            weighted = np.minimum(np.abs(one.mid * weight), LARGEST)
        table[np.searchsorted(number, one.number), k] = weighted
    full = table.sum(axis=1) > 0
    table, number = table[full], number[full]
    return Shares(
        names=tuple(one.name for one, _, _ in used),
        values=table / table.sum(axis=1, keepdims=True),
        number=number,
        known=all(known for _, _, known in used),
    )


def _weight(case: Case, stretch: Stretch, term: Trace) -> tuple[Floats, bool]:
    """Weight of a term in each of its blocks, shape (b,) or (1,), and whether it is known."""
    weights = case.train.of_kind(Kind.WEIGHT)
    series = next((one for one in weights if one.of == term.name), None)
    logged = stretch.traces.get(series.name) if series is not None else None
    if logged is not None:
        near = np.searchsorted(logged.number, term.number, side="right") - 1
        return logged.mid[np.maximum(near, 0)], True
    weight = known_weight(case, term.name)
    return np.array([1.0 if weight is None else weight]), weight is not None
