"""A term whose gradient is not finite while its value is."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.run import Event

EVENT = "nonfinite-gradient"
"""Name of the events that the finite check of a probe leaves."""


@final
class TermGradientNonfinite:
    """A term's gradient is NaN or infinite, often while its value still looks fine.

    The square root of 0, the logarithm of 0, a division inside a mask: the value is finite and the
    backward pass is not. The next update spreads it to every parameter it reaches.

    Statistic: the finite check of each probe, which names the first module or operation of the
    backward pass. Threshold: one. An error if the probes see it twice or the term's value was
    finite; a warning otherwise (the value went first: see `nonfinite-term`).

    Healthy look-alikes: overflows under a loss scale, which the probe, measuring without the scale,
    does not see.
    """

    name: ClassVar[str] = "term-gradient-nonfinite"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term, with the first place."""
        seen: dict[str, list[Event]] = {}
        for one in case.run.events:
            if one.name == EVENT:
                term = one.text.removeprefix("the gradient of ").partition(" is not finite")[0]
                seen.setdefault(term, []).append(one)
        for term, events in seen.items():
            yield self._finding(case, term, events)

    def _finding(self, case: Case, term: str, events: list[Event]) -> Finding:
        first = events[0].step or 0
        value = _value(case, term, first)
        fine = value is not None and bool(np.isfinite(value))
        place = events[0].text.partition(", first in ")[2]
        found = f" (first in {place})" if place else ""
        meanwhile = f"while its value is {value:.4g}" if fine else "as its value is"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if fine or len(events) > 1 else Severity.WARNING,
            terms=(term,),
            steps=(first, events[-1].step or first),
            summary=f"the gradient of '{term}' is not finite at step {first}{found}, {meanwhile}",
            evidence=(
                Evidence(
                    text=f"{events[0].text}; seen by {len(events)} probes",
                    series=f"gradient_norm/{term}",
                    steps=(first, first),
                    value=float("nan"),
                ),
            ),
            cause="sqrt, log, a division or a power at the edge of its domain: the value is "
            "finite there and the derivative is not. No healthy training has it.",
            action=f"Add an epsilon inside, not outside, of the operation behind {place or term}.",
            verify="torch.autograd.set_detect_anomaly(True) for one step.",
            caused_by=() if fine else ("nonfinite-term",),
        )


def _value(case: Case, term: str, step: int) -> float | None:
    one = case.train.series.get(term)
    if one is None or not len(one):
        return None
    at = int(np.searchsorted(case.train.steps_of(one), step, side="right")) - 1
    return float(one.values[max(at, 0)])
