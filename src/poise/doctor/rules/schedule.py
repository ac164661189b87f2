"""Learning rates against the shapes that schedules have."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.zero_rate import rates
from poise.doctor.series import constant, named, number, span, steps_between
from poise.run import Event, Floats, Ints, Series

SCHEDULER = re.compile(
    r"(?i:lr_?sched|\bscheduler\.(?:step|py|get)|ReduceLROnPlateau|\bget_lr\b)|\b[A-Z]\w*LR\b"
)
"""Names by which an error message gives away that a scheduler raised it."""
GONE = 1e-4
"""Part of its peak below which a rate moves nothing any more."""
LONG_GONE = 0.25
"""Part of the run that is too long for it."""
RESTARTS = 20
"""Restarts of a rate beyond which they are no schedule that anybody published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One learning rate between two (re)starts.

    Attributes:
        series: The learning rate.
        steps: Step of every value, shape (n,).
        values: Its finite values, shape (n,).
    """

    series: Series
    steps: Ints
    values: Floats


def stretches(case: Case, *, least: int = 20) -> Iterator[Stretch]:
    """Every learning rate, cut at restarts; only pieces of at least `least` values."""
    for table, series in rates(case):
        good = np.isfinite(series.values)
        rows, values = series.rows[good], series.values[good]
        cuts = np.flatnonzero(np.diff(table.segments[rows])) + 1
        for part, piece in zip(np.split(rows, cuts), np.split(values, cuts), strict=True):
            if len(piece) >= least:
                yield Stretch(series=series, steps=table.steps[part], values=piece)


@final
class LearningRateConstant:
    """A schedule is declared, but the learning rate never changes.

    The scheduler is never stepped, steps another optimizer, or its result is overwritten.

    Statistic: number of different learning rates over at least 20 records. Threshold: one, while
    the run declares a schedule other than `constant`.

    Healthy look-alikes: a warm-up or a milestone that lies beyond the end of a short run, which is
    why it is an error only where most of the declared steps are done.
    """

    name: ClassVar[str] = "lr-constant"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE, Need.SCHEDULE})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding if all learning rates stand still."""
        declared = str(case.run.declared.get("schedule"))
        found = [(table, one) for table, one in rates(case) if len(one) >= 20]
        moving = any(not constant(one.values) for _, one in found)
        if declared == "constant" or not found or moving:
            return
        steps = span(*found[0])
        planned = case.run.declared.get("total_steps")
        done = steps[1] > 0.5 * planned if isinstance(planned, int) else False
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if done else Severity.WARNING,
            terms=tuple(one.name for _, one in found),
            steps=steps,
            summary=(
                f"{named([one.name for _, one in found])} stays at "
                f"{number(float(found[0][1].values[0]))}"
                f" for {len(found[0][1])} records although '{declared[:60]}' is declared."
            ),
            evidence=(
                Evidence(
                    text=f"1 learning rate in {len(found[0][1])} records",
                    series=found[0][1].name,
                    steps=steps,
                    value=1.0,
                    threshold=1.0,
                ),
            ),
            cause=(
                "scheduler.step() is never called, or it drives another optimizer. Expected only "
                "if the schedule's first change lies beyond this run."
            ),
            action="Call scheduler.step() once after every optimizer.step().",
            verify="print(scheduler.last_epoch, optimizer.param_groups[0]['lr'])  # after 10 steps",
        )


