"""What the log itself does to the numbers: restarts, gaps, rounding, smoothing, truncation."""

import re
from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.schedule import is_scheduler_crash
from poise.doctor.series import (
    finite,
    number,
    steps_between,
)
from poise.run import Ints, Series

CUT = re.compile(
    r"truncat|cut off|incomplete|unfinished|breaks off|ends in the middle", re.IGNORECASE
)
"""Words by which a reader says that the end of a log is missing."""


BY_HAND = re.compile(r"KeyboardInterrupt|SIG(?:TERM|INT|KILL)|\bkilled by\b", re.IGNORECASE)
"""Words of a training that was stopped by somebody; errors beside them are the clean-up's."""


@final
class Restart:
    """The log holds more than one (re)start of the training.

    Curves that are drawn over such a log fold back, and each restart may begin with a burst, since
    the optimizer's moments or the position in the data are lost.

    Statistic: number of records where the step goes back or a new start is announced, and the
    largest main loss in the first 5 records after each against the median of the 20 before it.
    Threshold: one restart; always a note, with a burst mentioned from a factor of 2 on.

    Healthy look-alikes: all restarts on purpose.
    """

    name: ClassVar[str] = "restart"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note about all restarts of the training table."""
        table = case.train
        starts = np.flatnonzero(np.diff(table.segments)) + 1
        if not len(starts):
            return
        loss = case.total or next(iter(case.terms), None)
        bursts = 0 if loss is None else _bursts(loss, starts)
        pairs = zip(table.steps[starts - 1].tolist(), table.steps[starts].tolist(), strict=True)
        folds = ", ".join(f"{before} to {after}" for before, after in list(pairs)[:3])
        burst = f"; {_begins(bursts)} with a burst" if bursts else ""
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=() if loss is None else (loss.name,),
            steps=steps_between(table.steps[starts]),
            summary=f"The training was started {len(starts) + 1} times (from step {folds}){burst}.",
            evidence=(
                Evidence(
                    text=f"restarts: {len(starts)}, the first at step "
                    f"{int(table.steps[starts[0]])}",
                    series=table.step_name,
                    steps=steps_between(table.steps[starts]),
                    value=float(len(starts)),
                    threshold=1.0,
                ),
            ),
            cause=(
                "Runs were appended to one file, or the training was resumed. A burst means that "
                "optimizer state was lost; expected at a start from scratch."
            ),
            action="Judge each start by itself; restore the optimizer's state when resuming.",
            verify="print(optimizer.state_dict()['state'][0])  # before the stop and after "
            "the resume",
        )


def _finished(case: Case) -> bool:
    """True if the run declares its length and has done all of it."""
    planned = case.run.declared.get("total_steps")
    return isinstance(planned, int) and steps_between(case.train.steps)[1] >= planned - 1


def _begins(bursts: int) -> str:
    return "one of them begins" if bursts == 1 else f"{bursts} of them begin"


def _bursts(loss: Series, starts: Ints) -> int:
    """Number of restarts after which the loss is above twice its level before."""
    at = np.searchsorted(loss.rows, starts)
    count = 0
    for place in at.tolist():
        before, after = loss.values[max(0, place - 20) : place], loss.values[place : place + 5]
        before, after = finite(before), finite(after)
        if len(before) and len(after):
            count += bool(after.max() > 2 * np.median(before) > 0)
    return count


@final
class Crash:
    """The log says that the training died.

    The numbers end where it died; whatever was planned after that did not happen.

    Statistic: crash messages in the log. Threshold: one that no later record follows is a warning;
    earlier ones, after which the training went on, are a note.

    Healthy look-alikes: an interrupt by hand and the errors of the clean-up after it, and an error
    after the last declared step: both are notes.
    """

    name: ClassVar[str] = "crash"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding, about the last crash."""
        crashes = [one for one in case.run.events if one.name == "crash"]
        if not crashes or is_scheduler_crash(crashes[-1]):
            return
        end = int(case.train.steps[-1]) if len(case.train) else 0
        together = [one for one in crashes if one.step == crashes[-1].step]
        step = end if crashes[-1].step is None else crashes[-1].step
        by_hand = next((one for one in together if BY_HAND.search(one.text)), None)
        last = by_hand or crashes[-1]
        mild = step < end or by_hand is not None or _finished(case)
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if mild else Severity.WARNING,
            terms=(),
            steps=(step, step),
            summary=f"It died {len(crashes)} times, last at step {step}: {last.text[:99]}",
            evidence=(
                Evidence(
                    text=last.text,
                    series="events",
                    steps=(step, step),
                    value=float(len(crashes)),
                    threshold=1.0,
                ),
            ),
            cause="See the message; it is the log's own.",
            action="Repair what the message says and resume from the last checkpoint.",
            verify="tail -n 20 LOG",
        )


