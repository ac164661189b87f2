"""Growth out of range, still finite."""

from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.jump import planned_rise
from poise.doctor.series import multiple, number, python_name
from poise.doctor.shares import known_weight
from poise.doctor.stats import spikes
from poise.doctor.trace import Stretch, Trace
from poise.run import Kind

WORSE = 3.0
"""Final level over best level from which a training counts as having come undone."""
RUNAWAY = 10.0
"""The same for a quantity that never improved: it only grew."""
BACK = 0.1
"""Part of the starting level that must have come back: below it the gain is hardly touched."""
LOST = 100.0
"""Final over best level from which nothing of the training is left."""
NEGLIGIBLE = 0.01
"""A start below this part of the final level is a term that was off, or trivially satisfied."""
MATTERS = 0.05
"""Part of the total from which a term's rise is the training's trouble."""
SPIKE = 10.0
"""Factor above its surroundings from which a record is a spike."""
SIGMAS = 12.0
"""Distance in standard deviations from which a record is a spike; heavy tails reach 8."""
ALONE = 5.0
"""Factor above every other value of the run from which a spike stands alone."""


@final
class LateDegradation:
    """A loss that had fallen rises far above its best level and stays there.

    The best state is behind: an instability (learning rate, a term without a bound, a precision
    problem) undid it, and the last checkpoint is not the one to keep.

    Statistic: median of the last tenth over the lowest running median (a twentieth of the records),
    between restarts. Thresholds: a factor of 3 for a quantity that had at least halved and has a
    tenth of its starting level back; 10 for one that only grew and ends near its maximum: a total,
    or a term that was not negligible at its start (a hundredth of its end, or a twentieth of the
    total then). 3 is far above what noise does to running medians (healthy runs stay below 1.5) and
    above warm restarts of the learning rate. It is a warning for totals and task terms, an error if
    the final level is 100 times the best and above the start. A note for a term since whose best
    the total has fallen: what is minimised was not undone, one term was traded for another (under
    learned log-variances each weighted term climbs back to a level of its own).

    Healthy look-alikes: adversarial terms and value losses of reinforcement learning that grow with
    the returns, penalties that settle (notes); a curriculum that adds a term to the total (see
    `total-jump`); terms that start late or from zero (not reported).
    """

    name: ClassVar[str] = "late-degradation"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the quantity that rose first, with those that followed."""
        stretch = case.stretches[0]
        if len(stretch) < 20:
            return
        losses = stretch.of_kind(Kind.TERM, Kind.TOTAL)
        risen = [one for one in losses if _undone(one, mattered=_mattered(case, stretch, one))]
        counted = [one for one in risen if _counts(case, one)]
        sure = [one for one in counted if _sure(case, stretch, one)]
        sure = [one for one in sure if not _traded(case, stretch, one)]
        if sure:
            yield _degraded(stretch, sure)
        elif counted:
            yield _degraded(stretch, counted, note=True)


def _mattered(case: Case, stretch: Stretch, one: Trace) -> bool:
    """True for a total, and for a term that was a part of its total from the start."""
    total = stretch.traces.get(case.total.name) if case.total is not None else None
    if total is None or one.kind == Kind.TOTAL:
        return one.kind == Kind.TOTAL
    weight = abs(known_weight(case, one.name) or 1.0)
    return one.opening * weight > MATTERS * abs(total.opening)


def _undone(one: Trace, *, mattered: bool = False) -> bool:
    if not one.positive or len(one) < 20 or one.best < 0:
        return False
    tail = one.smoothed[-max(1, len(one) // 10) :]
    if one.best_at > 0.9 * len(one) or one.end < WORSE * max(one.best, 1e-300):
        return False
    had_fallen = one.best < 0.5 * one.start and one.best_at >= 3
    if not _beyond_noise(one):
        return False
    if had_fallen:
        return bool(tail.min() > WORSE * one.best) and one.end > BACK * one.start
    was_on = mattered or one.opening > NEGLIGIBLE * one.end
    grown = one.end > RUNAWAY * one.start > 0 and was_on
    return grown and one.end > 0.5 * float(one.smoothed.max())


def _beyond_noise(one: Trace) -> bool:
    """True if the rise is no swing of noise that is correlated over a twentieth of the records.

    On a logarithmic scale it must exceed four times the usual change between 16 neighbouring
    blocks; a rise in one place leaves that median alone.
    """
    blocks = [float(np.median(part)) for part in np.array_split(one.mid, 16)]
    usual = float(np.median(np.abs(np.diff(np.log(np.maximum(blocks, 1e-300))))))
    return float(np.log(one.end / max(one.best, 1e-300))) > 4 * usual


def _counts(case: Case, one: Trace) -> bool:
    return one.kind == Kind.TOTAL or known_weight(case, one.name) != 0.0


def _sure(case: Case, stretch: Stretch, one: Trace) -> bool:
    """True for a total or a task term that is not negligible beside the total."""
    if one.kind == Kind.TERM and role_of(case, one.name) != "task":
        return False
    if one.kind == Kind.TOTAL and _all_hinted(case, stretch):
        return False
    total = stretch.traces.get(case.total.name) if case.total is not None else None
    if total is None or one.kind == Kind.TOTAL:
        return True
    weight = abs(known_weight(case, one.name) or 1.0)
    only_grew = one.best >= 0.5 * one.start
    matters = one.end * weight > MATTERS * abs(total.end)
    return matters and (_mattered(case, stretch, one) or not only_grew)


def _traded(case: Case, stretch: Stretch, one: Trace) -> bool:
    """True if the total has fallen, beyond its noise, since a term was at its best."""
    total = stretch.traces.get(case.total.name) if case.total is not None else None
    if total is None or one.kind == Kind.TOTAL or len(total) != len(one):
        return False
    return bool(total.end < total.smoothed[one.best_at] - 3 * total.scatter)


def _all_hinted(case: Case, stretch: Stretch) -> bool:
    """True if no task term rises with the total: its growth is what adversaries and returns do."""
    tasks = [one for one in stretch.terms if role_of(case, one.name) == "task" and not one.zero]
    risen = (_undone(one, mattered=_mattered(case, stretch, one)) for one in tasks)
    return bool(stretch.terms) and not any(risen)


def _onset(one: Trace) -> int:
    """Block at which a trace leaves the neighbourhood of its best level for good."""
    near = np.flatnonzero(one.smoothed <= 1.5 * one.best)
    return min(int(near[-1]) + 1, len(one) - 1)


def _degraded(stretch: Stretch, risen: list[Trace], *, note: bool = False) -> Finding:
    terms = [one for one in risen if one.kind == Kind.TERM] or risen
    first = min(terms, key=lambda one: int(one.number[_onset(one)]))
    lead = max(risen, key=lambda one: one.end / one.best if one.best > 0 else 0.0)
    lead = next((one for one in risen if one.kind == Kind.TOTAL), lead)
    onset = int(first.first[_onset(first)])
    lost = lead.best > 0 and lead.end > LOST * lead.best and lead.end > lead.start
    severity = Severity.ERROR if lost else Severity.WARNING
    names = tuple(dict.fromkeys([first.name, *(one.name for one in risen)]))
    facts = [_fact(one) for one in sorted(risen, key=lambda one: one.name != first.name)]
    facts += _gradient(stretch, onset)
    return Finding(
        rule=LateDegradation.name,
        fault=Fault.EXPLOSION,
        severity=Severity.NOTE if note else severity,
        terms=names,
        steps=(onset, lead.steps[1]),
        summary=f"'{lead.name}' rises from its best level {number(lead.best)} "
        f"(step {int(lead.first[lead.best_at])}) to {number(lead.end)} at the end, "
        f"{_times(lead)}"
        + (f"; '{first.name}' rises first" if first is not lead else "")
        + f", from step {onset} on",
        evidence=tuple(facts),
        cause="The learning rate is too high for what was reached, a term without a bound grows, "
        "or gradients are not clipped. Expected if the term is adversarial, a value loss that "
        "grows with the returns, or a penalty that settles.",
        action=f"Restart from the checkpoint of step {int(lead.first[lead.best_at])} with a tenth "
        f"of the learning rate, and log the gradient norm of '{first.name}' (poise.Watch).",
        verify=rerun(
            "a tenth of the learning rate from that checkpoint on",
            f"'{lead.name}' must stay near {number(lead.best)}",
        ),
        caused_by=("nonfinite-gradient", "gradient-jump", "total-jump", "term-jump", "lr-reset"),
    )


def _times(one: Trace) -> str:
    return f"{multiple(one.end / one.best)} times the best" if one.best > 0 else "up from zero"


def _fact(one: Trace) -> Evidence:
    peak = int(one.high.argmax())
    return Evidence(
        text=f"'{one.name}': start {number(one.start)}, best {number(one.best)}, end "
        f"{number(one.end)}, highest {number(float(one.high[peak]))} at step "
        f"{int(one.first[peak])}",
        series=one.name,
        steps=(int(one.first[one.best_at]), one.steps[1]),
        value=one.end / one.best if one.best > 0 else float("inf"),
        threshold=WORSE if one.best < 0.5 * one.start else RUNAWAY,
    )


def _gradient(stretch: Stretch, onset: int) -> list[Evidence]:
    """What the logged gradient norms do meanwhile."""
    return [
        Evidence(
            text=f"'{one.name}' grows from {number(one.best)} to {number(one.end)}, "
            f"highest {number(float(one.high.max()))}",
            series=one.name,
            steps=(onset, one.steps[1]),
            value=one.end / one.best,
            threshold=WORSE,
        )
        for one in stretch.of_kind(Kind.GRAD_NORM)
        if len(one) >= 20 and one.best > 0 and one.end > WORSE * one.best
    ]


@final
class Spike:
    """Single records stand far above their surroundings; the level comes back.

    Statistic: records more than 10 times above the running median of their surroundings and more
    than 12 standard deviations of the scatter around it, in the terms and the total. A factor of 10
    is what other monitors use as a spike; heavy-tailed noise alone reaches 8 deviations. A note
    (a spike that leaves a worse level is `late-degradation`), unless the spike stands alone: 5
    times above every other value of the run, in a term (no adversary) and in the total alike. Heavy
    tails do not leave such a gap: of 1,000 log-normal values with a deviation of 1, the largest is
    5 times the second in one of 500 draws.

    Healthy look-alikes: adversarial terms, a hard batch, reinforcement learning; one spike in a
    thousand records is ordinary.
    """

    name: ClassVar[str] = "spike"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOSS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding: the worst spike, with those of the other quantities."""
        found: list[tuple[Trace, int, float]] = []
        for one in case.stretches[0].of_kind(Kind.TERM, Kind.TOTAL):
            if len(one) < 20 or not one.positive:
                continue
            # The running median of the highs: with long blocks the highs stand above the medians.
            at = spikes(one.high, 21, ratio=SPIKE, sigmas=SIGMAS)
            at = at[(at >= 5) & (at < len(one) - 2)]
            if len(at):
                top = int(at[one.high[at].argmax()])
                if np.median(one.high[top + 1 : top + 6]) > 0.5 * one.high[top]:
                    continue  # It does not come back: a rise, perhaps towards infinity.
                level = abs(float(np.median(one.high[max(0, top - 10) : top + 11])))
                found.append((one, top, float(one.high[top]) / max(level, 1e-300)))
        if found:
            yield _spiked(
                case, sorted(found, key=lambda item: (item[0].kind == Kind.TOTAL, -item[2]))
            )


