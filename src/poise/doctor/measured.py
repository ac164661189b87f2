"""What the probes of a run say about a term's gradient, in words, for findings from values."""

import numpy as np

from poise.doctor.case import Case
from poise.doctor.intervals import Interval, mean_interval
from poise.doctor.probes import at, series_at, shares
from poise.doctor.series import named, number
from poise.doctor.shares import GRADIENT_UNKNOWN
from poise.run import Kind, Series

COSINES = 4
"""Probes from which a mean cosine is quoted with its interval."""
NEAR_ZERO = 0.1
"""Mean cosine from which two gradients count as opposed or aligned at all."""


def percent(share: float) -> str:
    """A share for people: as a whole percentage, or with two significant digits below 10%.

    Example:
        >>> percent(0.68), percent(0.012), percent(6.8e-6), percent(0.0)
        ('68%', '1.2%', '0.00068%', '0%')
    """
    if share >= 0.0995:
        return f"{share:.0%}"
    text = np.format_float_positional(float(f"{100 * share:.1e}"), trim="-")
    return f"{text}%"


def gradient_of(case: Case, term: str) -> str:
    """What is known of a term's gradient: its measured share, or that nothing was measured."""
    place = shares(case)
    if place is None:
        return "its gradient share is not known" if case.gradients_known else GRADIENT_UNKNOWN
    if term not in {one.name for one in case.terms}:
        return "see the gradient shares of its terms"
    if term not in place.names:
        return f"'{term}' sends no gradient to shared parameters"
    return f"'{term}' has {percent(place.median(term))} of the gradient {at(case, place, term)}"


def gradients_at(case: Case, terms: tuple[str, ...], step: int) -> str:
    """Gradient share of some terms together, before a step and from it on."""
    place = shares(case)
    known = [] if place is None else [one for one in terms if one in place.names]
    if place is None or not known:
        return gradient_of(case, terms[0]) if terms else GRADIENT_UNKNOWN
    whole = np.sum([place.of(one) for one in known], axis=0)
    early, late = whole[place.steps < step], whole[place.steps >= step]
    if not len(early) or not len(late):
        return gradient_of(case, known[0])
    return (
        f"the gradient share of {named(tuple(known))} goes from {percent(float(early[-3:].mean()))}"
        f" to {percent(float(late[:3].mean()))} there"
    )


def cosine(case: Case, first: str, second: str) -> Interval | None:
    """Mean cosine of two terms' gradients with its interval; None if it was hardly measured."""
    names = (f"cosine/{first}/{second}", f"cosine/{second}/{first}")
    found = [one for one in series_at(case, Kind.COSINE) if one.name.partition("@")[0] in names]
    best: Series | None = max(found, key=len, default=None)
    values = np.empty(0) if best is None else best.values[np.isfinite(best.values)]
    return mean_interval(values) if len(values) >= COSINES else None


def opposition(case: Case, first: str, second: str) -> tuple[str, str]:
    """What was measured between a term and one that may oppose it, and what to do then.

    Returns:
        Both in words, about the first term; empty if no gradients were measured at all.
    """
    place, found = shares(case), cosine(case, first, second)
    if place is None:
        return "", ""
    if first not in place.names:
        return gradient_of(case, first), f"Find out why '{first}' sends no gradient there."
    if found is None:
        return gradient_of(case, first), f"Measure longer: whether '{second}' opposes it is open."
    told = f"the cosine of its gradient with that of '{second}' is {number(found.mean)}"
    told += f" (95% interval {number(found.low)} to {number(found.high)}, {found.size} probes)"
    if found.high < 0 and found.mean < -NEAR_ZERO:
        return told, f"Separate the capacity of '{first}' and '{second}', or balance them."
    if found.low > -NEAR_ZERO:
        return told, f"'{second}' does not oppose it: check targets, sign and weight of '{first}'."
    return told, f"Measure longer: whether '{second}' opposes it is open. Check its targets first."