@final
class RepeatedSteps:
    """Several records of one table stand at the same step.

    Either the log was written twice (two processes, two loggers), or the step counter does not
    count what it seems to.

    Statistic: share of records whose step equals the one before. Threshold: more than 1 in 100 and
    at least 3; always a note.

    Healthy look-alikes: gradient accumulation with a record per micro-batch, several processes that
    log to one file.
    """

    name: ClassVar[str] = "repeated-steps"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note, about the training table."""
        table = case.train
        if "micro" in table.series:
            return  # The record counts micro-batches itself.
        again = np.flatnonzero(np.diff(table.steps) == 0)
        if len(again) < 3 or len(again) <= len(table) / 100:
            return
        steps = steps_between(table.steps[again])
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(),
            steps=steps,
            summary=f"{len(again)} of {len(table)} records repeat the {table.step_name} before.",
            evidence=(
                Evidence(
                    text=f"{len(again)} records at the step of the record before",
                    series=table.step_name,
                    steps=steps,
                    value=float(len(again)),
                    threshold=max(3.0, len(table) / 100),
                ),
            ),
            cause=(
                "Several processes or loggers write to one log, or each micro-batch has a record. "
                "Expected with gradient accumulation."
            ),
            action="Log from one process, once per optimizer step.",
            verify=f"print(os.environ.get('RANK'), {table.step_name})  # where the log is written",
        )


@final
class LogGap:
    """Records are missing from the middle of the log.

    What happened there is unknown: a finding about a jump at such a place may be about the gap.

    Statistic: distance from one record to the next in steps, inside one start, against the median
    distance. Threshold: 10 times the median and a twentieth of the run; always a note.

    Healthy look-alikes: logging that was made rarer later on.
    """

    name: ClassVar[str] = "log-gap"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note, about the widest gap."""
        table = case.train
        wide = np.where(np.diff(table.segments) == 0, np.diff(table.steps), 0)
        at = int(np.argmax(wide))
        usual = float(np.median(wide[wide > 0])) if (wide > 0).any() else 0.0
        first, last = steps_between(table.steps)
        limit = max(10 * usual, 0.05 * (last - first))
        if usual == 0 or wide[at] <= limit:
            return
        steps = (int(table.steps[at]), int(table.steps[at + 1]))
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(),
            steps=steps,
            summary=f"No records from {table.step_name} {steps[0]} to {steps[1]}; the usual "
            f"distance is {number(usual)}.",
            evidence=(
                Evidence(
                    text=f"{number(float(wide[at]))} to the next record, usually {number(usual)}",
                    series=table.step_name,
                    steps=steps,
                    value=float(wide[at]),
                    threshold=limit,
                ),
            ),
            cause="Part of the log is lost, or logging became rarer on purpose.",
            action="Look for the missing part of the log.",
            verify=f"grep -n -E '{steps[0]}|{steps[1]}' LOG  # their times, and the lines between",
        )


@final
class Truncated:
    """The log ends in the middle of a record.

    The writing process died or the file was copied while it grew: the last numbers are missing.

    Statistic: the reader's own remark. Threshold: one; always a note.

    Healthy look-alikes: a run that is still going on.
    """

    name: ClassVar[str] = "truncated"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one note."""
        remarks = [one for one in case.run.remarks if CUT.search(one)]
        if remarks:
            end = steps_between(case.train.steps)[1]
            yield Finding(
                rule=self.name,
                fault=self.fault,
                severity=Severity.NOTE,
                terms=(),
                steps=(end, end),
                summary=remarks[0],
                evidence=(
                    Evidence(
                        text=remarks[0], series="log", steps=(end, end), value=float(len(remarks))
                    ),
                ),
                cause="The writer died, or the file was copied while it grew.",
                action="Copy the log again, or accept that its end is missing.",
                verify="tail -c 200 LOG",
            )
