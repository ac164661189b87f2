"""What was found about a total, in the words of a run."""

from poise.read.weights.problem import Fit
from poise.run import Composition, TermWeight


def spelled(total: str, fitted: list[str], found: Fit, terms: list[str]) -> Composition:
    """A fit as a composition.

    Args:
        total: Name of the total.
        fitted: The terms that took part in the fit, in its order.
        found: The fit.
        terms: The terms to tell of; the weight of those that were not fitted is unknown.
    """
    weights = dict(zip(fitted, found.weights, strict=True))
    entries = tuple(
        TermWeight(
            name=one,
            weight=weights.get(one),
            source="unknown" if weights.get(one) is None else "fitted",
        )
        for one in terms
    )
    return composition(total, entries, found)


def composition(total: str, terms: tuple[TermWeight, ...], found: Fit) -> Composition:
    """A composition with given terms and what a fit says about it."""
    return Composition(
        total=total,
        terms=terms,
        residual=found.residual,
        tolerance=found.tolerance,
        exact=found.exact,
        remainder=found.remainder,
        records=found.records,
        why=found.why,
    )
