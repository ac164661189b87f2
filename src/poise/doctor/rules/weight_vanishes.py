"""A weight that goes to nothing while its term is not learned."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import held_back, judged, lags, mapping
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.gradient_share import progress
from poise.doctor.series import number, span, weight_history
from poise.run import Series

GONE = 0.01
"""Part of its first value below which a weight is as good as 0."""


@final
class WeightVanishes:
    """A weight falls to nothing while its term has hardly been learned.

    Weights that the optimizer may choose are chosen so that the sum gets small: it gives up the
    term that is hardest to lower.

    Statistic: last tenth of a recorded weight over its first value. Thresholds: 0.01, while the
    term, a task, hardly moves or lags as in `value-starvation`, and no schedule was declared for
    it. A weight of 0 from the start is told by `weight-zero`.

    Healthy look-alikes: a weight that is annealed on purpose (declare the schedule), auxiliaries
    that have done their work (they were learned), penalties (not judged).
    """

    name: ClassVar[str] = "weight-vanishes"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.WEIGHTS, Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        planned = mapping(case.run.declared.get("schedules"))
        for term in (one.name for one in case.terms if one.name not in planned):
            history = weight_history(case.train, term)
            left = None if history is None else _left(history)
            behind = judged(case, term) and (held_back(case, term) or lags(case, term))
            if history is not None and left is not None and left < GONE and behind:
                yield _finding(case, term, history, left)


def _left(one: Series) -> float | None:
    """Last tenth of a weight over its first value, both by size; None if it began at 0."""
    sizes = np.abs(one.values[np.isfinite(one.values)])
    if len(sizes) < 20 or sizes[0] == 0:
        return None
    return float(np.median(sizes[-(len(sizes) // 10) :]) / sizes[0])


def _finding(case: Case, term: str, one: Series, left: float) -> Finding:
    fact = progress(case, term)
    return Finding(
        rule=WeightVanishes.name,
        fault=WeightVanishes.fault,
        severity=Severity.WARNING,
        terms=(term,),
        steps=span(case.train, one),
        summary=f"the weight of '{term}' goes from {number(float(one.values[0]))} to "
        f"{number(float(one.values[-1]))}, and '{term}' is not learned",
        evidence=(
            Evidence(
                text=f"weight of '{term}': {left:.2g} of its first value in the last tenth",
                series=one.name,
                steps=span(case.train, one),
                value=left,
                threshold=GONE,
            ),
            *(() if fact is None else (fact,)),
        ),
        cause="The weights are learned, or follow the losses, in a way that rewards giving up what "
        "is hard. Expected if it is annealed on purpose (declare the schedule).",
        action=f"Keep the weight of '{term}' out of the optimizer, or bound it from below; learned "
        "log-variances need their offset in the total.",
        verify=rerun("a constant weight", f"'{term}' must end lower"),
    )
