"""Suggested weights in words: one table of terms and a few lines under it."""

from collections.abc import Iterator

from poise.doctor.suggest import Spread, Suggested, Suggestion
from poise.report import plain

Row = tuple[str, ...]
MORE = "Watch(every=10, budget=0.2) measures more often"
"""What to do where one probe says nothing about the run."""
SOURCES = {
    "given": "the shares that were asked for",
    "declared shares": "the declared shares",
    "weights": "gradient shares like the weights",
}


def title(found: Suggestion) -> str:
    """What the weights are for and what they rest on.

    Example:
        >>> title(Suggestion(source="weights", where="at the fork 'z'", probes=1, steps=(0, 0)))
        "for gradient shares like the weights, at the fork 'z'; 1 probe, step 0: no spread; ..."
    """
    often = "1 probe" if found.probes == 1 else f"medians of {found.probes:,} probes"
    what = SOURCES.get(found.source, found.source)
    text = f"for {what}, {plain.plain(found.where)}; {often}, {plain.span(found.steps)}"
    return f"{text}: no spread; {MORE}" if found.probes == 1 else text


def rows(found: Suggestion) -> list[Row]:
    """A heading and a row for each term: its wish, what it had, its weight, what that gives."""
    head = ("term", "wished %", "had %", "weight", "quartiles", "gives %")
    return [head, *(_row(found, one) for one in found.terms)]


def _row(found: Suggestion, one: Suggested) -> Row:
    return (
        plain.name(one.name, 24),
        plain.percent(one.wish),
        plain.percent(one.share.median),
        plain.brief(found.weights[one.name]),
        _range(one.suggested, found.probes),
        _given(one.expected, found.probes),
    )


def _range(one: Spread, probes: int) -> str:
    return "-" if probes == 1 else f"{plain.brief(one.low)} to {plain.brief(one.high)}"


def _given(one: Spread, probes: int) -> str:
    low, high = plain.percent(one.low), plain.percent(one.high)
    return low if probes == 1 else f"{low} to {high}"


def moves(found: Suggestion) -> str:
    """The terms whose right weight changes during the run, first and last quarter; mostly empty."""
    parts = (
        f"{plain.name(one.name)} {plain.brief(one.suggested.first)} -> "
        f"{plain.brief(one.suggested.last)}"
        for one in found.terms
        if one.moves
    )
    return ", ".join(parts)


def code(found: Suggestion) -> str:
    """The line to paste, escaped, never shortened."""
    return plain.plain(found.code)


def wished(found: Suggestion) -> Iterator[str]:
    """What was seen of each term that lags behind, and what would move it."""
    for one in found.wishes:
        text = f"{one.summary}. {one.action} Confidence: {one.confidence}."
        name = plain.plain(one.term)
        yield plain.plain(text).replace(name, plain.name(one.term))
