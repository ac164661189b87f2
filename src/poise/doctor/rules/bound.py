"""A term that sits at a bound of its own."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.measured import gradient_of
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need
from poise.doctor.series import digits, finite, number, span
from poise.run import Floats, Series, Table

MOST = 0.5
"""Part of the records that repeat one value, the largest or smallest of all."""
RECORDS = 20
"""Records from which that is no accident."""
DIGITS = 6
"""Digits in which values are told apart somewhere in the term: printed shorter, they repeat."""


@final
class TermAtBound:
    """More than half of a term's values are one number, and none is beyond it.

    A clamp holds it: wherever the error is beyond the bound, the term says nothing about how to get
    back, and its gradient is 0.

    Statistic: how often the most extreme value of a term is repeated to the last bit. Thresholds:
    in more than half of 20 records or more, of a term with 6 digits that is not constant. A
    continuous loss repeats nothing.

    Healthy look-alikes: hinges, margins and penalties that are satisfied (the bound is 0: not
    judged), a training that has converged to the last bit (the smallest value from some record on,
    while no other term changes: not judged), counts and accuracies (few digits), roles other than
    task (not judged).
    """

    name: ClassVar[str] = "term-at-bound"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that a bound holds."""
        for one in case.terms:
            bound = _bound(one) if role_of(case, one.name) == "task" else None
            if bound is not None and not _at_rest(case, one, bound[0]):
                yield _finding(case, case.train, one, *bound)


def _bound(one: Series) -> tuple[float, float] | None:
    """The bound of a term and the part of its values that are there; None if it has none."""
    values: Floats = finite(one.values)
    if len(values) < RECORDS or np.ptp(values) == 0:
        return None
    for value in (float(values.max()), float(values.min())):
        part = np.count_nonzero(values == value) / len(values)
        if value != 0 and part > MOST:
            rest: list[float] = values[values != value].tolist()
            precise = any(digits(other) >= DIGITS for other in rest)
            return (value, part) if precise else None
    return None


def _at_rest(case: Case, one: Series, bound: float) -> bool:
    """True if a term stays at its smallest value to the end, and no other term changes there."""
    last = np.flatnonzero(one.values != bound)[-1] + 1
    if bound > finite(one.values).min() or last >= len(one):
        return False
    since = case.train.steps_of(one)[last]
    rest = (o.values[case.train.steps_of(o) >= since] for o in case.terms if o.name != one.name)
    return not any(len(values) and np.ptp(values) > 0 for values in rest)


def _finding(case: Case, table: Table, one: Series, bound: float, part: float) -> Finding:
    values = finite(one.values)
    other = values[values != bound]
    what = "above" if bound == values.max() else "below"
    return Finding(
        rule=TermAtBound.name,
        fault=TermAtBound.fault,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=span(table, one),
        summary=f"'{one.name}' is exactly {number(bound)} in {part:.0%} of its records and never "
        f"{what} it: a clamp holds it; {gradient_of(case, one.name)}",
        evidence=(
            Evidence(
                text=f"{part:.0%} of {len(values)} values are {bound:.9g} to the last bit, the "
                f"others lie between {number(float(other.min()))} and {number(float(other.max()))}",
                series=one.name,
                steps=span(table, one),
                value=part,
                threshold=MOST,
            ),
        ),
        cause="A clamp (`clamp`, `minimum`, a clipped ratio) cuts off what lies beyond it, and its "
        "gradient with it. Expected if that is meant and most samples are well inside.",
        action=f"Remove the clamp of '{one.name}', or take a loss that flattens without a corner, "
        "such as Huber in the unit of the error.",
        verify=gradient(one.name, "not 0 where the error is largest"),
        caused_by=("term-gradient-zero", "term-reaches-nothing"),
    )
