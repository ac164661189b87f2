"""A bonus that is paid for its opposite."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_hint, words
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.doctor.shares import known_weight
from poise.doctor.trace import Trace

GONE = 0.1
"""Part of its start that is left of an entropy that has been driven down, as of other spreads."""

_ENTROPY = frozenset(("entropy", "ent"))
_ASIDE = frozenset(("policy", "pi", "action", "loss", "actor", "mean", "train"))


@final
class EntropyMinimised:
    """A policy's entropy has a positive weight in what is minimised, and dies.

    A bonus keeps a policy from deciding too soon. Added to the loss instead of subtracted it does
    the opposite: one action is left before the others were tried.

    Statistic: a term called entropy, beside a policy or a value, that is positive and has a
    positive weight; the median of its last third over its start. Threshold: 0.1.

    Healthy look-alikes: the negative of the entropy as a term (its values are below 0), a negative
    weight, entropies of other things (`entropy_of_codes`: not judged), a policy that becomes
    decided late.
    """

    name: ClassVar[str] = "entropy-minimised"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        if not any(role_hint(one.name) == "reinforcement" for one in case.terms):
            return
        for one in case.stretches[0].terms:
            said = {*words(one.name)}
            weight = known_weight(case, one.name)
            called = bool(said & _ENTROPY) and said <= _ENTROPY | _ASIDE
            if called and one.positive and len(one) >= 10 and weight is not None and weight > 0:
                left = float(np.median(one.mid[-max(1, len(one) // 3) :]))
                if one.opening > 0 and left < GONE * one.opening:
                    yield _finding(one, left, weight)


def _finding(one: Trace, left: float, weight: float) -> Finding:
    return Finding(
        rule=EntropyMinimised.name,
        fault=EntropyMinimised.fault,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' is minimised, at a weight of {number(weight)}, and goes from "
        f"{number(one.opening)} to {number(left)}: the policy is decided",
        evidence=(
            Evidence(
                text=f"'{one.name}' is positive, its weight {number(weight)} as well; "
                f"{left / one.opening:.1%} of its start is left in the last third",
                series=one.name,
                steps=one.steps,
                value=left / one.opening,
                threshold=GONE,
            ),
        ),
        cause="The entropy is added to the loss where it should be subtracted. Expected where a "
        "policy is meant to be decided from the start (imitation).",
        action=f"Turn the sign of the weight of '{one.name}'.",
        verify=rerun("that sign", f"'{one.name}' must stay above {number(GONE * one.opening)}"),
    )
