"""From many comparisons to one verdict: is there one factor and one offset for all inputs?"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from torch import Tensor

from poise.card.same_judge import Match


class Verdict(StrEnum):
    """What two losses are to each other, the closest first."""

    IDENTICAL = "identical"
    OFFSET = "offset"
    SCALED = "scaled"
    SAME_DIRECTION = "same direction"
    DIFFERENT = "different"

    @property
    def rank(self) -> int:
        """0 for identical to 4 for different."""
        return list(Verdict).index(self)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How B follows from A at the inputs that were compared: B = factor x A + offset.

    Attributes:
        verdict: The closest relation that explains them all.
        factor: The factor of the gradients; None if it depends on the input.
        offset: What B adds; None if it depends on the input.
        error: Rounding error of the factor.
        span: Smallest and largest factor that was seen.
    """

    verdict: Verdict
    factor: float | None = None
    offset: float | None = None
    error: float = 0.0
    span: tuple[float, float] = (1.0, 1.0)


def relation(matches: Sequence[Match]) -> Relation:
    """The relation that explains matches without a clash, all at one shape.

    Example:
        >>> relation([]).verdict
        <Verdict.IDENTICAL: 'identical'>
    """
    told = [one for one in matches if one.factor == one.factor]
    best = min(told, key=lambda one: one.factor_error / one.factor, default=None)
    if best is None:
        return _valued(matches, 1.0, 0.0, (1.0, 1.0))
    span = (min(one.factor for one in told), max(one.factor for one in told))
    if not all(_near(one, best) for one in told):
        return Relation(verdict=Verdict.SAME_DIRECTION, span=span)
    factor = 1.0 if abs(best.factor - 1) <= 2 * best.factor_error else best.factor
    return _valued(matches, factor, best.factor_error, span)


def merged(relations: Sequence[Relation]) -> Relation:
    """One relation for several shapes, the first of which is the example's.

    Factors that differ from shape to shape are no constant: the first is given, and `span`.

    Example:
        >>> one = Relation(verdict=Verdict.SCALED, factor=2.0, offset=0.0, span=(2.0, 2.0))
        >>> two = Relation(verdict=Verdict.SCALED, factor=4.0, offset=0.0, span=(4.0, 4.0))
        >>> merged([one, two]).factor, merged([one, two]).span
        (2.0, (2.0, 4.0))
    """
    worst = max((one.verdict for one in relations), key=lambda one: one.rank)
    span = (min(one.span[0] for one in relations), max(one.span[1] for one in relations))
    if worst.rank >= Verdict.SAME_DIRECTION.rank:
        factors = {one.factor for one in relations}
        only = factors.pop() if len(factors) == 1 else None
        return Relation(verdict=worst, span=span, factor=only)
    first = relations[0]
    return Relation(
        verdict=worst, factor=first.factor, offset=first.offset, error=first.error, span=span
    )


def _near(one: Match, best: Match) -> bool:
    return abs(one.factor - best.factor) <= 2 * (one.factor_error + best.factor_error)


def _valued(
    matches: Sequence[Match], factor: float, error: float, span: tuple[float, float]
) -> Relation:
    """Whether the values follow the same factor, with one offset for all inputs."""
    gaps = [_gap(one, factor, error) for one in matches if one.finite and not one.skipped]
    if all(gap.abs().max().item() <= slack for gap, slack in gaps):
        verdict = Verdict.IDENTICAL if factor == 1 else Verdict.SCALED
        return Relation(verdict=verdict, factor=factor, offset=0.0, error=error, span=span)
    best, least = min(gaps, key=lambda one: one[1])
    offset = best.mean().item()
    if all((gap - offset).abs().max().item() <= slack + least for gap, slack in gaps):
        verdict = Verdict.OFFSET if factor == 1 else Verdict.SCALED
        return Relation(verdict=verdict, factor=factor, offset=offset, error=error, span=span)
    if all(one.factor != one.factor for one in matches):
        return Relation(verdict=Verdict.DIFFERENT, span=span)
    return Relation(verdict=Verdict.SAME_DIRECTION, factor=factor, span=span)


def _gap(one: Match, factor: float, error: float) -> tuple[Tensor, float]:
    """What B has beyond the factor, and how much of it rounding may explain."""
    a, b = one.a.value, one.b.value
    peak = a.abs().max().item() if a.numel() else 0.0
    slack = one.value_errors[1] + factor * one.value_errors[0] + 2 * error * peak
    return b - factor * a, slack