def _alone(one: Trace, top: int) -> bool:
    """True if the value stands far above every other of a run that is long enough to tell."""
    others = np.delete(one.high, np.arange(max(0, top - 2), min(len(one), top + 3)))
    return len(others) >= 100 and bool(one.high[top] > ALONE * others.max())


def _spiked(case: Case, found: list[tuple[Trace, int, float]]) -> Finding:
    one, top, _ = found[0]
    peak, level = float(one.high[top]), float(np.median(one.high[max(0, top - 10) : top + 11]))
    alone = [trace for trace, at, _ in found if _alone(trace, at)]
    whole = any(trace.kind == Kind.TOTAL for trace in alone)
    honest = [trace for trace in alone if role_of(case, trace.name) != "adversary"]
    parts = any(trace in case.stretches[0].losses for trace in honest)
    return Finding(
        rule=Spike.name,
        fault=Fault.EXPLOSION,
        severity=Severity.WARNING if whole and parts else Severity.NOTE,
        terms=tuple(item[0].name for item in found),
        steps=(int(one.first[top]), int(one.last[top])),
        summary=f"'{one.name}' spikes to {number(peak)} at step {int(one.first[top])}, against "
        f"{number(level)} around it, and comes back",
        evidence=tuple(
            Evidence(
                text=f"'{trace.name}' reaches {number(float(trace.high[at]))} at step "
                f"{int(trace.first[at])}",
                series=trace.name,
                steps=(int(trace.first[at]), int(trace.last[at])),
                value=ratio,
                threshold=SPIKE,
            )
            for trace, at, ratio in found
        ),
        cause="A hard or broken batch, or one step too large. Expected now and then, and often if "
        "the term is adversarial or comes from reinforcement learning.",
        action=f"Save the batch of step {int(one.first[top])} and look at its samples; if they are "
        "ordinary, clip the gradient norm at its 90th percentile.",
        verify=f"print({python_name(one.name)}(batch))  # the saved batch: near "
        f"{number(peak)} it was "
        f"the data, near {number(level)} the step before",
        caused_by=("beyond-precision", "late-degradation"),
    )


