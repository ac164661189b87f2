"""What a finding is about and where in the run, as the heading of a finding says it."""

from poise.doctor.finding import Finding
from poise.report import plain
from poise.run import Kind, Run

COLUMNS = frozenset(
    {
        Kind.LEARNING_RATE,
        Kind.GRAD_NORM,
        Kind.LOSS_SCALE,
        Kind.WEIGHT,
        Kind.COUNT,
        Kind.CLOCK,
        Kind.POSITION,
    }
)
"""Kinds of which a name is a column of the log, where nothing that trains is called so."""


def is_column(one: Finding, run: Run) -> bool:
    """Whether a finding is about columns such as `lr`, not about terms, statistics or modules."""
    kinds = {name: series.kind for table in run.tables for name, series in table.series.items()}
    return bool(one.terms) and all(kinds.get(name) in COLUMNS for name in one.terms)


def subject(one: Finding, run: Run, most: int) -> str:
    """What it is about, in words that follow the fault class; empty if it names nothing.

    Example: `in type, ptr and 2 more` for terms, `(column lr)` for a learning rate.
    """
    if not one.terms:
        return ""
    named = plain.listed(one.terms, most=most)
    if is_column(one, run):
        return f"(column{'' if len(one.terms) == 1 else 's'} {named})"
    return f"in {named}"


def where(one: Finding, run: Run) -> str:
    """First and last step in words; the end is called so, for summaries call it so.

    Example: `steps 50 to 299, the end`.
    """
    train = run.train if run.tables else None
    if train is None or not len(train):
        return plain.span(one.steps)
    said = plain.span(one.steps, plain.name(train.step_name, 16))
    first, last = one.steps
    inside = int(train.steps.min()) < first < last == int(train.steps.max())
    return f"{said}, the end" if inside else said
