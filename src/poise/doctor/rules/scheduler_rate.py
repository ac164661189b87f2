"""Schedules that run at another rate than the optimizer, and weights other than declared."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import listing, mapping
from poise.doctor.proofs import RATES
from poise.doctor.rule import Need
from poise.doctor.series import multiple, number, steps_between, weight_history
from poise.run import Floats, Ints, Kind, Series

CYCLES = 3
"""Accumulations in which the rate must change before it is told."""
OFF = 0.01
"""Deviation from a declared weight, relative to the largest declared, that is no rounding."""


@final
class SchedulerPerMicroBatch:
    """The learning rate changes between micro-batches of one optimizer step.

    The scheduler is stepped every micro-batch, not every optimizer step: it runs as many times too
    fast as the accumulation has micro-batches, and reaches its end early.

    Statistic: learning rate of consecutive micro-batches with the same number of optimizer steps.
    Threshold: it changes in at least half of them, in 3 optimizer steps or 8 micro-batches at
    least.

    Healthy look-alikes: no accumulation (nothing to compare); updates that mixed precision skips,
    where a schedule moves on without a step (far below half); a schedule in micro-batches on
    purpose, whose length counts them too.
    """

    name: ClassVar[str] = "scheduler-per-micro-batch"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MICRO, Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding: the first learning rate that does so."""
        for one in case.train.of_kind(Kind.LEARNING_RATE):
            steps = case.train.steps_of(one)
            inside = np.diff(steps) == 0
            changed = inside & (one.values[1:] != one.values[:-1])
            cycles = len(np.unique(steps[1:][changed]))
            if changed.sum() >= max(1, inside.sum() / 2) and (
                cycles >= CYCLES or changed.sum() >= 8
            ):
                yield self._finding(one, steps, changed.astype(np.float64), inside.sum())
                return

    def _finding(self, one: Series, steps: Ints, changed: Floats, inside: int) -> Finding:
        done = len(np.unique(steps))
        times = len(steps) / max(1, done)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if done > 1 else Severity.WARNING,
            terms=(one.name,),
            steps=steps_between(steps),
            summary=f"'{one.name}' changes between micro-batches of the same optimizer step: the "
            f"schedule runs {multiple(times)} times too fast",
            evidence=(
                Evidence(
                    text=f"it changes at {int(changed.sum())} of {inside} micro-batches without an "
                    f"optimizer step; {len(steps)} micro-batches, {done} steps",
                    series=one.name,
                    steps=steps_between(steps),
                    value=float(changed.sum() / max(1, inside)),
                    threshold=0.5,
                ),
            ),
            cause="scheduler.step() stands outside the condition that guards optimizer.step(). "
            "Expected if the schedule's length counts micro-batches.",
            action="Move scheduler.step() under optimizer.step().",
            verify=f"{RATES}  # at two micro-batches of one step: must be equal",
            caused_by=("optimizer-never-steps",),
        )


@final
class WeightNotAsDeclared:
    """A term's recorded weight is not what its declared schedule says.

    Statistic: recorded weights against the declared samples of the schedule (`schedules` in the
    header: by term, pairs of step and weight), linear between them. Threshold: apart by more than
    1% of the largest declared weight in more than a tenth of the records.

    Healthy look-alikes: differences between two samples of a curved schedule (1% covers those of
    samples at every percent), a schedule that a balancer is meant to change (declare none).
    """

    name: ClassVar[str] = "weight-not-as-declared"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.WEIGHTS})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term whose weight is another."""
        for term, samples in mapping(case.run.declared.get("schedules")).items():
            logged = weight_history(case.train, term)
            knots = _knots(samples)
            if logged is None or knots is None:
                continue
            steps = case.train.steps_of(logged)
            meant = np.interp(steps, knots[:, 0], knots[:, 1])
            apart = np.abs(logged.values - meant)
            off = apart > OFF * max(float(np.abs(knots[:, 1]).max()), 1e-12)
            if float(np.mean(off)) > 0.1:
                yield self._finding(term, steps, logged.values, meant, off.astype(np.float64))

    def _finding(
        self, term: str, steps: Ints, weights: Floats, meant: Floats, off: Floats
    ) -> Finding:
        worst = int(np.argmax(np.abs(weights - meant)))
        where = steps_between(steps[off > 0])
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR,
            terms=(term,),
            steps=where,
            summary=f"the weight of '{term}' is {number(float(weights[worst]))} at step "
            f"{int(steps[worst])} where its schedule says {number(float(meant[worst]))}",
            evidence=(
                Evidence(
                    text=f"another weight than declared in {np.mean(off):.0%} of the records",
                    series=f"weight/{term}",
                    steps=where,
                    value=float(weights[worst]),
                    threshold=float(meant[worst]),
                ),
            ),
            cause="The schedule is not asked for the current step, or something else overwrites "
            "the weight. Expected if a balancer multiplies it.",
            action=f"Pass the optimizer step to the schedule of '{term}'.",
            verify=f"print(weights[{term!r}], schedules[{term!r}](watch.steps))  # "
            "before watch.total: must be equal",
        )


def _knots(samples: object) -> Floats | None:
    """Steps and weights, shape (n, 2), n at least 1; None if they have another shape."""
    try:
        table = np.array(listing(samples), np.float64)
    except (TypeError, ValueError):
        return None
    return table[np.argsort(table[:, 0])] if table.ndim == 2 and table.shape[1] == 2 else None
