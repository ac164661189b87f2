"""Micro-batches that are added up where their mean was meant."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.measured import percent
from poise.doctor.probes import moved, scale_free
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import finite
from poise.run import Floats

FAR = 0.1
"""Relative motion in one step from which a module is new in ten steps."""
EXACT = 1e-6
"""Deviation of the factor from 1 that rounding explains."""


@final
class AccumulationSummed:
    """The gradients of several micro-batches are added up and not divided by their number.

    With N micro-batches that is N times the learning rate under SGD, and N times the norm that
    clipping sees. Adam undoes a constant factor.

    Statistic: micro-batches of an optimizer step, and what each total is multiplied with on its way
    back. Threshold: two and more, and a factor of exactly 1. A note; a warning if the optimizer
    follows the size of the gradient and some module moves by a tenth of its norm a step, so that it
    is new after ten: in the median of all measured steps, or of the first three, after which a
    training that blew up may creep.

    Healthy look-alikes: totals that are divided by N (a factor of 1/N), or that are sums over
    samples by intent at a learning rate that suits them (a note); a loss scale, the calls of a
    closure, and totals of different terms (not judged).
    """

    name: ClassVar[str] = "accumulation-summed"
    fault: ClassVar[Fault] = Fault.REDUCTION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MOTION, Need.MICRO})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        count, factor = case.run.declared.get("accumulated"), case.run.declared.get("factor")
        if not isinstance(count, int) or not isinstance(factor, (int, float)):
            return
        if count >= 2 and abs(factor - 1) <= EXACT:
            yield _finding(case, count)


def _finding(case: Case, count: int) -> Finding:
    motion = {name: _pace(finite(values)) for name, (_, values) in moved(case).items()}
    far = max(motion, key=motion.__getitem__)
    sure = motion[far] > FAR and not scale_free(case)
    steps = int(case.train.steps.min()), int(case.train.steps.max())
    return Finding(
        rule=AccumulationSummed.name,
        fault=AccumulationSummed.fault,
        severity=Severity.WARNING if sure else Severity.NOTE,
        terms=(),
        steps=steps,
        summary=f"each optimizer step adds up the gradients of {count} micro-batches, undivided"
        + (f", and moves '{far}' by {percent(motion[far])} of its norm" if sure else ""),
        evidence=(
            Evidence(
                text=f"{count} micro-batches a step, each total passed back with a factor of 1 and "
                f"not 1/{count}",
                series="micro",
                steps=steps,
                value=float(count),
                threshold=2.0,
            ),
            Evidence(
                text=f"'{far}' moves by {percent(motion[far])} of its norm a step: median of all "
                "measured steps or of the first three, whichever is more",
                series=f"motion/{far}",
                steps=steps,
                value=motion[far],
                threshold=FAR,
            ),
        ),
        cause=f"The total is not divided by {count} before backward(): the step is that of {count} "
        "times the learning rate. Expected if the total is a sum by intent or its terms are "
        "divided already, and under Adam, which undoes the factor (but not in front of clipping).",
        action=f"Pass (total / {count}).backward(), or divide the learning rate by {count}.",
        verify=rerun("that division", "the terms must fall further and swing less"),
    )


def _pace(values: Floats) -> float:
    """Relative motion a step, over the run or at its start, whichever is more; 0 without any."""
    if not len(values):
        return 0.0
    return float(max(np.median(values), np.median(values[:3])))
