"""A term whose error is large while its gradient vanishes."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import Place, fallen, judged, norms, weight_at
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.run import Floats

VANISHED = 1e-3
"""Gradient per unit of loss over that of the other tasks; losses in large units reach 0.02."""
NOTHING = 0.05
"""Gradient over that of the other tasks from which a term still moves the parameters."""


@final
class GradientVanishes:
    """A term's error is large and its gradient next to nothing.

    Saturation: beyond a clamp, deep in a sigmoid, on clipped logits, the loss no longer tells the
    parameters which way is down, and it does so least where the error is largest.

    Statistic: unweighted gradient norm over value, median of the probes, against the median of the
    other tasks. Thresholds: below 0.001 of theirs, at 3 probes or more, the value above 5% of its
    start, and the term has lost less than 5% of it; the gradient itself below 5% of theirs; two
    tasks must be there to compare with.

    Healthy look-alikes: robust losses whose gradient does not grow with the error (Huber, L1) in
    large units: 0.02 of the others is common, so the threshold is far below; a large constant in
    the value (its gradient is like that of the others); converged terms; roles other than task
    (not judged).
    """

    name: ClassVar[str] = "gradient-vanishes"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every saturated task."""
        place = norms(case)
        if place is None or len(place) < 3:
            return
        rates = {name: _rate(case, place, name) for name in place.names}
        tasks = {k: v for k, v in rates.items() if v is not None and judged(case, k)}
        for term, rate in tasks.items():
            others = [other for name, other in tasks.items() if name != term]
            lost = fallen(case, term)
            if not others or lost is None or lost >= 0.05:
                continue
            usual = float(np.median(others))
            if 0 < rate < VANISHED * usual and _small(case, place, term, tasks):
                yield self._finding(term, rate, usual, place.span, len(place))

    def _finding(
        self, term: str, rate: float, usual: float, steps: tuple[int, int], probes: int
    ) -> Finding:
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(term,),
            steps=steps,
            summary=f"'{term}' hardly falls and has {number(rate / usual)} of the gradient that "
            "the other terms have per unit of loss",
            evidence=(
                Evidence(
                    text=f"unweighted gradient norm over value {number(rate)}, median of the "
                    f"other tasks {number(usual)}, over {probes} probes",
                    series=f"gradient_norm/{term}",
                    steps=steps,
                    value=rate / usual,
                    threshold=VANISHED,
                ),
            ),
            cause="Its output is saturated (sigmoid, clamp, clipped logits), or a constant is most "
            "of its value. Expected if what is left of it is a constant offset.",
            action=f"Use the form of '{term}' that takes logits, or widen the clamp.",
            verify=gradient(term, "per sample, where its error is largest: must not vanish"),
        )


def _small(case: Case, place: Place, term: str, tasks: Iterable[str]) -> bool:
    """True if the unweighted gradient of a term is next to nothing beside the other tasks'."""
    sizes = {one: _median(place.of(one), weight_at(case, one, place.steps)) for one in tasks}
    others = [size for name, size in sizes.items() if name != term]
    return sizes[term] < NOTHING * float(np.median(others))


def _median(norm: Floats, weight: Floats) -> float:
    on = weight != 0
    return float(np.median(norm[on] / np.abs(weight[on]))) if on.any() else 0.0


def _rate(case: Case, place: Place, term: str) -> float | None:
    """Median of unweighted gradient norm over value at the probes; None if that says nothing."""
    one = case.train.series.get(term)
    if one is None or not len(one):
        return None
    known = case.train.steps_of(one)
    at = np.clip(np.searchsorted(known, place.steps, side="right") - 1, 0, None)
    with np.errstate(over="ignore"):
        scale = np.abs(one.values[at] * weight_at(case, term, place.steps))
        good = np.isfinite(scale) & (scale > 0)
        rate = place.of(term)[good] / scale[good]
    return float(np.median(rate)) if np.isfinite(rate).any() else None
