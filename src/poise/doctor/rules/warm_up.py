"""A warm-up that starts over and over."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.schedule import Stretch, stretches
from poise.doctor.series import number, steps_between
from poise.run import Floats, Ints

FALLS = 0.1
"""Part of its top to which the rate falls from one record to the next."""
TIMES = 2
"""Falls that make a habit; one may be a new stage."""
SAME = 3
"""Records after each fall that must repeat those after the first."""


@final
class WarmUpRepeated:
    """The learning rate falls from its top to the bottom at once and warms up again, repeatedly.

    The schedule is built anew, every epoch for instance, so that it never gets beyond its
    beginning.

    Statistic: falls from one record to the next, from the highest rate since the last one to a
    tenth of it, after which the rate rises in the same values each time. Thresholds: 2 falls, 3
    records after each that agree to six digits.

    Healthy look-alikes: warm restarts (the rate falls gradually and jumps up), cyclic rates
    (gradual both ways), a new stage with a warm-up of its own (one fall).
    """

    name: ClassVar[str] = "warm-up-repeated"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LEARNING_RATE})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding: the first learning rate that does so."""
        for one in stretches(case):
            falls = _falls(one.values)
            if len(falls) >= TIMES and _alike(one.values, falls):
                yield _finding(one, falls)
                return


def _falls(values: Floats) -> Ints:
    """Where the rate is a tenth of the record before, which was the highest since the last time."""
    found: list[int] = []
    top = 0.0
    for at in range(1, len(values)):
        top = max(top, float(values[at - 1]))
        if top > 0 and values[at - 1] >= top and values[at] <= FALLS * top:
            found.append(at)
            top = 0.0
    return np.array(found, np.int64)


def _alike(values: Floats, falls: Ints) -> bool:
    """True if the rate rises after each fall, in the same values as after the first."""
    first = values[falls[0] : falls[0] + SAME]
    parts = [values[at : at + SAME] for at in falls if at + SAME <= len(values)]
    rises = len(first) == SAME and first[-1] > first[0]
    same = [bool(np.allclose(part, first, rtol=1e-6, atol=0)) for part in parts]
    return rises and len(parts) >= TIMES and all(same)


def _finding(one: Stretch, falls: Ints) -> Finding:
    steps = steps_between(one.steps[falls])
    top, bottom = float(one.values[falls[0] - 1]), float(one.values[falls[0]])
    return Finding(
        rule=WarmUpRepeated.name,
        fault=WarmUpRepeated.fault,
        severity=Severity.WARNING,
        terms=(one.series.name,),
        steps=steps,
        summary=f"'{one.series.name}' falls from {number(top)} to {number(bottom)} at once and "
        f"warms up again, {len(falls)} times from step {steps[0]} on",
        evidence=(
            Evidence(
                text=f"{len(falls)} falls from the top to a tenth of it or less, each followed by "
                "the same rise",
                series=one.series.name,
                steps=steps,
                value=float(len(falls)),
                threshold=float(TIMES),
            ),
        ),
        cause="The scheduler is made inside the loop, or its state is lost: it begins again each "
        "time. Expected for stages that each have a warm-up.",
        action="Build the scheduler once, before the first epoch.",
        verify="print(id(scheduler), scheduler.last_epoch)  # at the start of every epoch",
        caused_by=("restart",),
    )
