"""Suggestions that the report tests print."""

from poise.doctor.case import Case
from poise.doctor.suggest import Suggestion, suggestion
from poise.doctor.wish import Wish
from tests.report.probed import probed_run


def offer() -> Suggestion:
    """Equal shares for two of the three terms of the probed run."""
    return suggestion(Case(probed_run()), {"cls": 1, "reg": 1})


def with_wish() -> Suggestion:
    """The same with a term that lags behind, of a name that is no plain text."""
    one = Wish(
        term="re\x1b[31mg",
        where="at the shared parameters ('trunk.0')",
        share=0.1,
        fall=0.5,
        low=0.4,
        high=0.6,
        steps=100,
        goal=0.3,
        gain=9.06,
        needed=None,
        wish=0.75,
        unit=2.5,
        confidence="fair",
    )
    found = offer()
    return Suggestion(
        source=found.source,
        where=found.where,
        probes=found.probes,
        steps=found.steps,
        weights=found.weights,
        terms=found.terms,
        wishes=(one,),
    )
