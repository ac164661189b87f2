"""Learning rates: those the optimizer has, and those a training says it has."""

from poise.doctor.case import Case
from poise.run import Kind, Series, Table


def acting_rates(case: Case, table: Table) -> list[Series]:
    """The learning rates that act: in a watched run those of the optimizer's groups alone.

    What the training logs itself under the name of a learning rate may be another number: see
    `lr-not-as-logged`. Where no optimizer was watched, what is logged is all there is.
    """
    found = [one for one in table.of_kind(Kind.LEARNING_RATE) if len(one)]
    own = [one for one in found if _own(one.name)]
    return own if own and _watched(case) else found


def logged_rates(case: Case, table: Table) -> list[Series]:
    """The learning rates that a watched training logs beside those of its optimizer."""
    if not _watched(case):
        return []
    found = [one for one in table.of_kind(Kind.LEARNING_RATE) if len(one)]
    return [one for one in found if not _own(one.name)]


def _own(name: str) -> bool:
    """True for the names that the record gives the rates of the optimizer's groups."""
    return name == "lr" or (name.startswith("lr/") and name[3:].isdigit())


def _watched(case: Case) -> bool:
    return bool(case.run.declared.get("watch")) and bool(case.run.declared.get("optimizers"))