@final
class LearningRateFloorEarly:
    """The learning rate reaches its floor long before the end and stays there.

    The rest of the run changes hardly anything. The usual reason is a schedule that is stepped
    once per micro-batch or per process instead of once per optimizer step, or that was given too
    few total steps. Falls by one factor are those of a plateau scheduler that sees no improvement,
    as in the wrong mode.

    Statistic: where the learning rate falls below 1/1000 of its peak for good, and for how much of
    the run it stays constant there. Thresholds: below 1/1000 for more than a tenth of the records,
    which no cosine or linear end reaches (a cosine is below 1/1000 of its peak for the last 2% of
    the run). Reached in the first half it is a warning, later a note. A rate that goes on falling
    is judged by where it is below 1/10000 of its peak: for more than a quarter of the records, a
    warning.

    Healthy look-alikes: milestones that divide by 10 (three of them reach 1/1000: fewer than 8
    different learning rates are a note), an exponential decay that goes on falling (not counted), a
    deliberate cool-down phase.
    """

    name: ClassVar[str] = "lr-floor-early"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the first learning rate that ends early."""
        for one in stretches(case):
            if found := self._stretch(one):
                yield found
                return

    def _stretch(self, one: Stretch) -> Finding | None:
        peak = float(np.abs(one.values).max())
        above = np.flatnonzero(np.abs(one.values) > 1e-3 * peak)
        if not len(above) or above[-1] + 1 >= 0.9 * len(one.values):
            return None
        floor = one.values[above[-1] + 1 :]
        if float(floor[len(floor) // 4]) > 1.05 * float(floor[-1]) and floor[-1] > 0:
            kept = np.flatnonzero(np.abs(one.values) > GONE * peak)
            start = int(kept[-1]) + 1
            long = len(one.values) - start > LONG_GONE * len(one.values)
            return self._finding(one, start, peak, sure=True) if long else None
        return self._finding(one, int(above[-1]) + 1, peak)

    def _finding(self, one: Stretch, start: int, peak: float, *, sure: bool = False) -> Finding:
        share = start / len(one.values)
        few = len(np.unique(one.values[:start])) < 8
        early = sure or (share < 0.5 and not few)
        steps = steps_between(one.steps[start:])
        cause, action, verify = _why_early(_divisions(one.values[:start]))
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if early else Severity.NOTE,
            terms=(one.series.name,),
            steps=steps,
            summary=(
                f"'{one.series.name}' is at {number(float(one.values[-1]))} at the end, and below "
                f"1/{10_000 if sure else 1_000} of its peak {number(peak)} from "
                f"{number(100 * share)}% of the run on."
            ),
            evidence=(
                Evidence(
                    text=f"{1 - share:.0%} of the records are spent at the floor (a cosine: 2%)",
                    series=one.series.name,
                    steps=steps,
                    value=1 - share,
                    threshold=0.1,
                ),
            ),
            cause=cause,
            action=action,
            verify=verify,
            caused_by=("scheduler-per-micro-batch",),
        )


def _divisions(values: Floats) -> tuple[int, float] | None:
    """How often a rate is multiplied by one factor and kept in between; None if it is not so."""
    at = np.flatnonzero(np.diff(values)) + 1
    if len(at) < 2 or 2 * len(at) > len(values) or not values[at - 1].all():
        return None
    factors = values[at] / values[at - 1]
    factor = float(np.median(factors))
    return (len(at), factor) if factor < 1 and np.allclose(factors, factor, rtol=0.01) else None


def _why_early(divisions: tuple[int, float] | None) -> tuple[str, str, str]:
    """Cause, action and proof for a rate that is gone too early."""
    if divisions is None:
        return (
            "The schedule is stepped more often than the optimizer (per micro-batch, per process) "
            "or was given too few total steps. Expected with a planned cool-down phase.",
            "Step the schedule once per optimizer step and count its total steps so.",
            "print(scheduler.last_epoch, optimizer_steps)  # must be equal",
        )
    times, factor = divisions
    return (
        f"Up to there it falls {times} times by one factor, {number(factor)}: a plateau scheduler "
        "that sees no improvement (mode 'max' on a loss, another number than meant, a patience "
        "below the noise), or a step size that is too short. Expected with milestones.",
        "Give ReduceLROnPlateau the mode of its number ('min' for a loss) and more patience; give "
        "StepLR a longer step.",
        "print(scheduler.mode, scheduler.best)  # of a plateau scheduler: the best value must be "
        "the best one so far",
    )


@final
class LearningRateReset:
    """The learning rate starts over where the training was resumed.

    The schedule's state was not restored with the parameters: the resumed run repeats its warm-up
    or trains at the peak again.

    Statistic: the first learning rate after a resume against the one that the run had before at the
    same step. Thresholds: a factor of 2, where the resumed run begins after the first tenth of what
    was done before (a smaller step is a new training in the same file, which may start over).

    Healthy look-alikes: a resume with a new schedule on purpose.
    """

    name: ClassVar[str] = "lr-reset"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding per resume whose learning rate starts over, for the first rate that does."""
        pieces = list(stretches(case, least=3))
        for before, after in pairwise(pieces):
            if before.series is after.series and (found := self._pair(before, after)):
                yield found

    def _pair(self, before: Stretch, after: Stretch) -> Finding | None:
        step = int(after.steps[0])
        if step <= before.steps[0] + 0.1 * (before.steps[-1] - before.steps[0]):
            return None
        if step > before.steps[-1]:
            expected = float(before.values[-1])
        else:
            expected = float(np.interp(step, before.steps, before.values))
        got = float(after.values[0])
        factor = abs(got / expected) if expected else 1e300
        if got == expected or 0.5 <= factor <= 2:
            return None
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(after.series.name,),
            steps=steps_between(after.steps),
            summary=(
                f"'{after.series.name}' is {number(got)} where the run resumes at step {step}; "
                f"it was {number(expected)} there before."
            ),
            evidence=(
                Evidence(
                    text=f"{number(got)} after the resume over {number(expected)} before "
                    "at that step",
                    series=after.series.name,
                    steps=(step, step),
                    value=min(factor, 1e300),
                    threshold=2.0 if factor > 1 else 0.5,
                ),
            ),
            cause=(
                "The schedule's state was not restored with the checkpoint. Expected if the "
                "resumed run was given a new schedule on purpose."
            ),
            action="Save and load scheduler.state_dict() with the optimizer's.",
            verify="print(scheduler.last_epoch)  # after loading the checkpoint: not 0",
            caused_by=("restart",),
        )