@final
class GradientGrowth:
    """The gradient norm grows tenfold while the loss does not fall any more.

    Statistic: median of the last tenth over the lowest running median of a logged gradient norm,
    and the same for the total. Thresholds: 10 for the norm; it is a note, because late-growing
    terms and sharper minima do it in healthy runs too; with a total above 1.5 times its best it is
    a warning, unless the total's rise is a planned one (`total-jump` names the weight) and the norm
    has not grown tenfold since.

    Healthy look-alikes: overfitting on purpose, terms and stages that start late, adversarial
    training.
    """

    name: ClassVar[str] = "gradient-norm-growth"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRAD_NORM, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every gradient norm that grows."""
        stretch = case.stretches[0]
        total = stretch.traces.get(case.total.name) if case.total is not None else None
        undone = total is not None and _undone(total)
        planned = planned_rise(case) if undone else None
        for one in stretch.of_kind(Kind.GRAD_NORM):
            late = one.best_at < 0.9 * len(one) and len(one) >= 20
            if late and one.best > 0 and one.end > RUNAWAY * one.best:
                serious = undone and total is not None and total.positive
                yield _growth(one, serious=serious and not _since(one, planned))


def _since(one: Trace, planned: int | None) -> bool:
    """True if a planned rise of the total explains the growth: there is none since."""
    after = None if planned is None else one.smoothed[one.first >= planned]
    return after is not None and len(after) > 0 and one.end <= RUNAWAY * float(after.min())


def _growth(one: Trace, *, serious: bool) -> Finding:
    return Finding(
        rule=GradientGrowth.name,
        fault=Fault.EXPLOSION,
        severity=Severity.WARNING if serious else Severity.NOTE,
        terms=(one.name,),
        steps=(int(one.first[one.best_at]), one.steps[1]),
        summary=f"'{one.name}' grows {multiple(one.end / one.best)}-fold, from "
        f"{number(one.best)} to {number(one.end)}",
        evidence=(
            Evidence(
                text=f"lowest running median {number(one.best)}, last tenth {number(one.end)}, "
                f"highest {number(float(one.high.max()))}",
                series=one.name,
                steps=one.steps,
                value=one.end / one.best,
                threshold=RUNAWAY,
            ),
        ),
        cause="The training moves into a sharper region or towards an instability. Expected if the "
        "losses still fall, a term starts late, or one batch is fitted on purpose.",
        action="Log the gradient norm of each term (poise.Watch) to see which one grows.",
        verify=rerun("half the learning rate", f"'{one.name}' must stay near {number(one.best)}"),
        caused_by=("late-degradation", "total-jump", "gradient-jump"),
    )
