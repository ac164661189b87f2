"""One loss on another scale than all others, visible in a single record."""

from collections.abc import Iterable
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.measured import gradient_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import multiple, named, number
from poise.doctor.shares import known_weight
from poise.doctor.trace import Trace

OUTLIER = 1000.0
"""Factor between the largest loss and the next one from which it is out of scale."""
GROWN = 10.0
"""Growth over its own start from which such a loss has left its range."""


@final
class OutOfScale:
    """One logged loss is a thousand times larger than every other one.

    It is visible in a single record, where no trend can be: a value that left its range, or terms
    that were never brought to one scale.

    Statistic: the largest end level of the terms, in absolute value, over the next one. Thresholds:
    a factor of 1000, among 3 or more terms. The term must have grown tenfold to that size; where
    fewer than 5 records cannot show that, it must be a loss of reinforcement learning: those share
    the scale of the returns, while other terms can converge to almost nothing one by one.

    Healthy look-alikes: a sum over elements beside means, terms on different units with small
    weights, others that have converged to almost nothing.
    """

    name: ClassVar[str] = "value-out-of-scale"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding."""
        ordered = sorted(case.stretches[0].terms, key=lambda one: abs(one.end))
        # The same loss under two prefixes is one loss; of its copies the largest counts.
        levels = {one.name.rpartition("/")[2]: one for one in ordered if one.end != 0}
        order = sorted(levels.values(), key=lambda one: -abs(one.end))
        if len(order) < 3 or abs(order[0].end) < OUTLIER * abs(order[1].end):
            return
        top, factor = order[0], abs(order[0].end / order[1].end)
        grown = abs(top.end) > GROWN * abs(top.opening)
        values = len(top) < 5 and role_of(case, top.name) == "reinforcement"
        weight = known_weight(case, top.name)
        if (grown or values) and (weight is None or abs(weight) * factor > 1):
            yield _out_of_scale(case, top, order[1:], factor)


def _out_of_scale(case: Case, top: Trace, others: list[Trace], factor: float) -> Finding:
    return Finding(
        rule=OutOfScale.name,
        fault=Fault.EXPLOSION,
        severity=Severity.WARNING,
        terms=(top.name,),
        steps=top.steps,
        summary=f"'{top.name}' is {number(top.end)}, {multiple(factor)} times the next largest "
        f"loss ('{others[0].name}', {number(others[0].end)}); {gradient_of(case, top.name)}",
        evidence=tuple(
            Evidence(
                text=f"'{one.name}' is {number(one.end)} at the end",
                series=one.name,
                steps=one.steps,
                value=abs(one.end),
                threshold=abs(top.end) / OUTLIER if one is not top else None,
            )
            for one in [top, *others[:5]]
        ),
        cause="It has left its range (a value estimate that feeds on itself, a term without a "
        "bound), or it is a sum where the others are means. Expected if its weight is as small.",
        action=f"Plot '{top.name}' over the whole run; if it grows, bound its target or lower its "
        f"learning rate, and keep it out of the total that trains {named([others[-1].name])}.",
        verify=rerun("the bound", f"'{top.name}' must stay near {number(top.opening)}"),
    )
