"""A term whose gradient is not finite while its value is."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import named
from poise.run import Event

EVENT = "nonfinite-gradient"
"""Name of the events that the finite check of a probe leaves."""


@final
class TermGradientNonfinite:
    """A term's gradient is NaN or infinite, often while its value still looks fine.

    The square root of 0, the logarithm of 0, a division inside a mask: the value is finite and the
    backward pass is not. The next update spreads it to every parameter it reaches.

    Statistic: the finite check of each probe, which names the first module or operation of the
    backward pass. Threshold: one. An error if the term's value was finite. Terms whose own values
    are not finite by then are consequences: named under the first offender, or, if there is none,
    in one warning together (the value went first, or the parameters: see `nonfinite-term`).

    Healthy look-alikes: overflows under a loss scale, which the probe, measuring without the scale,
    does not see.
    """

    name: ClassVar[str] = "term-gradient-nonfinite"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that broke by itself, with the first place."""
        seen: dict[str, list[Event]] = {}
        for one in case.run.events:
            if one.name == EVENT:
                term = one.text.removeprefix("the gradient of ").partition(" is not finite")[0]
                seen.setdefault(term, []).append(one)
        fine = [
            term
            for term, events in seen.items()
            if np.isfinite(_value(case, term, events[0].step or 0))
        ]
        after = [term for term in seen if term not in fine]
        for term in fine or after[:1]:
            yield self._finding(case, term, seen[term], after if fine else after[1:])

    def _finding(self, case: Case, term: str, events: list[Event], after: list[str]) -> Finding:
        first = events[0].step or 0
        value = _value(case, term, first)
        fine = bool(np.isfinite(value))
        place = events[0].text.partition(", first in ")[2]
        found = f" (first in {place})" if place else ""
        told = f"the gradient of '{term}' is not finite at step {first}{found}, while its value is "
        told += f"{value:.4g}" + (f"; {named(after)} follow" if after else "")
        if not fine:
            told = f"no gradient of {named([term, *after])} is finite at step {first}, as the value"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if fine else Severity.WARNING,
            terms=(term,) if fine else (term, *after),
            steps=(first, events[-1].step or first),
            summary=told,
            evidence=(
                Evidence(
                    text=f"{events[0].text}; seen by {len(events)} probes",
                    series=f"gradient_norm/{term}",
                    steps=(first, first),
                    value=float("nan"),
                ),
            ),
            cause="sqrt, log, a division or a power at the edge of its domain: the value is "
            "finite there and the derivative is not. No healthy training has it."
            if fine
            else "Values that are not finite have no finite gradient, so this tells nothing about "
            "who was first. No healthy training has it.",
            action=f"Add an epsilon inside, not outside, of the operation behind {place or term}."
            if fine
            else f"Look at what broke before step {first}.",
            verify=f"torch.autograd.set_detect_anomaly(True)  # before step {first}: names it",
            caused_by=() if fine else ("nonfinite-term", "nonfinite-gradient"),
        )


def _value(case: Case, term: str, step: int) -> float:
    """Value of a term at a step or before; NaN if there is none."""
    one = case.train.series.get(term)
    if one is None or not len(one):
        return float("nan")
    at = int(np.searchsorted(case.train.steps_of(one), step, side="right")) - 1
    return float(one.values[max(at, 0)])
