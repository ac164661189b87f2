"""Parameters that should train do not move: no optimizer step, or a step that changes nothing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import moved, optimizers, reach, weight_at
from poise.doctor.proofs import MOTION
from poise.doctor.rates import acting_rates
from poise.doctor.rule import Need
from poise.doctor.series import named, number, span
from poise.run import Ints, Kind, Series, Table

FEW = 16
"""Micro-batches without a step from which it is told: twice the usual accumulation of 8."""
MANY = 64
"""Micro-batches without a step from which hardly any accumulation is meant."""
STALLED = 4
"""The same, in units of the distance that earlier steps had."""


@final
class OptimizerNeverSteps:
    """The optimizer does not step, however many micro-batches come.

    Nothing is learned, whatever the losses do. The usual cause is a count of micro-batches that is
    advanced twice (once by the check, once by a progress bar), so that its remainder never comes
    out; or mixed precision that skips every update.

    Statistic: micro-batches since the last optimizer step, from the optimizer's own hooks.
    Thresholds: none in 16 is a warning, none in 64 an error; after a first step, none in four
    times the longest distance seen and at least 16.

    Gradients that are thrown away without a step are told apart: skipped by mixed precision, which
    the watch sees by a loss scale and an overflow, or discarded, because nobody calls `step()`.

    Healthy look-alikes: gradient accumulation over more than 16 micro-batches that has only begun;
    a training that was stopped and is evaluated on. A run without a watched optimizer is not
    judged.
    """

    name: ClassVar[str] = "optimizer-never-steps"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MICRO})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        table = case.train
        if not optimizers(case):
            return
        steps = table.steps_of(table.series["micro"])
        gaps = _gaps(steps)
        if not len(gaps):
            return
        usual = int(gaps[:-1].max()) if len(gaps) > 1 else 0
        if gaps[-1] >= max(FEW, STALLED * usual) + (usual > 0):
            yield self._finding(case, int(gaps[-1]), usual, int(steps[-1]))

    def _finding(self, case: Case, waiting: int, usual: int, done: int) -> Finding:
        table = case.train
        skipped, thrown = _count(table, "skipped"), _count(table, "discarded")
        rates = acting_rates(case, table)
        zero = bool(rates) and all(float(one.values[-1]) == 0.0 for one in rates)
        facts = [
            Evidence(
                text=f"{waiting} micro-batches since the last optimizer step, {done} steps in all"
                + (f"; earlier steps were at most {usual} apart" if usual else ""),
                series="micro",
                steps=(done, done),
                value=float(waiting),
                threshold=float(max(FEW, STALLED * usual)),
            )
        ]
        for name, lost, what in (
            ("skipped", skipped, "updates were skipped by mixed precision"),
            ("discarded", thrown, "times the gradients were thrown away without a step"),
        ):
            if lost:
                text, value = f"{lost} {what}", float(lost)
                facts.append(Evidence(text=text, series=name, steps=(0, done), value=value))
        if zero:
            text = "the learning rate stays exactly 0, as the scheduler waits for steps"
            facts.append(Evidence(text=text, series=rates[0].name, steps=(0, done), value=0.0))
        cause, action = _why(skipped, thrown)
        never = "step() is never called: " if thrown > skipped and not done else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if waiting >= MANY or zero or usual else Severity.WARNING,
            terms=("micro",),
            steps=(done, done),
            summary=f"{never}the optimizer has made {done} steps and none in the last {waiting} "
            "micro-batches: no parameter moves",
            evidence=tuple(facts),
            cause=f"{cause} Expected only within the first accumulation of a training that "
            "accumulates more than this.",
            action=action,
            verify="print(watch.steps)  # after every accumulation: must grow by 1",
        )


def _count(table: Table, name: str) -> int:
    """How often a mark stands in the training records."""
    one = table.series.get(name)
    return 0 if one is None else int(np.nansum(one.values))


def _why(skipped: int, thrown: int) -> tuple[str, str]:
    """The most likely cause of missing steps, and what to do."""
    if skipped > thrown:
        return (
            "Mixed precision throws every update away: the loss scale never gets low enough.",
            "Print scaler.get_scale() after every update, and find the term whose gradient is not "
            "finite in half precision.",
        )
    if thrown:
        return (
            "Nobody calls optimizer.step(): the gradients are computed and zeroed again.",
            "Call optimizer.step() before optimizer.zero_grad(), on the optimizer that the watch "
            "was given.",
        )
    return (
        "The condition for optimizer.step() is never met: its counter of micro-batches is advanced "
        "twice a batch, or reset too early.",
        "Print the counter in front of the condition that guards optimizer.step(), and make one "
        "place advance it.",
    )


def _gaps(steps: Ints) -> Ints:
    """Micro-batches between optimizer steps, the last entry being those since the last step."""
    cuts = np.flatnonzero(np.diff(steps)) + 1
    return np.diff(np.concatenate(([0], cuts, [len(steps)])))


@final
class ParametersStill:
    """Optimizer steps change nothing in parameters that a term reaches.

    The distance that a step moves every module is measured on the parameters themselves, so a
    learning rate of 0, a gradient that was cut and an update lost in rounding all show.

    Statistic: relative motion of each module in the steps that were measured. Threshold: exactly 0
    in all of them, at least 2. All modules: an error. Some modules that a term reaches: a warning,
    in half precision most likely an update below the resolution of the weights. Modules that no
    term reaches are not reported here (see `parameters-unreached`), nor those whose terms had
    weight 0 in all of these steps.

    Healthy look-alikes: the first step of a warm-up from 0; parameters with `requires_grad=False`
    and those of no optimizer, which are not measured; a parameter group whose learning rate is 0
    on purpose (a note, if other groups move).
    """

    name: ClassVar[str] = "parameters-still"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MOTION})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        seen = {name: one for name, one in moved(case).items() if len(one[1]) >= 2}
        known = reach(case)
        still = [
            name
            for name, (steps, values) in seen.items()
            if not np.any(values) and (not known or _holds(name, _acting(case, known, steps)))
        ]
        if still:
            yield self._finding(case, still, everything=len(still) == len(seen))

    def _finding(self, case: Case, still: list[str], *, everything: bool) -> Finding:
        steps, values = moved(case)[still[0]]
        where = int(steps.min()), int(steps.max())
        rates = acting_rates(case, case.train)
        zero = [one for one in rates if not np.any(one.values)]
        asked = bool(zero) and not everything
        facts = [
            Evidence(
                text=f"relative motion of '{name}' is exactly 0 in {len(values)} measured steps",
                series=f"motion/{name}",
                steps=where,
                value=0.0,
            )
            for name in still[:4]
        ]
        facts += [
            Evidence(
                text=f"'{one.name}' is exactly 0 throughout",
                series=one.name,
                steps=span(case.train, one),
                value=0.0,
            )
            for one in zero
        ]
        which = "no parameter" if everything else f"nothing in {named(still)}"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=_severity(everything=everything, asked=asked),
            terms=tuple(still),
            steps=where,
            summary=f"{which} moves in {len(values)} measured optimizer steps, although a loss "
            f"term reaches it{_rate(rates)}",
            evidence=tuple(facts),
            cause="A learning rate of exactly 0, gradients that never arrive, or updates below the "
            "resolution of low-precision weights. Expected if a parameter group is frozen by a "
            "learning rate of 0 on purpose.",
            action="Print the learning rate and the gradient norm of this group before "
            "optimizer.step().",
            verify=MOTION,
            caused_by=("lr-zero", "optimizer-never-steps", "term-reaches-nothing"),
        )


def _acting(case: Case, known: Mapping[str, tuple[str, ...]], steps: Ints) -> set[str]:
    """Parameters that a term reached at one of these steps with a weight other than 0."""
    acting = (term for term in known if np.any(weight_at(case, term, steps)))
    return {name for term in acting for name in known[term]}


def _holds(module: str, names: Iterable[str]) -> bool:
    owner = "" if module == "(model)" else module
    return any(name.rpartition(".")[0] == owner or name == module for name in names)


def _severity(*, everything: bool, asked: bool) -> Severity:
    if everything:
        return Severity.ERROR
    return Severity.NOTE if asked else Severity.WARNING


def _rate(rates: list[Series]) -> str:
    last = [float(one.values[-1]) for one in rates]
    return f" (learning rate {number(max(last))})" if last else ""


@final
class AverageCannotMove:
    """An exponential average of the weights decays so slowly that it is still the initial model.

    What is evaluated is then the model before training: the evaluation looks frozen although the
    training works.

    Statistic: decay ** steps, the part of the average that is the initial weights, from a logged or
    declared `ema_decay`. Thresholds: more than 0.5 after all steps of the run (20 at least) is a
    warning if there is an evaluation, else a note.

    Healthy look-alikes: an average with a warm-up of its decay; a run that has only begun, which
    its declared number of steps tells.
    """

    name: ClassVar[str] = "average-cannot-move"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        decay, name = _decay(case)
        declared = case.run.declared.get("total_steps")
        done = int(case.train.steps.max())
        steps = max(done, declared if isinstance(declared, int) else 0)
        left = decay**steps if 0 < decay < 1 else 0.0
        if left > 0.5 and done >= 20:
            severity = Severity.WARNING if case.run.evals else Severity.NOTE
            yield Finding(
                rule=self.name,
                fault=self.fault,
                severity=severity,
                terms=(name,),
                steps=(int(case.train.steps.min()), done),
                summary=f"an average with decay {decay:g} over {steps} steps is still {left:.0%} "
                "initial weights",
                evidence=(
                    Evidence(
                        text=f"{decay:g} ** {steps} = {left:.2f}",
                        series=name,
                        steps=(0, done),
                        value=left,
                        threshold=0.5,
                    ),
                ),
                cause="The decay was chosen for a training many times as long. Expected if the "
                "decay is warmed up.",
                action=f"Use a decay of at most {1 - 5 / steps:.4g}, or warm it up.",
                verify="print(loss(model, batch), loss(average, batch))  # apart: the average lags",
            )


def _decay(case: Case) -> tuple[float, str]:
    """A constant logged or declared decay, and its name; (0.0, "") if there is none."""
    told = case.run.declared.get("ema_decay")
    if isinstance(told, float):
        return told, "ema_decay"
    for one in case.train.of_kind(Kind.STATISTIC):
        lower = one.name.lower()
        if "ema" in lower and "decay" in lower and len(one) and np.ptp(one.values) == 0:
            return float(one.values[0]), one.name
    return 0.0, ""
