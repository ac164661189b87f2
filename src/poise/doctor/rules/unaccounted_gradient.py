"""Something trains the model that no term of the record explains."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.measured import percent
from poise.doctor.probes import ENOUGH, probe_table
from poise.doctor.rule import Need
from poise.doctor.series import finite, steps_between
from poise.run import Kind

SHARE = 0.05
"""Gradient share of the rest from which it is one more term, as in `unaccounted-total`."""


@final
class UnaccountedGradient:
    """The gradient that arrives is not that of the recorded terms: something else is added.

    A penalty that is added to the total behind the record's back, a second backward pass of an
    auxiliary loss: the curves do not show what the training minimizes.

    Statistic: what the backward pass brings to the shared parameters against the sum of the
    weighted gradients of all terms, up to a factor; the norm of the rest over the norms of all
    terms and the rest: the gradient share of the term that is missing. Threshold: 0.05, as of the
    total in `unaccounted-total`, in the median of 2 probes or more. Rounding leaves less than 0.01.

    Healthy look-alikes: loss scales, divisions by the number of micro-batches and clipping (after
    the backward pass: not seen); balancers at a fork, several totals that are passed back together
    and gradients that are thrown away before a second pass, as in sharpness-aware steps (not
    measured); terms that cancel, so that their sum is mostly rounding (not measured); hooks that
    change gradients on purpose, which a gradient without the record's knowledge is as well.
    """

    name: ClassVar[str] = "unaccounted-gradient"
    fault: ClassVar[Fault] = Fault.UNACCOUNTED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        table = probe_table(case)
        for one in () if table is None else table.of_kind(Kind.UNEXPLAINED):
            assert table is not None  # no series without a table
            values = finite(one.values)
            if len(values) >= ENOUGH and float(np.median(values)) > SHARE:
                steps = steps_between(table.steps_of(one))
                yield _finding(float(np.median(values)), len(values), steps)


def _finding(share: float, probes: int, steps: tuple[int, int]) -> Finding:
    return Finding(
        rule=UnaccountedGradient.name,
        fault=UnaccountedGradient.fault,
        severity=Severity.WARNING,
        terms=(),
        steps=steps,
        summary=f"{percent(share)} of the gradient at the shared parameters comes from none of the "
        "recorded terms",
        evidence=(
            Evidence(
                text="norm of what the backward pass brings beside the terms' weighted sum, over "
                f"all norms: {percent(share)}, median of {probes} probes; the terms' own shares "
                f"are parts of the other {percent(1 - share)}",
                series="unexplained",
                steps=steps,
                value=share,
                threshold=SHARE,
            ),
        ),
        cause="Something is added to the total after the watch has seen it, or passed back on its "
        "own: a penalty, an auxiliary loss, a gradient hook. Expected if you know of it.",
        action="Hand it to watch.total as a term of its own, with its weight.",
        verify="poise diagnose AFTER  # AFTER calls backward() on what watch.total returns, and on "
        f"nothing else: no {UnaccountedGradient.name}",
    )
