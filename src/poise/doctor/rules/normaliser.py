"""Starvation by a value normaliser: terms that are divided by their own running mean."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.measured import gradient_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import multiple, number
from poise.doctor.trace import Trace
from poise.read.weights.normaliser import FIT, Normaliser

BEHIND = 0.5
"""Pace (fall in the logarithm) below which, in units of the others' median, a term lags."""


@final
class ValueNormaliser:
    """Every term is divided by the running mean of its own value before it is weighted.

    The weights then share out relative change, not gradient. A term that is large because its unit
    is (a count of steps under a Huber or L1 loss, whose gradient does not grow with its value)
    loses its gradient by just that factor: it is starved by the cure for its size.

    Statistic: the total is fitted by weighted terms, each over a plain and then exponential running
    mean of itself, for the usual decays. Threshold: a rest below 0.001 of the total and below a
    tenth of what constant weights leave; the arithmetic is then proved. A warning if the term with
    the smallest factor falls at less than half of the others' median pace in the logarithm; else a
    note. Needs a log of every step from the first on.

    Healthy look-alikes: terms that learn alike under a normaliser; it is then a note, and expected
    if the normaliser is there on purpose.
    """

    name: ClassVar[str] = "value-normaliser"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COMPOSITION, Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        composition, found = case.composition, case.normaliser
        if composition is not None and found is not None:
            yield _finding(case, composition.total, found)


def _pace(one: Trace) -> float:
    return -float(np.log(max(1.0 - one.fall, 1e-12)))


def _finding(case: Case, total: str, found: Normaliser) -> Finding:
    names = [one.name for one in case.terms]
    traces = [case.stretches[0].traces[name] for name in names]
    last = int(found.factors.argmin())
    victim, top = traces[last], int(found.factors.argmax())
    others = [one for one in traces if one is not victim]
    typical = float(np.median([_pace(one) for one in others]))
    middle = float(np.median([one.fall for one in others]))
    starved = _pace(victim) < BEHIND * typical
    ratio = float(found.factors[top] / found.factors[last])
    weights = ", ".join(f"{n} {w:.2g}" for n, w in zip(names, found.weights, strict=True))
    falls = f"'{victim.name}' falls by {victim.fall:.0%}, " + ", ".join(
        f"'{one.name}' by {one.fall:.0%}" for one in others[:4]
    )
    summary = (
        f"'{total}' is a sum of terms that are each divided by the running mean of their own "
        f"value: one unit of '{victim.name}' weighs {multiple(ratio)} times less than one of "
        f"'{names[top]}'"
    )
    lags = f"it falls by {victim.fall:.0%} while the median of the others falls by {middle:.0%}"
    steps = victim.steps
    return Finding(
        rule=ValueNormaliser.name,
        fault=ValueNormaliser.fault,
        severity=Severity.WARNING if starved else Severity.NOTE,
        terms=(victim.name,) if starved else tuple(names),
        steps=steps,
        summary=f"{summary}; {lags}; {gradient_of(case, victim.name)}" if starved else summary,
        evidence=tuple(_facts(total, victim, found, steps, weights, falls, typical)),
        cause="Dividing by the value takes the size out of a term's gradient whether or not the "
        "gradient had it. Under a Huber or L1 loss in its linear regime it had not: the term is "
        "left with almost nothing. Expected to be harmless if all terms are squared errors.",
        action="Drop the normaliser and use plain weights; let the head of "
        f"'{victim.name}' predict in units of its target's range.",
        verify=rerun("plain weights", f"'{victim.name}' must end below {number(victim.end)}"),
    )


def _facts(
    total: str,
    victim: Trace,
    found: Normaliser,
    steps: tuple[int, int],
    weights: str,
    falls: str,
    typical: float,
) -> Iterable[Evidence]:
    yield Evidence(
        text=f"value / running mean (decay {found.decay}) with weights {weights} reproduces "
        f"'{total}' to {found.rest:.1e}; constant weights leave {found.plain:.1e}",
        series=total,
        steps=steps,
        value=found.rest,
        threshold=FIT,
    )
    yield Evidence(
        text=f"one unit of '{victim.name}' enters the total with {found.factors.min():.2g}, the "
        f"heaviest term with {found.factors.max():.2g}",
        series=victim.name,
        steps=steps,
        value=float(found.factors.min() / found.factors.max()),
    )
    yield Evidence(
        text=falls,
        series=victim.name,
        steps=steps,
        value=_pace(victim),
        threshold=BEHIND * typical,
    )