def _times(count: int) -> str:
    return "once," if count == 1 else f"{count} times, first"


@final
class LearningRateSawtooth:
    """The learning rate jumps back up during the run, without a restart.

    Warm restarts do this on purpose. So does, unasked, a scheduler that is built anew every epoch.

    Statistic: rises from one record to the next by more than a factor of 3, after the learning rate
    had fallen below half of its peak. Threshold: one such rise is a note, more than 20 are a
    warning: published schedules with restarts have fewer (SGDR, snapshot ensembles and cyclic rates
    3 to 20 in a whole training), a scheduler that counts in another unit than it is stepped in has
    hundreds.

    Healthy look-alikes: cosine schedules with warm restarts, cyclic schedules, a new stage.
    """

    name: ClassVar[str] = "lr-sawtooth"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the first learning rate that jumps."""
        for one in stretches(case):
            before, after = one.values[:-1], one.values[1:]
            fallen = before < 0.5 * np.maximum.accumulate(before)
            jumps = np.flatnonzero(fallen & (after > 3 * before))
            if len(jumps):
                yield self._finding(one, jumps + 1)
                return

    def _finding(self, one: Stretch, jumps: Ints) -> Finding:
        steps = steps_between(one.steps[jumps])
        at = int(jumps[0])
        rise = f"{number(float(one.values[at - 1]))} to {number(float(one.values[at]))}"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if len(jumps) > RESTARTS else Severity.NOTE,
            terms=(one.series.name,),
            steps=steps,
            summary=(
                f"'{one.series.name}' jumps back up {_times(len(jumps))} from {rise} at step "
                f"{int(one.steps[at])}."
            ),
            evidence=(
                Evidence(
                    text=f"{len(jumps)} rises by more than a factor of 3 after a decay",
                    series=one.series.name,
                    steps=steps,
                    value=float(len(jumps)),
                    threshold=1.0,
                ),
            ),
            cause=(
                "Warm restarts, a cyclic schedule or a new stage, where it is expected; or a "
                "scheduler that is built anew, every epoch for instance, or one that counts epochs "
                "and is stepped with every batch."
            ),
            action="Build the scheduler once, and give it its length in the unit in which it is "
            "stepped, unless restarts are meant.",
            verify="print(id(scheduler), scheduler.last_epoch)  # at the start of every epoch",
            caused_by=("scheduler-per-micro-batch",),
        )


def is_scheduler_crash(event: Event) -> bool:
    """True if an event is a crash whose words name a learning-rate scheduler."""
    return event.name == "crash" and SCHEDULER.search(event.text) is not None


@final
class SchedulerCrash:
    """The training died in its learning-rate scheduler.

    Typically at the first milestone, hours after the start: a number in the configuration arrived
    as text, or a list was exhausted.

    Statistic: crash messages that name a scheduler. Threshold: one.

    Healthy look-alikes: none; a crash elsewhere is reported by `crash`.
    """

    name: ClassVar[str] = "scheduler-crash"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding: the last crash of a scheduler."""
        crashes = [one for one in case.run.events if is_scheduler_crash(one)]
        if not crashes:
            return
        last = crashes[-1]
        step = last.step if last.step is not None else steps_between(case.train.steps)[1]
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR,
            terms=(),
            steps=(step, step),
            summary=f"The training died in its scheduler at step {step}: {last.text[:120]}",
            evidence=(
                Evidence(
                    text=last.text, series="events", steps=(step, step), value=float(len(crashes))
                ),
            ),
            cause="A setting of the schedule has the wrong type or length and is first used here.",
            action="Correct the schedule's settings and step it once past its last milestone.",
            verify="for _ in range(total_steps): scheduler.step()  # needs no training",
        )
