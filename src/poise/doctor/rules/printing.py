"""What printing hides: rounded terms and smoothed totals."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.unaccounted import rest_of, smoothed
from poise.doctor.series import (
    decimals,
    finite,
    multiple,
    named,
    number,
    python_name,
    roughness,
    span,
    steps_between,
)
from poise.run import Floats


@final
class RoundedTerms:
    """A term is printed with too few digits to see it move.

    It shows as 0.000 or changes by a few units of its last digit, so shares, trends and weights of
    this term are guesses.

    Statistic: distance between the 5th and the 95th percentile in units of the last printed
    decimal. Threshold: fewer than 10 units (so the movement has at most one significant digit)
    among values that are printed with fixed decimals; always a note.

    Healthy look-alikes: all of them: the training is not affected.
    """

    name: ClassVar[str] = "rounded-terms"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note about all such terms."""
        found = [(one, units) for one in case.terms if (units := _units(one.values)) is not None]
        if not found:
            return
        names = [one.name for one, _ in found]
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=tuple(names),
            steps=span(case.train, found[0][0]),
            summary=f"{named(names)} move by less than 10 units of their last printed digit.",
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}' moves by {number(units)} units of its last digit",
                    series=one.name,
                    steps=span(case.train, one),
                    value=units,
                    threshold=10.0,
                )
                for one, units in found[:8]
            ),
            cause="The log prints fixed decimals; the numbers behind it are finer.",
            action="Print losses with '%.4g'.",
            verify=f"print(repr(float({python_name(names[0])})))",
        )


def _units(values: Floats) -> float | None:
    """Movement in units of the last decimal if that is below 10, else None."""
    good = finite(values)
    places = decimals(good)
    if len(good) < 20 or places is None or places > 6 or not good.any():
        return None
    step = max(1, len(good) // 20_000)
    low, high = np.quantile(good[::step], [0.05, 0.95])
    units = float(high - low) * 10.0**places
    return units if 0 < units < 9.5 or (units == 0 and np.ptp(good) > 0) else None


@final
class SmoothedTotal:
    """The total is smoother than its terms: it is a running mean or the median of a window.

    Then it lags behind the terms and is not their sum in any one record; jumps show late and small.

    Statistic: typical change from one record to the next, of the total against the weighted sum of
    the terms, where that sum does not reproduce the total. Threshold: one half, which independent
    noise reaches under any window of two records or more; always a note.

    Healthy look-alikes: all of them: the training is not affected.
    """

    name: ClassVar[str] = "smoothed-total"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COMPOSITION, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note, about the main total."""
        composition = case.composition
        if composition is None or composition.exact:
            return
        rest = rest_of(case.train, composition)
        if rest is None or len(rest.rows) < 20 or not smoothed(rest):
            return
        steps = steps_between(case.train.steps[rest.rows])
        ratio = roughness(rest.total) / roughness(rest.weighted)
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(composition.total,),
            steps=steps,
            summary=(
                f"'{composition.total}' changes {multiple(ratio)} times as much from record to "
                "record as its terms do: it is smoothed, and not their sum."
            ),
            evidence=(
                Evidence(
                    text=f"the total changes {multiple(ratio)} times as much as the sum "
                    "(below 0.5: smoothed)",
                    series=composition.total,
                    steps=steps,
                    value=ratio,
                    threshold=0.5,
                ),
            ),
            cause="The log prints a running mean of the total beside momentary terms.",
            action="Look at the terms, or at their sum, for jumps.",
            verify=f"print({python_name(composition.total)}.item(), sum(t.item() for t in terms))",
        )
