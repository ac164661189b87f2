"""Gradients of two tasks that oppose each other all the time."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.intervals import Interval, mean_interval
from poise.doctor.probes import WINDOW, fallen, series_at, windows
from poise.doctor.proofs import alone
from poise.doctor.rule import Need
from poise.doctor.series import number, steps_between
from poise.run import Floats, Ints, Kind, Series

OPPOSED = -0.3
"""Cosine that every window and the interval of the mean must stay below."""
LEARNS = 0.1
"""Part of its start that a term must have lost to count as learning."""


@final
class GradientConflict:
    """The gradients of two terms point against each other, batch after batch.

    What one gains the other loses. A single negative cosine says nothing: healthy pairs have one in
    most batches.

    Statistic: cosine of the two gradients of the same batch, probe by probe: its mean in each
    window of 10 probes, and the 95% interval of its mean over all probes, which knows that
    neighbouring probes resemble each other. Thresholds: every window below -0.3, 2 windows at
    least, and the upper end of the interval below -0.3. A warning if one of the two has lost less
    than 10% of its start; else, or with a regulariser or constraint, a note.

    It misleads where batches are small. The noise that two terms share in a batch has a cosine of
    its own, which is all that is left once both have converged (hence the note); noise they do not
    share hides a conflict of their mean gradients. Larger batches tell.

    Healthy look-alikes: adversaries and gradient reversal (not judged, by declared role or name),
    regularisers, tasks that both learn all the same (a note), chance and slow drifts (the
    interval).
    """

    name: ClassVar[str] = "gradient-conflict"
    fault: ClassVar[Fault] = Fault.CONFLICT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COSINES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every pair that is opposed throughout, at the place that says most."""
        seen: dict[tuple[str, str], Series] = {}
        for one in sorted(series_at(case, Kind.COSINE), key=_near):
            pair = _pair(case, one)
            if pair is not None and len(one) >= 2 * WINDOW and np.isfinite(one.values).all():
                seen.setdefault(pair, one)
        for pair, one in seen.items():
            means = _means(one.values)
            found = mean_interval(one.values)
            if max(means) < OPPOSED and found.high < OPPOSED:
                yield self._finding(case, one, pair, found, max(means))

    def _finding(
        self, case: Case, one: Series, pair: tuple[str, str], found: Interval, window: float
    ) -> Finding:
        roles = {role_of(case, name) for name in pair}
        lost = {name: fallen(case, name) for name in pair}
        behind = [name for name, part in lost.items() if part is not None and part < LEARNS]
        sure = roles == {"task"} and bool(behind)
        steps = _steps(case, one)
        first, second = sorted(pair, key=lambda name: name not in behind)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if sure else Severity.NOTE,
            terms=(first, second),
            steps=steps_between(steps),
            summary=f"the gradients of '{first}' and '{second}' oppose each other: cosine "
            f"{number(found.mean)}, 95% interval {number(found.low)} to {number(found.high)}, over "
            f"{len(one)} probes" + (f"; '{first}' hardly falls" if sure else ""),
            evidence=(
                Evidence(
                    text=f"cosine of gradients of the same batch: {found}; the mean of every "
                    f"window of {WINDOW} is at most {number(window)}",
                    series=one.name,
                    steps=steps_between(steps),
                    value=found.high,
                    threshold=OPPOSED,
                ),
            ),
            cause="They ask the same parameters for opposite things. Expected between a fit and "
            "its penalty, and for adversarial terms (declare the role).",
            action=f"Give '{first}' parameters of its own, or project the conflict away "
            "(torchjd); if one of the two is a penalty, declare its role.",
            verify=alone(first, f"falls at once: '{second}' held it back"),
            caused_by=("gradient-dominance",),
        )


def _near(one: Series) -> int:
    """Order of places: all shared parameters say most, the last tensor before them least."""
    return 2 if one.name.endswith("@edge") else int("@" in one.name)


def _pair(case: Case, one: Series) -> tuple[str, str] | None:
    """The two terms of a cosine that are both to be minimised; None for all others."""
    first = one.of or ""
    rest = one.name.removeprefix(f"cosine/{first}/").partition("@")[0]
    if rest not in {term.name for term in case.terms}:
        return None
    swings = {"adversary", "monitor", "reinforcement"}
    return None if swings & {role_of(case, first), role_of(case, rest)} else (first, rest)


def _means(values: Floats) -> list[float]:
    """Mean of each window."""
    return [float(np.mean(values[one])) for one in windows(len(values))]


def _steps(case: Case, one: Series) -> Ints:
    table = next(table for table in case.run.tables if one.name in table.series)
    return table.steps_of(one)
