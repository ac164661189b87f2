"""Learning rates that read 0: those that are, and those that were rounded."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import moved as moved_modules
from poise.doctor.probes import optimizers
from poise.doctor.proofs import RATES
from poise.doctor.rates import acting_rates
from poise.doctor.rule import Need
from poise.doctor.series import (
    decimals,
    falls,
    finite,
    longest,
    moved,
    named,
    span,
    steps_between,
    table_decimals,
)
from poise.run import Kind, Series, Table


def rates(case: Case) -> Iterator[tuple[Table, Series]]:
    """Every learning rate of the training tables that acts."""
    for table in case.run.tables:
        if table.split == case.train.split:
            yield from ((table, one) for one in acting_rates(case, table))


def zero_may_be_rounded(table: Table, rate: Series) -> bool:
    """True if a learning rate printed as 0 may stand for a small number.

    So it is if its other values are whole multiples of a visible last decimal and come near it, or
    if all values are 0 and all losses of the table are printed with fixed decimals.
    """
    shown = finite(rate.values)
    shown = shown[shown != 0]
    if not len(shown):
        return table_decimals(table) is not None
    places = decimals(shown)
    return places is not None and float(np.abs(shown).min()) < 30 * 10.0**-places


@final
class LearningRateZero:
    """The learning rate is exactly 0 over steps that should train.

    Nothing with that learning rate moves, however large its gradient is.

    Statistic: stretches of records in which every logged learning rate is 0. Thresholds: the whole
    run; or more than a twentieth of it, at least 3 records, anywhere but at its end (the end
    belongs to `lr-floor-early`). A zero that printing may have made from a small number (see
    `lr-rounded`), or under which the losses keep falling although steps are made, is a note; a
    warning where it lasts for the whole run and nothing else in the log moves by more than its
    noise. In a watched run only the rates of the optimizer count, not what the training logs
    itself, and the motion measured
    meanwhile is told.

    Healthy look-alikes: the first step of a warm-up from 0 (one record), the last steps of a
    cosine, one frozen parameter group among others that train, a stage that only measures.
    """

    name: ClassVar[str] = "lr-zero"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the longest stretch without any learning rate."""
        for table in case.run.tables:
            rates = acting_rates(case, table)
            if table.split == case.train.split and rates:
                yield from self._table(case, table, rates)
                return

    def _table(self, case: Case, table: Table, rates: list[Series]) -> Iterator[Finding]:
        zero = np.ones(len(table), np.bool_)
        for one in rates:
            hit = np.zeros(len(table), np.bool_)
            hit[one.rows] = one.values == 0
            zero &= hit
        zero = zero[rates[0].rows]
        steps = table.steps_of(rates[0])
        whole = bool(zero.all())
        if not whole and len(zero):
            tail = np.flatnonzero(~zero)[-1] + 1
            zero[tail:] = False
        first, last = longest(zero)
        count = last - first
        if whole or count > max(2, len(zero) // 20):
            where = steps_between(steps[first:last])
            yield self._finding(case, table, rates, where, count, whole=whole)

    def _finding(
        self,
        case: Case,
        table: Table,
        rates: list[Series],
        steps: tuple[int, int],
        count: int,
        *,
        whole: bool,
    ) -> Finding:
        rounded = any(
            zero_may_be_rounded(table, one) and not _abrupt(table, one, steps) for one in rates
        )
        trains = (
            whole
            and not _unstepped(case, table)
            and any(falls(one.values) for one in table.of_kind(Kind.TOTAL, Kind.TERM))
        )
        doubt = (
            "the log prints so few decimals that a small number would show as 0"
            if rounded
            else "the losses fall all the same, so another learning rate must be at work"
        )
        frozen = rounded and whole and len(table) >= 20 and not _anything_moves(case)
        sure = frozen or (not (rounded or trains) and (not whole or count >= 3))
        severity = Severity.ERROR if whole and not frozen else Severity.WARNING
        severity = severity if sure else Severity.NOTE
        extent = "the whole run" if whole else f"{count} records in a row"
        names = named([one.name for one in rates])
        but = "" if sure else f", but {doubt}"
        but = ", and nothing else in the log moves" if frozen else but
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=severity,
            terms=tuple(one.name for one in rates),
            steps=steps,
            summary=f"{names} is exactly 0 over {extent}{but}.",
            evidence=(
                Evidence(
                    text=f"learning rate 0 in {count} of {len(rates[0])} records",
                    series=rates[0].name,
                    steps=steps,
                    value=float(count),
                    threshold=float(max(2, len(rates[0]) // 20)),
                ),
                *_motion(case, steps),
            ),
            cause=(
                "A scheduler that has ended, starts too late or divides integers, or a learning "
                "rate that was never set. Expected in a warm-up's first step and where the log "
                "rounds."
            ),
            action="Print the optimizer's own learning rate with '%.3g' at these steps.",
            verify=RATES,
            caused_by=("optimizer-never-steps",),
        )


def _unstepped(case: Case, table: Table) -> bool:
    """True if the watched optimizer made no step: then no learning rate made the losses fall."""
    steps = table.steps
    return bool(optimizers(case)) and "micro" in table.series and not np.ptp(steps)


def _motion(case: Case, steps: tuple[int, int]) -> Iterator[Evidence]:
    """How far the parameters moved between two steps, where that was measured."""
    seen = moved_modules(case).values()
    parts = [values[(at >= steps[0]) & (at <= steps[1])] for at, values in seen]
    count = max(map(len, parts), default=0)
    if count:
        most = max(float(part.max()) for part in parts if len(part))
        far = "exactly 0" if most == 0 else f"at most {most:.2g} of its norm"
        yield Evidence(
            text=f"motion of every module in the {count} of these steps that were measured: {far}",
            series="motion",
            steps=steps,
            value=most,
        )


def _abrupt(table: Table, rate: Series, steps: tuple[int, int]) -> bool:
    """True if a learning rate goes from a visible value to 0 and back to one at once.

    What rounding hides grows through one unit of the last decimal; two units on both sides are no
    rounding.
    """
    places = decimals(finite(rate.values[rate.values != 0]))
    where = table.steps_of(rate)
    before, after = rate.values[where < steps[0]], rate.values[where > steps[1]]
    if places is None or not len(before) or not len(after):
        return False
    return bool(min(abs(before[-1]), abs(after[0])) > 1.5 * 10.0**-places)


def _anything_moves(case: Case) -> bool:
    """True if any loss or statistic of any table changes by more than its noise."""
    kinds = (Kind.TOTAL, Kind.TERM, Kind.STATISTIC)
    return any(moved(one.values) for table in case.run.tables for one in table.of_kind(*kinds))


@final
class LearningRateRounded:
    """The learning rate is printed below its resolution.

    A log that prints 0.000000 hides whether there is any learning rate at all, and hides what a
    schedule does.

    Statistic: zeros that may stand for small numbers: all other values are whole multiples of the
    last visible decimal and come within 30 of it, or all losses show fixed decimals. Threshold: one
    zero; always a note.

    Healthy look-alikes: all of them: the training is not affected.
    """

    name: ClassVar[str] = "lr-rounded"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note: the first learning rate that is rounded to 0 now and then.

        One that is always 0 is what `lr-zero` is about, which names the rounding too.
        """
        for table, one in rates(case):
            zeros = np.flatnonzero(one.values == 0)
            if 1 < len(zeros) < len(one) and zero_may_be_rounded(table, one):
                yield self._finding(table, one, len(zeros))
                return

    def _finding(self, table: Table, one: Series, zeros: int) -> Finding:
        shown = finite(one.values[one.values != 0])
        places = decimals(shown) if len(shown) else None
        how = f"with {places} decimals" if places else "with few decimals"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(one.name,),
            steps=span(table, one),
            summary=f"'{one.name}' is printed {how}: {zeros} of {len(one)} values show as 0.",
            evidence=(
                Evidence(
                    text=f"{zeros} of {len(one)} values show as 0",
                    series=one.name,
                    steps=span(table, one),
                    value=float(zeros),
                    threshold=1.0,
                ),
            ),
            cause="A small learning rate, printed too coarsely. Expected in a warm-up.",
            action="Print learning rates with '%.3g'.",
            verify=RATES,
        )
