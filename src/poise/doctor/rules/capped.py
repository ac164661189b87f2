"""An exponential that is cut off, so that it says the same whatever happens."""

from collections.abc import Iterator
from math import exp, log
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import digits, longest, named, number, steps_between
from poise.run import Kind, Series, Table

CAPS = range(5, 101)
"""Exponents that people cut off at; exp(100) is beyond any use, exp(5) may be a value."""
RECORDS = 3
"""Records in a row that repeat it."""
DIGITS = 6
"""Significant digits in which it must agree."""


@final
class ExponentialAtCap:
    """A logged exponential sits at its cap: 485165195.41 = exp(20), evaluation after evaluation.

    Perplexity is often computed as exp(min(loss, 20)). From a loss of 20 on the number is a
    constant and says nothing; and a language model does not come near 20 nats per token, so most
    often it is the total of all terms that was put in, which is no perplexity at all.

    Statistic: longest stretch of records in which a logged statistic repeats exp(k), for whole k
    from 5 to 100. Thresholds: 3 records in a row, agreement in 6 or more significant digits. A
    warning.

    Healthy look-alikes: a constant that happens to be a power of e and is logged as one, such as
    a fixed clip value.
    """

    name: ClassVar[str] = "exponential-at-cap"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every statistic that is held."""
        for table in case.run.tables:
            for one in table.of_kind(Kind.STATISTIC):
                held = _held(one)
                if held is not None:
                    yield _finding(table, one, *held)


def _held(one: Series) -> tuple[int, tuple[int, int]] | None:
    """The exponent of the cap, and the stretch of its values that repeat it."""
    if len(one) < RECORDS:
        return None
    first, last = longest(one.values[1:] == one.values[:-1])
    value = float(one.values[first])
    if last - first + 1 < RECORDS or not np.isfinite(value) or value < exp(CAPS.start - 0.5):
        return None
    power, shown = round(log(value)), digits(value)
    unit = 10.0 ** (np.floor(np.log10(value)) + 1 - min(shown, 7))  # float32 carries 7
    good = power in CAPS and shown >= DIGITS and abs(value - exp(power)) <= 0.51 * unit
    return (power, (first, last + 1)) if good else None


def _finding(table: Table, one: Series, power: int, part: tuple[int, int]) -> Finding:
    rows = one.rows[slice(*part)]
    steps = steps_between(table.steps[rows])
    value = float(one.values[part[0]])
    total = next((one for one in table.of_kind(Kind.TOTAL) if len(one)), None)
    above = 0.0 if total is None else float(np.max(total.values))
    facts = [
        Evidence(
            text=f"'{one.name}' repeats {value:.10g} = exp({power}) in {len(rows)} of {len(one)} "
            "records",
            series=one.name,
            steps=steps,
            value=float(len(rows)),
            threshold=float(RECORDS),
        )
    ]
    if total is not None and above >= power:
        facts.append(
            Evidence(
                text=f"'{total.name}', the sum of all terms, goes up to {number(above)} there: "
                f"beyond {power}, so it may be what was put in",
                series=total.name,
                steps=steps,
                value=above,
                threshold=float(power),
            )
        )
    terms = named([term.name for term in table.of_kind(Kind.TERM)][:4])
    return Finding(
        rule=ExponentialAtCap.name,
        fault=Fault.SATURATION,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=steps,
        summary=f"'{one.name}' of split '{table.split}' is exactly exp({power}) in {len(rows)} "
        "records in a row: the cap of an exponential, not a measurement",
        evidence=tuple(facts),
        cause=f"It is computed as exp(min(loss, {power})) of a loss beyond {power}"
        + (", most likely of the total of all terms." if above >= power else ".")
        + " Expected for a constant that is logged.",
        action="Compute it from the language model's own term"
        + (f" (one of {terms})" if terms else "")
        + ", without a cap and without label smoothing.",
        verify=f"print(math.exp(lm_loss))  # must move, and be below exp({power})",
    )
