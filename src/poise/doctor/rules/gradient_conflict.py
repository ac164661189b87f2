"""Gradients of two tasks that oppose each other all the time."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.probes import WINDOW, fallen, series_at, windows
from poise.doctor.rule import Need
from poise.doctor.series import number, steps_between
from poise.run import Floats, Ints, Kind, Series

OPPOSED = -0.3
"""Cosine that a window must stay below."""
LEARNS = 0.1
"""Part of its start that a term must have lost to count as learning."""


@final
class GradientConflict:
    """The gradients of two terms point against each other, batch after batch.

    What one gains the other loses. A single negative cosine says nothing: healthy pairs have one in
    most batches.

    Statistic: mean cosine of each window of 10 probes and its standard error. Thresholds: mean plus
    two standard errors below -0.3 in every window, 2 windows at least. A warning if one of the two
    has lost less than 10% of its start; else, or with a regulariser or constraint, a note.

    Healthy look-alikes: adversaries and gradient reversal (not judged, by declared role or name),
    regularisers, tasks that both learn all the same (a note), chance (two windows with errors).
    """

    name: ClassVar[str] = "gradient-conflict"
    fault: ClassVar[Fault] = Fault.CONFLICT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.COSINES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every pair that is opposed throughout."""
        for one in series_at(case, Kind.COSINE):
            pair = _pair(case, one)
            if pair is None or len(one) < 2 * WINDOW or not np.isfinite(one.values).all():
                continue
            upper = _upper(one.values)
            if bool((upper < OPPOSED).all()):
                yield self._finding(case, one, pair, float(upper.max()))

    def _finding(self, case: Case, one: Series, pair: tuple[str, str], upper: float) -> Finding:
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
            f"{number(float(np.mean(one.values)))} over {len(one)} probes"
            + (f"; '{first}' hardly falls" if sure else ""),
            evidence=(
                Evidence(
                    text=f"mean cosine {number(float(np.mean(one.values)))}; the upper bound of "
                    f"every window is at most {number(upper)}",
                    series=one.name,
                    steps=steps_between(steps),
                    value=upper,
                    threshold=OPPOSED,
                ),
            ),
            cause="They ask the same parameters for opposite things. Expected between a fit and "
            "its penalty, and for adversarial terms (declare the role).",
            action=f"Give '{first}' parameters of its own, or project the conflict away "
            "(torchjd); if one of the two is a penalty, declare its role.",
            verify=f"Train '{first}' alone: if it falls at once, '{second}' held it back.",
            caused_by=("gradient-dominance",),
        )


def _pair(case: Case, one: Series) -> tuple[str, str] | None:
    """The two terms of a cosine that are both to be minimised; None for all others."""
    first = one.of or ""
    rest = one.name.removeprefix(f"cosine/{first}/").partition("@")[0]
    if rest not in {term.name for term in case.terms}:
        return None
    swings = {"adversary", "monitor", "reinforcement"}
    return None if swings & {role_of(case, first), role_of(case, rest)} else (first, rest)


def _upper(values: Floats) -> Floats:
    """Mean plus two standard errors of each window."""
    parts = [values[one] for one in windows(len(values))]
    return np.array([np.mean(p) + 2 * np.std(p, ddof=1) / len(p) ** 0.5 for p in parts])


def _steps(case: Case, one: Series) -> Ints:
    table = next(table for table in case.run.tables if one.name in table.series)
    return table.steps_of(one)
