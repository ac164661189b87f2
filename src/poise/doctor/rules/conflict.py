"""A term rises while the others fall."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.measured import gradient_of, opposition
from poise.doctor.proofs import alone
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.doctor.shares import GRADIENT_UNKNOWN, known_weight
from poise.doctor.stats import median_mad
from poise.doctor.trace import Stretch, Trace, stretches
from poise.run import Kind

RISE = 0.1
"""Rise over the start from which a term counts as rising."""
FELL = 0.3
"""Fall of another task term from which the training counts as working."""
ABOVE = 0.9
"""Part of the records, after the first fifth, that must stand above the start."""
LATE = 0.05
"""A start below this part of the final level is a term that begins late or from zero."""


@final
class RisesWhileOthersFall:
    """A term ends above its start while the other terms fall.

    The shared parameters are moved against it: its gradient is opposed, its weight is too small
    for the opposition, or its sign is wrong.

    Statistic: median of the last tenth against the start, in training and, where it is logged, in
    evaluation. Thresholds: 10% above and 4 standard errors beyond the scatter, nine tenths of the
    records after the first fifth above the start, and another task term 30% down. It is a warning
    for a task term whose evaluation rises by 10% too, or stands that high from its first time on
    and does not fall; else a note: training alone cannot tell it from noise in the target or from
    harder batches. 10% is three times the plateau test's 3%.

    Healthy look-alikes: adversarial terms and penalties (notes), terms that start late or at zero
    (below 5% of their final level: not reported), reinforcement learning, a curriculum that gets
    harder.
    """

    name: ClassVar[str] = "rises-while-others-fall"
    fault: ClassVar[Fault] = Fault.CONFLICT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every task term that rises in evaluation too, one for all others."""
        weak: list[Finding] = []
        stretch = case.stretches[0]
        evals = [stretches(table)[0] for table in case.run.evals if len(table) >= 3]
        for one in stretch.terms:
            falling = [
                other
                for other in stretch.terms
                if other is not one and other.fall > FELL and role_of(case, other.name) == "task"
            ]
            if falling and known_weight(case, one.name) != 0.0 and _rises(one):
                twins = [there.traces[one.name] for there in evals if one.name in there.traces]
                found = _finding(case, stretch, one, falling, twins)
                if found.severity is Severity.WARNING:
                    yield found
                else:
                    weak.append(found)
        if weak:
            yield _merged(weak)


def _merged(weak: list[Finding]) -> Finding:
    """The note about the term that rises most, with the others named and evidenced in it."""
    top = max(weak, key=lambda one: one.evidence[0].value)
    others = [one for one in weak if one is not top]
    if not others:
        return top
    return replace(
        top,
        terms=(top.terms[0], *(one.terms[0] for one in others)),
        summary=f"{top.summary}; {len(others)} more terms rise",
        evidence=(*top.evidence, *(one.evidence[0] for one in others)),
    )


def _begin(one: Trace) -> float:
    """Level of the first records; unlike `Trace.start` not the higher one of two candidates."""
    return one.opening


def _rises(one: Trace) -> bool:
    if len(one) < 20 or not one.positive or _begin(one) < LATE * one.end:
        return False
    scatter = median_mad(one.mid - one.smoothed)[1]
    later = one.smoothed[len(one) // 5 :]
    beyond = one.end - _begin(one) > 4 * scatter * np.sqrt(2 * 5 / min(len(one), 50))
    return (
        bool(beyond)
        and one.end > (1 + RISE) * _begin(one)
        and bool(np.mean(later > _begin(one)) > ABOVE)
    )


def _agrees(twin: Trace, one: Trace) -> bool:
    """True if evaluation rises too, or stands as high as training from its first time on.

    A term that rises before the first evaluation cannot be seen rising there; harder batches or
    augmentation, which only training has, would leave evaluation low or falling.
    """
    if len(twin) < 3 or not twin.positive or twin.mid[0] <= 0:
        return False
    first = float(twin.mid[0])
    high = first > (1 + RISE) * _begin(one) and twin.end > 0.9 * one.end
    return twin.end > (1 + RISE) * first or (high and twin.end > 0.97 * first)


def _finding(
    case: Case, stretch: Stretch, one: Trace, falling: list[Trace], twins: list[Trace]
) -> Finding:
    agreeing = [twin for twin in twins if _agrees(twin, one)]
    role = role_of(case, one.name)
    sure = bool(agreeing) and len(agreeing) == len(twins) and role == "task"
    best = max(falling, key=lambda other: other.fall)
    rise = one.end / _begin(one) - 1
    facts = [
        Evidence(
            text=f"'{one.name}' rises from {number(_begin(one))} to {number(one.end)} in training",
            series=one.name,
            steps=one.steps,
            value=rise,
            threshold=RISE,
        )
    ]
    facts += [
        Evidence(
            text=f"'{twin.name}' goes from {number(float(twin.mid[0]))} to {number(twin.end)} in "
            "evaluation",
            series=twin.name,
            steps=twin.steps,
            value=twin.end / float(twin.mid[0]) - 1 if twin.mid[0] else float("inf"),
            threshold=RISE,
        )
        for twin in twins
    ]
    facts.append(
        Evidence(
            text=f"'{best.name}' falls from {number(best.start)} to {number(best.end)}",
            series=best.name,
            steps=best.steps,
            value=best.fall,
            threshold=FELL,
        )
    )
    measured, advice = opposition(case, one.name, best.name)
    if measured:
        facts.append(
            Evidence(
                text=f"'{one.name}': {measured}; {gradient_of(case, one.name)}",
                series=one.name,
                steps=one.steps,
                value=one.fall,
            )
        )
    where = "training and evaluation" if agreeing else "training"
    total = next(iter(stretch.of_kind(Kind.TOTAL)), None)
    besides = f" and '{total.name}' to {number(total.end)}" if total is not None else ""
    return Finding(
        rule=RisesWhileOthersFall.name,
        fault=Fault.CONFLICT,
        severity=Severity.WARNING if sure else Severity.NOTE,
        terms=(one.name, best.name),
        steps=one.steps,
        summary=f"'{one.name}' rises by {rise:.0%} in {where} ({number(_begin(one))} -> "
        f"{number(one.end)}) while '{best.name}' falls to {number(best.end)}{besides}; "
        f"{measured or GRADIENT_UNKNOWN}",
        evidence=tuple(facts),
        cause="The other terms move the shared parameters against it, its weight is too small, or "
        "its sign or target is wrong. Expected if it is adversarial, a penalty that settles, or "
        "follows a curriculum.",
        action=advice
        or f"Measure the cosine between the gradients of '{one.name}' and '{best.name}' over a "
        "window of probes (poise.Watch); if it is negative, separate capacity or balance them.",
        verify=alone(one.name, "falls: the others oppose it; rises: its target or sign is wrong"),
        caused_by=(
            "term-reaches-nothing",
            "parameters-untrained",
            "statistic-collapse",
            "late-degradation",
            "total-jump",
        ),
    )
