"""Policy ratios that are clipped nearly all."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import words
from poise.doctor.rule import Need
from poise.doctor.trace import Trace
from poise.run import Kind

MOST = 0.5
"""Part of the samples outside the clip range from which they are the rule, not the exception."""

_POLICY = frozenset(("policy", "actor", "pg"))
_OTHERS = frozenset(("grad", "grads", "gradient", "gradients", "norm", "value", "vf", "critic"))
_NAMES = (frozenset(("clipfrac",)), frozenset(("clip", "fraction")), frozenset(("clip", "frac")))


@final
class ClipFraction:
    """More than half of a policy's ratios are outside their clip range.

    A clipped sample has no gradient. The new policy is far from the one that made the samples: they
    are old, used too often, or the step is too long.

    Statistic: median of a logged clip fraction (`clipfrac`, `clip_fraction`) over the last third of
    the records. Threshold: 0.5; healthy trainings stay at 0.1 to 0.3.

    Healthy look-alikes: single batches at the end of an epoch of updates; how many steps have
    their gradient clipped, and how many values are (other things by their name: not judged).
    """

    name: ClassVar[str] = "clip-fraction"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.STATISTIC, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such statistic."""
        policies = [one.name for one in case.terms if _POLICY & {*words(one.name)}]
        for one in case.stretches[0].of_kind(Kind.STATISTIC):
            said = {*words(one.name)}
            if len(one) >= 10 and not said & _OTHERS and any(name <= said for name in _NAMES):
                level = float(np.median(one.mid[-max(1, len(one) // 3) :]))
                if MOST < level <= 1:
                    yield _finding(one, level, tuple(policies))


def _finding(one: Trace, level: float, policies: tuple[str, ...]) -> Finding:
    return Finding(
        rule=ClipFraction.name,
        fault=ClipFraction.fault,
        severity=Severity.WARNING,
        terms=(one.name, *policies),
        steps=one.steps,
        summary=f"'{one.name}' is at {level:.0%}: most samples are clipped and have no gradient",
        evidence=(
            Evidence(
                text=f"median of the last third {level:.2f}, at first {one.opening:.2f}",
                series=one.name,
                steps=one.steps,
                value=level,
                threshold=MOST,
            ),
        ),
        cause="The ratio is taken to a policy that is long gone: rollouts that are not renewed, "
        "too many epochs over them, too long a step. Expected for a moment at most.",
        action="Draw new rollouts with the present policy, make fewer epochs over each, or lower "
        "the learning rate.",
        verify="print((new_logp - old_logp).exp().mean())  # right after a rollout: must be 1",
    )
