"""Single values so large that the total cannot hold anything beside them."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import named, number, python_name
from poise.doctor.trace import Trace
from poise.run import Floats, Kind

FLOAT32 = 2.0**24
"""Ratio at which a sum in single precision loses its smaller summand altogether."""


@final
class BeyondPrecision:
    """Single records hold values that no batch can have: everything else vanishes beside them.

    The log-probability of something impossible, a division by almost nothing, a mask that was
    filled with -1e35: the value is finite, so that no check for NaN sees it, but in the sum of that
    step the other terms are rounded away and the gradient, if it is finite, is this term's alone.

    Statistic: largest absolute value of every term and total over the largest 90% quantile of
    absolute values among them. Threshold: 2^24, where a sum in single precision loses the smaller
    summand, while the running median stays below it (else see `late-degradation`). Nine tenths of
    the records are ordinary by construction, and a tail that reaches ten million times their level
    is no tail of a loss.

    Healthy look-alikes: a framework that drops such batches before the backward pass, as some
    speech toolkits do: then only the log is ugly.
    """

    name: ClassVar[str] = "beyond-precision"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the terms, and the total if it shows them."""
        losses = case.stretches[0].of_kind(Kind.TERM, Kind.TOTAL)
        losses = [one for one in losses if len(one) >= 20]
        usual = max((float(np.quantile(np.abs(one.mid), 0.9)) for one in losses), default=0.0)
        if usual == 0:
            return
        wild = [one for one in losses if _alone(one, FLOAT32 * usual)]
        if wild:
            wild.sort(key=lambda one: one.kind == Kind.TOTAL)
            yield _beyond(wild, usual)


def _alone(one: Trace, limit: float) -> bool:
    """True if records exceed a limit that the running median never reaches."""
    return bool(_sizes(one).max() > limit > np.abs(one.smoothed).max())


def _sizes(one: Trace) -> Floats:
    """Largest absolute value of each block."""
    return np.maximum(np.abs(one.low), np.abs(one.high))


def _beyond(wild: list[Trace], usual: float) -> Finding:
    first = wild[0]
    facts: list[Evidence] = []
    steps: list[int] = []
    for one in wild:
        at = np.flatnonzero(_sizes(one) > FLOAT32 * usual)
        steps += [int(one.first[at[0]]), int(one.last[at[-1]])]
        top = int(_sizes(one).argmax())
        peak = float(one.high[top] if abs(one.high[top]) >= abs(one.low[top]) else one.low[top])
        facts.append(
            Evidence(
                text=f"'{one.name}' reaches {number(peak)} (first at step {int(one.first[at[0]])}, "
                f"{len(at)} times), while nine tenths of all losses stay below {number(usual)}",
                series=one.name,
                steps=(int(one.first[at[0]]), int(one.last[at[-1]])),
                value=abs(peak),
                threshold=FLOAT32 * usual,
            )
        )
    at = int(np.flatnonzero(_sizes(first) > FLOAT32 * usual)[0])
    value = float(first.high[at] if abs(first.high[at]) >= abs(first.low[at]) else first.low[at])
    also = f", and with it {named([one.name for one in wild[1:]])}" if wild[1:] else ""
    return Finding(
        rule=BeyondPrecision.name,
        fault=Fault.EXPLOSION,
        severity=Severity.WARNING,
        terms=tuple(one.name for one in wild),
        steps=(min(steps), max(steps)),
        summary=f"'{first.name}' is {number(value)} at step {int(first.first[at])}, where losses "
        f"are otherwise below {number(usual)}{also}: the other terms vanish in that sum",
        evidence=tuple(facts),
        cause="An impossible target (a text longer than its audio), a division by almost nothing, "
        "or a mask filled with a huge number that reaches the loss. Harmless only if such batches "
        "are dropped before the backward pass.",
        action=f"Find the sample behind '{first.name}' at step {int(first.first[at])} and filter "
        "or mask such samples before the loss.",
        verify=f"assert {python_name(first.name)}.abs() < {number(1000 * usual)}, batch  # "
        "stops there",
    )
