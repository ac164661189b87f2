"""A term that starts with a gradient far above all that was there."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import Place, judged, norms, weight_at
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.explosion import WORSE
from poise.doctor.series import multiple, named, weight_history
from poise.run import Floats, Series

JUMP = 3.0
"""Gradient norm of the new term over that of all others together before it began."""
UNEVEN = 10.0
"""Largest over smallest gradient of one value from which the loss function is looked at."""
ALIKE = 2.0
"""Largest over smallest value, or weight, that still count as one."""


@final
class GradientJump:
    """A term starts with several times the gradient of all others together.

    In the first steps after its start the shared parameters are moved for it alone, and what the
    others had learned is undone.

    Statistic: norm of the term's weighted gradient at the first three probes after its weight left
    0 (or after its first record), largest of them, over the median sum of the others' norms at the
    last three probes before. Where the weight has more than doubled since it started, the norm is
    brought back to the first weight, unless its ramp is about over at the first of these probes.
    Threshold: 3; a gentle ramp starts far below 1. If its
    gradient, its weight apart, differs tenfold between three probes or more after the start while
    its value does not double, that is said too: a logarithm or a root of an error is steepest where
    it is small.

    Healthy look-alikes: ramps, warm starts, terms that start with the training; adversaries that
    start late by design (a note, unless a task ends at three times its level before the start).
    """

    name: ClassVar[str] = "gradient-jump"
    fault: ClassVar[Fault] = Fault.JUMP
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that starts with a jump."""
        place = norms(case)
        for term in () if place is None else place.names:
            assert place is not None  # no names without a place
            start = _start(case, term)
            if start is None:
                continue
            before = np.flatnonzero(place.steps < start)[-3:]
            after = np.flatnonzero(place.steps >= start)[:3]
            if len(before) and len(after):
                usual = float(np.median(place.values[before].sum(axis=1)))
                new = float(_as_it_started(case, place, term, start)[:3].max())
                if usual > 0 and new > JUMP * usual:
                    yield self._finding(case, place, term, start, new / usual)

    def _finding(self, case: Case, place: Place, term: str, start: int, ratio: float) -> Finding:
        undone = [one for one in place.names if one != term and _undone(case, one, start)]
        late = case.role(term) == "adversary" and not undone
        what = f"; {named(undone)} comes undone" if undone else ""
        steps = (start, int(place.steps[place.steps >= start][:3].max()))
        uneven = _uneven(case, place, term, start)
        better = (
            " Its loss function is steepest where the error is small (poise.inspect shows it): "
            "take one of bounded slope, such as Huber in the unit of the error."
        )
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if late else Severity.WARNING,
            terms=(term,),
            steps=steps,
            summary=f"'{term}' starts at step {start} with {multiple(ratio)} times the gradient of "
            f"all other terms together{what}",
            evidence=(
                Evidence(
                    text=f"largest weighted gradient norm of '{term}' at the first probes after "
                    f"its start, over the sum of all norms before: {multiple(ratio)}",
                    series=f"gradient_norm/{term}",
                    steps=steps,
                    value=ratio,
                    threshold=JUMP,
                ),
                *uneven,
            ),
            cause="It starts at full weight with an error that was never trained. Expected for a "
            "stage that is meant to start over.",
            action=f"Ramp the weight of '{term}' up from 0 (poise.schedule), or start it with "
            f"{multiple(1 / ratio)} of the weight.{better if uneven else ''}",
            verify=rerun("that ramp", f"no other term may rise from step {start} on"),
        )


def _as_it_started(case: Case, place: Place, term: str, start: int) -> Floats:
    """Norms of a term at the probes from its start on, as they were with about its first weight.

    A ramp that is about over at the first probe is as good as none: then as they are.
    """
    after = place.steps >= start
    weights = np.abs(weight_at(case, term, np.append(place.steps[after], start)))
    reached, first = weights[:-1], weights[-1]
    norm = place.of(term)[after]
    grown = reached > ALIKE * first
    over = ALIKE * reached[0] >= reached.max()
    return (
        norm
        if over and grown[0]
        else np.where(grown, norm * first / np.maximum(reached, first), norm)
    )


def _undone(case: Case, term: str, start: int) -> bool:
    """Does a task end at three times its level before a step, or more?"""
    one = case.train.series.get(term)
    trace = case.stretches[0].traces.get(term)
    if one is None or trace is None or not judged(case, term) or not trace.positive:
        return False
    early = one.values[case.train.steps_of(one) < start]
    level = float(np.median(early[-max(5, len(early) // 10) :])) if len(early) else 0.0
    return 0 < WORSE * level < trace.end


def _uneven(case: Case, place: Place, term: str, start: int) -> tuple[Evidence, ...]:
    """What a gradient says that changes tenfold while its value does not; empty if it does not."""
    table = case.train
    one: Series | None = table.series.get(term)
    after = place.steps >= start
    weights = np.abs(weight_at(case, term, place.steps[after]))
    if one is None or np.count_nonzero(weights) < 3:
        return ()
    lengths = (place.of(term)[after] / np.where(weights > 0, weights, np.inf))[weights > 0]
    values = np.abs(one.values[table.steps_of(one) >= start])
    values = np.quantile(values[np.isfinite(values)], (0.1, 0.9))
    if lengths.min() <= 0 or values[0] <= 0:
        return ()
    spread, change = float(lengths.max() / lengths.min()), float(values[1] / values[0])
    if spread < UNEVEN or change > ALIKE:
        return ()
    return (
        Evidence(
            text=f"gradient of '{term}', weight apart: {multiple(spread)} times as large at one "
            f"probe as at another, while its value stays within a factor of {change:.2f}",
            series=f"gradient_norm/{term}",
            steps=(start, int(place.steps[-1])),
            value=spread,
            threshold=UNEVEN,
        ),
    )


def _start(case: Case, term: str) -> int | None:
    """Step at which a term's weight left 0, or its first record, if that is not the beginning."""
    table = case.train
    logged = weight_history(table, term)
    if logged is not None and logged.values[0] == 0 and np.any(logged.values):
        return int(table.steps_of(logged)[np.flatnonzero(logged.values)[0]])
    one: Series | None = table.series.get(term)
    late = one is not None and len(one) and one.rows[0] > max(5, len(table) // 50)
    return int(table.steps_of(one)[0]) if one is not None and late else None
