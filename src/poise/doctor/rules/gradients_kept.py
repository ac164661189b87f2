"""Gradients of earlier steps that are still there: nobody zeroes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import STEADY, norms, weight_at
from poise.doctor.rule import Need
from poise.doctor.series import multiple, number, steps_between
from poise.run import Floats, Ints

EARLY = 64
"""Steps in which the growth is looked for: later, a gradient that is kept turns and shrinks."""
GROWN = 8.0
"""Growth of the gradient norm that must follow the number of steps."""
FOLLOWS = 2.0
"""Largest over smallest norm per step up to which the growth counts as proportional."""
SEEN = 5
"""Norms that must be known."""
CLIPPED = 0.99
"""Norm after over norm before below which a step was clipped."""
BEFORE_CLIP = 2.0
"""Growth that is enough where clipping cuts it short and then never stops."""
CLOSELY = 1.2
"""Largest over smallest norm per step, for three norms only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the gradient norm grows in the first steps.

    Attributes:
        steps: Optimizer step of each norm, shape (n,).
        norms: Gradient norm before clipping, shape (n,).
        clipped: True if the last of them reached the clip threshold, and all later ones did.
    """

    steps: Ints
    norms: Floats
    clipped: bool

    @property
    def factor(self) -> float:
        """Last over first norm."""
        return float(self.norms[-1] / self.norms[0])

    @property
    def spread(self) -> float:
        """Largest over smallest norm per step that was taken, 1 if the growth is proportional."""
        each = self.norms / (self.steps + 1)
        return float(each.max() / each.min())

    @property
    def proportional(self) -> bool:
        """True if the norm grows as the number of steps does."""
        if self.clipped:
            return len(self.norms) >= 3 and self.factor >= BEFORE_CLIP and self.spread <= CLOSELY
        return len(self.norms) >= SEEN and self.factor >= GROWN and self.spread <= FOLLOWS


def growth(case: Case) -> Growth | None:
    """Gradient norms of the first steps; None if the record does not begin with the training."""
    table = case.train
    one = table.series.get("grad_norm")
    if one is None or not len(table) or table.steps[0] > 1 or table.segments[-1] > 0:
        return None
    good = np.isfinite(one.values) & (one.values > 0)
    rows, values = one.rows[good], one.values[good]
    clipped = _clipped(case, rows, values)
    steps = table.steps[rows]
    hit = np.flatnonzero(clipped)
    stop = int(hit[0]) + 1 if len(hit) else len(rows)
    always = bool(len(hit)) and bool(clipped[hit[0] :].all()) and len(rows) - stop >= SEEN
    stop = min(stop, int(np.searchsorted(steps, EARLY, side="right")))
    if stop < 2:
        return None
    return Growth(
        steps=steps[:stop], norms=values[:stop], clipped=always and bool(clipped[stop - 1])
    )


def _clipped(case: Case, rows: Ints, before: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which norms were clipped, shape (n,); False where that is not known."""
    used = case.train.series.get("grad_norm_used")
    found = np.zeros(len(rows), np.bool_)
    if used is not None:
        _, here, there = np.intersect1d(rows, used.rows, assume_unique=True, return_indices=True)
        found[here] = used.values[there] < CLIPPED * before[here]
    return found


@final
class GradientsKept:
    """The gradient grows with every step: those of earlier steps are never zeroed.

    Each update then follows the sum of all gradients so far. With Adam or clipping the losses fall
    all the same for a while, later they swing.

    Statistic: norm of the gradient of all parameters as the backward pass leaves it, in the first
    64 steps, over the number of steps; norms of the terms' own gradients beside it. Thresholds: 5
    norms that grow eightfold and stay within a factor of 2 of proportional to the number of steps,
    while the terms' gradients grow less than half as much and all weights are steady: an error, as
    nothing healthy grows so. Where clipping cuts the growth short, 3 norms that double within 20%
    of proportional, and clipping in every step from there on: a warning. Kept gradients of pure
    noise (growth with the square root) and those of losses that fall at once are not seen.

    Healthy look-alikes: heads or a regulariser beside the total with large gradients (they do not
    grow with the number of steps), ramps (weights that are not steady are passed over), gradient
    accumulation (norms are per optimizer step), a gradient that explodes (not proportional).
    """

    name: ClassVar[str] = "gradients-kept"
    fault: ClassVar[Fault] = Fault.REDUCTION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES, Need.GRAD_NORM})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        found = growth(case)
        if found is None or not found.proportional:
            return
        terms = _terms_growth(case, found.steps)
        if terms is not None and terms <= found.factor / 2:
            yield self._finding(found, terms)

    def _finding(self, found: Growth, terms: float) -> Finding:
        steps = steps_between(found.steps)
        first, last = number(float(found.norms[0])), number(float(found.norms[-1]))
        often = "; every later step is clipped" if found.clipped else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if found.clipped else Severity.ERROR,
            terms=("grad_norm",),
            steps=steps,
            summary=f"the gradient grows with the number of steps ({first} at step {steps[0]}, "
            f"{last} at step {steps[1]}): zero_grad() is missing",
            evidence=(
                Evidence(
                    text=f"norm over number of steps within a factor of {multiple(found.spread)} "
                    f"in {len(found.norms)} steps, while the norm grows {multiple(found.factor)} "
                    f"times{often}",
                    series="grad_norm",
                    steps=steps,
                    value=found.factor,
                    threshold=BEFORE_CLIP if found.clipped else GROWN,
                ),
                Evidence(
                    text=f"the gradients of the terms themselves grow {multiple(terms)} times",
                    series="gradient_norm",
                    steps=steps,
                    value=terms,
                    threshold=found.factor / 2,
                ),
            ),
            cause="optimizer.zero_grad() is never called, or for another optimizer: every update "
            "follows the sum of all gradients so far. No healthy training does.",
            action="Call optimizer.zero_grad() after every optimizer.step().",
            verify="print(max((p.grad.abs().max() for p in model.parameters() if p.grad is not "
            "None), default=0))  # before the first backward() of a step: must be 0",
        )


def _terms_growth(case: Case, steps: Ints) -> float | None:
    """Growth of the terms' gradient norms over the same steps; None if weights are not steady."""
    place = norms(case)
    if place is None or not len(place):
        return None
    first = int(np.abs(place.steps - steps[0]).argmin())
    last = int(np.abs(place.steps - steps[-1]).argmin())
    if last <= first:
        return None
    for name in place.names:
        weights = np.abs(weight_at(case, name, place.steps[first : last + 1]))
        if float(np.ptp(weights)) > STEADY * float(weights.max()):
            return None
    whole = place.values.sum(axis=1)
    return float(whole[last] / whole[first]) if whole[first] > 0 else None
