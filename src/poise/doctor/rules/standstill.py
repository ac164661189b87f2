"""No loss falls at all."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.needs import HAS
from poise.doctor.proofs import MOTION
from poise.doctor.rule import Need
from poise.doctor.series import named, number
from poise.doctor.stats import MAD_TO_SIGMA, ends
from poise.doctor.trace import Trace
from poise.run import Kind

STILL = 0.03
"""A loss that lost less than this of its starting value has not moved."""
UNCLEAR = 0.9
"""A loss that ends below this part of its beginning may fall under its noise: nothing is said."""
RECORDS = 10
"""Records from which a whole run is judged."""


@final
class NothingFalls:
    """No loss is lower at the end than at the beginning.

    Whatever the training does, its own objective does not show it: the learning rate is far too
    small or far too large, the optimizer does not hold the parameters, or the inputs say nothing
    about the targets.

    Statistic: medians of the first and the last quarter of every term and total that is positive
    throughout, and the median of the first five values. Thresholds: 10 records or more, and none of
    them ends 3% below its beginning (beyond three standard errors of its scatter) or 10% below it
    in any case. Adversaries and losses of reinforcement learning are not judged, and where nothing
    else is left the rule is silent, as in runs that log rewards (a policy gradient need not fall).
    Always a note.

    Healthy look-alikes: fine-tuning of a converged model, the late part of a long training, a loss
    that is dominated by noise.
    """

    name: ClassVar[str] = "nothing-falls"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note, about all losses."""
        losses = [
            one
            for one in case.stretches[0].of_kind(Kind.TERM, Kind.TOTAL)
            if not one.zero and role_of(case, one.name) not in ("adversary", "reinforcement")
        ]
        if HAS[Need.REWARDS](case):
            return
        judged = [one for one in losses if one.positive and len(one) >= RECORDS]
        if judged and len(judged) == len(losses) and not any(_falls(one) for one in judged):
            yield _standstill(judged)


def _falls(one: Trace) -> bool:
    """True if a loss ends below its beginning, however early it fell."""
    first, last = ends(one.mid, 0.25)
    error = 3 * 1.25 * MAD_TO_SIGMA * one.scatter
    quarters = last < (1 - STILL) * first - error * np.sqrt(8 / len(one))
    opening = one.end < (1 - STILL) * one.opening - error / np.sqrt(5)
    lowest = one.best < (1 - STILL) * one.opening - error
    return bool(quarters or opening or lowest) or last < UNCLEAR * first


def _standstill(judged: list[Trace]) -> Finding:
    lead = next((one for one in judged if one.kind == Kind.TOTAL), judged[0])
    pairs = {one.name: ends(one.mid, 0.25) for one in judged}
    first, last = pairs[lead.name]
    others = named([one.name for one in judged if one is not lead])
    return Finding(
        rule=NothingFalls.name,
        fault=Fault.STUCK,
        severity=Severity.NOTE,
        terms=tuple(one.name for one in judged),
        steps=lead.steps,
        summary=f"No loss falls: '{lead.name}' is {number(first)} in the first and {number(last)} "
        f"in the last quarter of {len(lead)} records"
        + (f"; neither does {others}" if len(judged) > 1 else ""),
        evidence=tuple(
            Evidence(
                text=f"'{name}': first quarter {number(begin)}, last quarter {number(end)}",
                series=name,
                steps=lead.steps,
                value=1 - end / begin if begin else 0.0,
                threshold=STILL,
            )
            for name, (begin, end) in list(pairs.items())[:8]
        ),
        cause="The optimizer does not move these parameters, the learning rate does not fit, or "
        "the inputs say nothing about the targets. Expected when a converged model is fine-tuned.",
        action="Train on one single batch: a loss that cannot fall there has a broken graph, "
        "optimizer or learning rate; one that can has a data problem.",
        verify=MOTION,
        caused_by=(
            "lr-zero",
            "optimizer-never-steps",
            "parameters-still",
            "unaccounted-gradient",
            "stuck-at-log-k",
            "loss-identical",
        ),
    )
