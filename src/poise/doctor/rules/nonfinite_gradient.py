"""Gradients that are not finite, and the loss scale of mixed precision that reacts to them."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.rules.nonfinite import Break, breaks
from poise.doctor.series import finite, first_and_last, number, span, steps_between
from poise.run import Floats, Kind, Series, Table


@final
class NonfiniteGradient:
    """The gradient norm is NaN or infinite while the losses are finite.

    A step with such a gradient destroys the parameters, unless something skips it. If skipped
    steps are frequent, the training wastes them and its effective batch is not what it seems.

    Statistic: share of gradient norms that are not finite, after the first tenth of the records,
    in which the factor of mixed precision settles. Threshold: 5 in a hundred and at least 3: a
    scaler that doubles its factor every 2000 steps skips 1 step in 2000, and a norm that is
    averaged over a window of 20 steps shows 1 record in 100. An error if neither it nor the losses
    that break after it are ever finite again.

    Healthy look-alikes: mixed precision that skips single steps (a note).
    """

    name: ClassVar[str] = "nonfinite-gradient"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRAD_NORM})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every gradient norm of the training table that breaks by itself.

        The norm after clipping breaks with the one before and is not reported besides.
        """
        losses = breaks(case.train, Kind.TERM, Kind.TOTAL)
        found = breaks(case.train, Kind.GRAD_NORM)
        told = {(one.series.name, one.row) for one in found}
        for one in found:
            twice = one.series.name == "grad_norm_used" and ("grad_norm", one.row) in told
            if not twice and (not losses or one.row < losses[0].row):
                yield self._finding(one, losses[0] if losses else None)

    def _finding(self, one: Break, loss: Break | None) -> Finding:
        settled = one.bad[len(one.bad) // 10 :]
        share = float(settled.mean())
        often = share > 0.05 and settled.sum() >= 3
        after, fatal = "", False
        if loss is not None and not (one.recovered or loss.recovered):
            after, fatal = f"; '{loss.series.name}' follows at step {loss.step}", True
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=_worth(often=often or not one.recovered, fatal=fatal),
            terms=(one.series.name,),
            steps=one.steps,
            summary=f"'{one.series.name}' is {one.story()}, while the losses are still "
            f"finite{after}.",
            evidence=(
                Evidence(
                    text=f"{number(100 * share)}% of the records after the first tenth",
                    series=one.series.name,
                    steps=one.steps,
                    value=share,
                    threshold=0.05,
                ),
                one.evidence(),
            ),
            cause=(
                "The backward pass overflows or divides by 0 where the forward pass does not "
                "(square root or norm at 0, half precision). Expected in a few steps of mixed "
                "precision, which skips them."
            ),
            action="Find the term whose gradient is not finite, and skip or repair that step.",
            verify=f"for t in terms: print(torch.autograd.grad(t, list(model.parameters()), "
            f"retain_graph=True, allow_unused=True))  # at step {one.step}",
            caused_by=("term-gradient-nonfinite",),
        )


def _worth(*, often: bool, fatal: bool) -> Severity:
    if fatal:
        return Severity.ERROR
    return Severity.WARNING if often else Severity.NOTE


@final
class LossScaleFalling:
    """The loss scale of mixed precision keeps falling, or most steps overflow.

    Each halving is a step that was skipped because some gradient did not fit in half precision. A
    scale that still falls long after the start means gradients that keep growing; below 1, small
    gradients vanish.

    Statistic: the median scale over the last tenth of the records against the one from 30% to 40%
    of the run; and the share of steps that overflowed after the first quarter. Thresholds: 1/16
    (the scale wanders by a factor of 4 about its level, since it is doubled on trial) while it is
    lower than ever in the middle of the run, or a scale below 1; one step in ten. Anything less is
    a note once at least 3 steps overflowed after the first tenth. A scale is doubled and halved, so
    a column of other numbers than powers of two is something else of that name.

    Healthy look-alikes: the scale halves repeatedly in the first steps until it fits, and single
    overflows follow each trial of a doubled scale.
    """

    name: ClassVar[str] = "loss-scale"
    fault: ClassVar[Fault] = Fault.NONFINITE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS_SCALE})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding per logged scale, and one on the overflows in words."""
        table = case.train
        for one in table.of_kind(Kind.LOSS_SCALE):
            scale = finite(one.values)
            if len(one) >= 20 and _doubled_and_halved(scale) and _keeps_falling(scale):
                yield self._falling(table, one)
                return
        if len(table) > 1:
            yield from self._overflows(case)

    def _falling(self, table: Table, one: Series) -> Finding:
        first, last = first_and_last(finite(one.values), 0.1)
        steps = span(table, one)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(one.name,),
            steps=steps,
            summary=f"'{one.name}' falls from {number(first)} to {number(last)} without settling.",
            evidence=(
                Evidence(
                    text=f"median of the last tenth {number(last)}",
                    series=one.name,
                    steps=steps,
                    value=last,
                    threshold=max(1.0, _middle(finite(one.values)) / 16),
                ),
            ),
            cause="Gradients grow beyond half precision. Expected only in the first few steps.",
            action="Find the term whose gradient grows; clip it, or train in bfloat16.",
            verify="print(scaler.get_scale())  # every 100 steps: must settle",
            caused_by=("nonfinite-gradient", "nonfinite-term"),
        )

    def _overflows(self, case: Case) -> Iterable[Finding]:
        steps = np.array(
            [one.step for one in case.run.events if one.name == "overflow" and one.step is not None]
        )
        first, last = steps_between(case.train.steps)
        length = max(1, last - first)
        late = np.unique(steps[steps > first + length / 10])
        if len(late) < 3:
            return
        quarter = first + length / 4
        share = float((late > quarter).sum() / max(1.0, last - quarter))
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if share > 0.1 else Severity.NOTE,
            terms=("overflow",),
            steps=steps_between(late),
            summary=(
                f"{len(steps)} overflows, at {len(late)} steps after the first tenth of the run: "
                f"{number(100 * share)}% of the later steps were skipped."
            ),
            evidence=(
                Evidence(
                    text=f"{number(100 * share)}% of the steps after the first quarter overflowed "
                    "(10% is a warning)",
                    series="overflow",
                    steps=steps_between(late),
                    value=share,
                    threshold=0.1,
                ),
            ),
            cause=(
                "Some gradients do not fit in half precision. Expected at single steps, each time "
                "the loss scale is doubled on trial."
            ),
            action="Nothing while it is rare; else clip the largest term or train in bfloat16.",
            verify="print(scaler.get_scale())  # every 100 steps: must settle",
        )


def _middle(values: Floats) -> float:
    """Median from 30% to 40% of some values."""
    count = len(values)
    return float(np.median(values[3 * count // 10 : 4 * count // 10 + 1]))


def _doubled_and_halved(values: Floats) -> bool:
    """True if all values are one value times powers of two, to the two digits logs print at least.

    Rounding to two digits is off by 5% at most: 0.07 in the logarithm, twice where both are.
    """
    first = values[values > 0][:1]
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log2(values / first) if len(first) else np.array([np.nan])
        return bool(np.all(np.abs(powers - np.round(powers)) < 0.15))


def _keeps_falling(values: Floats) -> bool:
    if not len(values):
        return False
    _, last = first_and_last(values, 0.1)
    return last < 1 or last <= _middle(values) / 16
