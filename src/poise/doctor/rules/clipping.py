"""Gradient clipping that is nearly always active, and scales that an optimizer undoes."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import optimizers, reach, scale_free, shares, weights_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import multiple, named, number, steps_between
from poise.run import Floats, Ints

CLIPPED = 0.99
"""Norm after over norm before below which a step was clipped."""
ALWAYS = 0.9
"""Part of the steps that must be clipped."""
HALF = 0.5
"""Median factor below which clipping sets the step size."""
LEAST = 5
"""Steps that must have been seen."""


def factors(case: Case) -> tuple[Ints, Floats, Floats]:
    """Steps, gradient norms before, and the factor between them and those after, each (n,).

    Steps without any gradient, before or after, are left out.
    """
    rows, values = case.train.aligned(["grad_norm", "grad_norm_used"])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        factor = values[:, 1] / values[:, 0]
    good = np.isfinite(values).all(axis=1) & (values > 0).all(axis=1) & np.isfinite(factor)
    return case.train.steps[rows][good], values[good, 0], factor[good]


@final
class ClippingAlways:
    """The clip threshold is active nearly always, so it sets the step for all terms.

    Every step then has the same length whatever the gradient is; a batch in which the largest term
    is larger makes the steps of all other terms smaller.

    Statistic: gradient norm after clipping over the norm before. Thresholds: clipped in more than
    90% of the seen steps, 5 at least, with a median factor below 0.5. With SGD, momentum or an
    unknown optimizer a warning. The Adam family undoes a constant factor: there a warning only if
    the factor varies by more than half (coefficient of variation) and one term owns more than 95%
    of the gradient; else a note.

    Healthy look-alikes: the recipe of language models, Adam with threshold 1.0 (a note); clipping
    in the first steps only (below 90%).
    """

    name: ClassVar[str] = "clipping-always"
    fault: ClassVar[Fault] = Fault.CLIPPING
    needs: ClassVar[frozenset[Need]] = frozenset({Need.CLIPPED})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        steps, before, factor = factors(case)
        if len(factor) < LEAST or float(np.mean(factor < CLIPPED)) <= ALWAYS:
            return
        after = before * factor
        constant = float(np.ptp(factor)) <= 1e-3 * float(factor.max())
        levelled = float(np.ptp(after)) <= 0.1 * float(after.max())
        if float(np.median(factor)) < HALF and (levelled or not constant):
            yield self._finding(case, steps, before, factor)

    def _finding(self, case: Case, steps: Ints, before: Floats, factor: Floats) -> Finding:
        place = shares(case)
        top = None if place is None else max(place.names, key=place.median)
        share = 0.0 if place is None or top is None else place.median(top)
        mean = float(np.mean(factor))
        varies = float(np.std(factor)) / mean if mean else 0.0
        harmless = scale_free(case) and not (varies > HALF and share > 0.95)
        where = steps_between(steps)
        usual, used = float(np.median(before)), float(np.median(before * factor))
        facts = [
            Evidence(
                text=f"clipped in {np.mean(factor < CLIPPED):.0%} of {len(factor)} seen steps, "
                f"median factor {number(float(np.median(factor)))}, norm "
                f"{number(usual)} to {number(used)}",
                series="grad_norm_used",
                steps=where,
                value=float(np.median(factor)),
                threshold=HALF,
            )
        ]
        if place is not None and top is not None:
            facts.append(
                Evidence(
                    text=f"'{top}' has {share:.0%} of the gradient, so it sets the clip for all",
                    series=f"gradient_share/{top}",
                    steps=place.span,
                    value=share,
                )
            )
        which = named(optimizers(case)).replace("'", "") or "the optimizer"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if harmless else Severity.WARNING,
            terms=() if top is None else (top,),
            steps=where,
            summary=f"the gradient is clipped in {np.mean(factor < CLIPPED):.0%} of the steps, to "
            f"{number(float(np.median(factor)))} of its norm in the median"
            + (f"; '{top}' sets it" if top else ""),
            evidence=tuple(facts),
            cause=f"The threshold lies far below the usual norm. {which} "
            + ("undoes a constant factor, so it changes little. " if harmless else "feels it. ")
            + "Expected in recipes that clip at 1.0 with Adam.",
            action="Set the threshold near the 90th percentile of the norm "
            f"({number(float(np.percentile(before, 90)))}), or lower the learning rate instead.",
            verify=rerun("that threshold", "if nothing changes, the clipping did nothing"),
            caused_by=("gradient-dominance",),
        )


@final
class ScaleUndone:
    """The gradient is multiplied by a constant, or a head by its weight, in front of Adam.

    The Adam family divides by the gradient's own size, so a constant factor is undone, down to its
    epsilon. Turning that knob has no effect.

    Statistic: gradient norm given to the optimizer over the one of the backward pass; and terms all
    of whose parameters are their own. Thresholds: the same factor other than 1 to 0.1% in 5 steps
    or more; a weight other than 1 on a term that shares nothing. Always a note, and only with an
    optimizer of the Adam family.

    Healthy look-alikes: accumulation that divides the gradient; a weight that is a mere habit.
    """

    name: ClassVar[str] = "scale-undone"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one note on the gradient, and one on all heads together."""
        if not scale_free(case):
            return
        if {"grad_norm", "grad_norm_used"} <= case.train.series.keys():
            yield from self._gradient(case)
        yield from self._heads(case)

    def _gradient(self, case: Case) -> Iterator[Finding]:
        steps, before, factor = factors(case)
        if len(factor) < LEAST:
            return
        middle = float(np.median(factor))
        same = float(np.ptp(factor)) <= 1e-3 * middle and float(np.ptp(before)) > 0.01 * before[0]
        if same and abs(middle - 1) > 0.01:
            text = f"the optimizer gets {multiple(middle)} times the gradient in all seen steps"
            fact = "gradient norm as the optimizer gets it over the one of the backward pass: "
            fact += f"{number(float(factor.min()))} to {number(float(factor.max()))} in "
            fact += f"{len(factor)} steps"
            found = Evidence(
                text=fact,
                series="grad_norm_used",
                steps=steps_between(steps),
                value=middle,
                threshold=1.0,
            )
            yield self._note(text, (), found)

    def _heads(self, case: Case) -> Iterator[Finding]:
        reached = reach(case)
        alone = {
            term: float(weights[-1])
            for term, names in reached.items()
            for weights in [weights_of(case, term)]
            if names and len(weights) and weights[-1] not in (0.0, 1.0)
            and not any(set(names) & set(other) for key, other in reached.items() if key != term)
        }  # fmt: skip
        if alone:
            told = ", ".join(f"'{name}' {number(one)}" for name, one in alone.items())
            text = f"terms that share no parameter have weights: {told}"
            first = next(iter(alone))
            mine = len(reached[first])
            found = Evidence(
                text=f"'{first}' reaches {mine} parameter tensors, none of which another term "
                f"reaches; its weight is {number(alone[first])}",
                series=f"weight/{first}",
                steps=steps_between(case.train.steps),
                value=alone[first],
                threshold=1.0,
            )
            yield self._note(text, tuple(alone), found)

    def _note(self, text: str, terms: tuple[str, ...], found: Evidence) -> Finding:
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=terms,
            steps=found.steps,
            summary=f"{text}; the Adam family undoes it",
            evidence=(found,),
            cause="Adam divides by the size of the gradient. Expected where the factor is a habit, "
            "or keeps half precision in range.",
            action="Change the learning rate of that parameter group instead.",
            verify=rerun("the factor 1", "the losses must be the same within noise"),
        )
