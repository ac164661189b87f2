"""A learning rate that is printed and one that is used."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.proofs import RATES
from poise.doctor.rates import acting_rates, logged_rates
from poise.doctor.rule import Need
from poise.doctor.series import multiple, number, steps_between
from poise.run import Floats, Series, Table

APART = 0.01
"""Relative difference from which two learning rates are not the same."""
OFTEN = 0.05
"""Part of the records in which they must differ."""
FACTOR = 2.0
"""How far apart they must be for a warning."""


@final
class LearningRateNotAsLogged:
    """The training logs a learning rate that its optimizer does not have.

    Who reads the log tunes a number that nothing uses; a learning rate of 0 can hide behind it.

    Statistic: a logged learning rate against those of the watched optimizer's groups at the same
    record and at its two neighbours. Threshold: more than 1% from all of them in a twentieth of the
    records, 3 at least. A warning if in half of these the optimizer's is 0 or the two are apart by
    a factor of 2, else a note.

    Healthy look-alikes: a rate that is logged after the scheduler's step (a neighbour's), one that
    is printed in other units (the same factor at every record: not reported), one of several
    parameter groups.
    """

    name: ClassVar[str] = "lr-not-as-logged"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every logged learning rate that is not the optimizer's."""
        table = case.train
        own = acting_rates(case, table)
        for one in logged_rates(case, table):
            nearest = _nearest(one, own)
            off = np.abs(one.values - nearest) > APART * np.abs(one.values)
            units = any(_in_units(one, group) for group in own)
            if off.sum() >= max(3.0, OFTEN * len(one)) and not units:
                yield _finding(table, one, nearest, off)


def _nearest(logged: Series, own: list[Series]) -> Floats:
    """For each logged value the nearest rate of any group, there or one record off."""
    found: list[Floats] = []
    for series in own:
        last = len(series) - 1
        at = np.searchsorted(series.rows, logged.rows)
        found += [series.values[np.clip(at + shift, 0, last)] for shift in (-1, 0, 1)]
    rates = np.stack(found)
    best = np.abs(rates - logged.values).argmin(axis=0)
    return rates[best, np.arange(len(logged))]


def _in_units(logged: Series, own: Series) -> bool:
    """True if one is the other times a constant, and both change."""
    rows, here, there = np.intersect1d(logged.rows, own.rows, return_indices=True)
    mine, theirs = logged.values[here], own.values[there]
    if not len(rows) or not (mine > 0).all() or not (theirs > 0).all():
        return False
    ratio = np.log(mine / theirs)
    return float(np.ptp(ratio)) < APART and float(np.ptp(np.log(theirs))) > APART


def _finding(table: Table, one: Series, own: Floats, off: NDArray[np.bool_]) -> Finding:
    logged, real = one.values[off], own[off]
    ratio = np.abs(np.log(np.maximum(np.abs(logged), 1e-300) / np.maximum(np.abs(real), 1e-300)))
    sure = bool(np.median(ratio) > np.log(FACTOR))
    steps = steps_between(table.steps_of(one)[off])
    top = int(ratio.argmax())
    apart = "" if real[top] == 0 else f", {multiple(float(np.exp(ratio[top])))} times apart"
    return Finding(
        rule=LearningRateNotAsLogged.name,
        fault=Fault.SCHEDULE,
        severity=Severity.WARNING if sure else Severity.NOTE,
        terms=(one.name,),
        steps=steps,
        summary=f"'{one.name}' is logged as {number(float(logged[top]))} where the optimizer has "
        f"{number(float(real[top]))}{apart}; they differ in {int(off.sum())} of {len(one)} records",
        evidence=(
            Evidence(
                text=f"logged {number(float(logged[top]))}, nearest rate of any parameter group "
                f"{number(float(real[top]))}",
                series=one.name,
                steps=steps,
                value=float(off.sum()),
                threshold=max(3.0, OFTEN * len(one)),
            ),
        ),
        cause="What is printed is a configured value or another function's, not what the "
        "optimizer's parameter groups hold. Expected if it is meant for another optimizer.",
        action="Log optimizer.param_groups[i]['lr'] instead, and find out why they differ: a "
        "scheduler that is not stepped, or a rate that is set nowhere.",
        verify=RATES,
    )
