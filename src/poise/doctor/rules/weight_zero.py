"""A term that is computed with its graph at every step and has no weight."""

from collections.abc import Iterable
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import reach, weights_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.no_effect import ENOUGH
from poise.doctor.series import named, steps_between


@final
class WeightZero:
    """A term is computed with its graph at every step, and its weight is 0 throughout.

    It costs a forward pass and trains nothing. Either it was switched off and forgotten, or it was
    meant to be on.

    Statistic: recorded weight of a term that reaches parameters. Threshold: exactly 0 in all of at
    least 50 records. Always a note: it does no harm.

    Healthy look-alikes: a term that a later stage switches on (the note says so), a metric (it
    reaches no parameter, or has the role `monitor`: not reported).
    """

    name: ClassVar[str] = "weight-zero"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.WEIGHTS, Need.REACH})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note, about all such terms."""
        reached = reach(case)
        idle = [
            one.name
            for one in case.terms
            if len(one) >= ENOUGH
            and reached.get(one.name)
            and case.role(one.name) != "monitor"
            and _off(case, one.name)
        ]
        if idle:
            yield self._finding(case, idle)

    def _finding(self, case: Case, idle: list[str]) -> Finding:
        steps = steps_between(case.train.steps)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=tuple(idle),
            steps=steps,
            summary=f"{named(idle)}: weight 0 in all {len(case.train)} records, and computed with "
            "a graph every time",
            evidence=tuple(
                Evidence(
                    text=f"'{name}' reaches {len(reach(case)[name])} parameters and has weight 0 "
                    f"from step {steps[0]} to {steps[1]}",
                    series=f"weight/{name}",
                    steps=steps,
                    value=0.0,
                    threshold=0.0,
                )
                for name in idle
            ),
            cause="Switched off and forgotten, or meant to be on. Expected if a later stage "
            "switches it on, or if it is only looked at (declare the role monitor).",
            action=f"Compute '{idle[0]}' under torch.no_grad() or not at all, or give it a weight.",
            verify=rerun("that term left out", "every other loss must be the same, and faster"),
        )


def _off(case: Case, term: str) -> bool:
    """True if the weight of a term is known, and 0 in every record."""
    weights = weights_of(case, term)
    return len(weights) > 0 and not weights.any()
