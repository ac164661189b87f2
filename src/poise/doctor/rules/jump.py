"""The total, or a term, is discontinuous."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of, words
from poise.doctor.measured import gradient_of, gradients_at
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import decimals, named, number, python_name
from poise.doctor.shares import known_weight
from poise.doctor.stats import Step, level_steps
from poise.doctor.trace import Stretch, Trace
from poise.run import Kind

CHANGE = 0.2
"""Change, relative to the level before, below which a step is not reported."""
DOUBLED = 2.0
"""Factor from which even a planned step is a fault worth a ramp."""
TERM = 3.0
"""Factor from which a step of a term that the total does not show is mentioned."""
SWITCHES = 3
"""Steps by the same term from which it is called switching on and off."""
BURST = 3.0
"""A peak this far above the new level is a spike and what it left: see `late-degradation`."""

UNITS = 5.0
"""Units of the last printed decimal below which a change of level may be rounding."""
_SWITCHES = (
    (Kind.WEIGHT, "weight"),
    (Kind.LEARNING_RATE, "learning rate"),
    (Kind.STATISTIC, "setting"),
)
_FACTORS = frozenset(("factor", "weight", "coef", "coeff", "lambda", "beta", "stage", "phase"))
"""Words of statistics that are settings: a change of theirs explains a jump."""


@dataclass(frozen=True, slots=True)
class _Jump:
    """A step of one trace, what causes it and what the log offers as an explanation."""

    step: Step
    trace: Trace
    terms: tuple[str, ...]
    why: str

    @property
    def ratio(self) -> float:
        """Level after over level before; infinity for a level that starts from zero or below."""
        return self.step.after / self.step.before if self.step.before > 0 else float("inf")

    @property
    def at(self) -> int:
        return int(self.trace.first[self.step.at])

    @property
    def rises(self) -> bool:
        return self.step.after > self.step.before


@final
class TotalJump:
    """The total changes its level from one record to the next and stays there.

    A term that starts, ends or changes its weight at once hits the optimizer with a gradient that
    its moments and its step size do not know.

    Statistic: medians of a window (a fortieth of the records, at least 5) before and after every
    record of the total, between restarts. A step counts if it exceeds 4 standard deviations of the
    scatter of single records around it and 8 of ordinary window-to-window changes, if three records
    on either side show most of it, and if it is above 20% of the level before. It is a warning if
    the total at least doubles, or if it jumps three times by the same term, with no logged weight,
    factor, learning rate or stage that says so; else a note. Downward steps are notes and are
    mentioned from a factor of 3. Medians of five records of healthy runs do not reach 4 deviations.

    Healthy look-alikes: planned stages and curricula, a change of optimizer or learning rate (falls
    at once), restarts (see `restart`), ramps, single spikes, adversarial terms that swing.
    """

    name: ClassVar[str] = "total-jump"
    fault: ClassVar[Fault] = Fault.JUMP
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TOTAL, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for each term (or group of terms) that makes the total jump."""
        stretch = case.stretches[0]
        total = None if case.total is None else stretch.traces.get(case.total.name)
        if total is None:
            totals = stretch.of_kind(Kind.TOTAL)
            total = totals[0] if totals else None
        if total is None:
            return
        groups: dict[tuple[str, ...], list[_Jump]] = {}
        for step in _steps(total):
            jump = _explain(case, stretch, total, step)
            if jump.rises or _shrinks(jump) or jump.terms in groups:
                groups.setdefault(jump.terms, []).append(jump)
        for jumps in groups.values():
            yield _finding(case, jumps)


@final
class TermJump:
    """A term changes its level at once by a factor of 3 and stays there; no total shows it.

    Statistic and thresholds: as `total-jump`, on each term, upward only, from a factor of 3. Always
    a note: without a total nobody knows how much the term counts.

    Healthy look-alikes: as `total-jump`, and terms that are switched on by design.
    """

    name: ClassVar[str] = "term-jump"
    fault: ClassVar[Fault] = Fault.JUMP
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every term that jumps while the total, if any, does not."""
        stretch = case.stretches[0]
        if case.total is not None:
            return
        for one in stretch.terms:
            if not one.positive or role_of(case, one.name) == "adversary":
                continue
            found = [_explain(case, stretch, one, step) for step in _steps(one)]
            jumps = [jump for jump in found if jump.ratio >= TERM]
            if jumps:
                yield _finding(case, jumps)


@final
class TermSwitches:
    """A term is exactly zero for stretches of records and large in others, again and again.

    What the total minimises then changes back and forth, and optimizer moments learned on one
    objective are applied to the other.

    Statistic: stretches of three or more records (or blocks of them) that are exactly zero, against
    stretches that are not. Thresholds: three switches or more, and a weighted level of at least a
    tenth of the total (or of the sum of terms). It is a warning for a task term whose switching
    neither logged weights nor stages explain, else a note. Three: once on, once off and on again is
    no longer one planned stage.

    Healthy look-alikes: a lazy penalty every few records (shorter than three records), adversaries
    and penalties that are trained in turns, data sets that alternate by design, a hinge whose
    margin is met, which comes back at less than half of its start (a note).
    """

    name: ClassVar[str] = "term-switches-on-and-off"
    fault: ClassVar[Fault] = Fault.JUMP
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for all terms that switch at the same records."""
        stretch = case.stretches[0]
        together: dict[tuple[int, ...], list[Trace]] = {}
        for one in stretch.terms:
            at = _switches(one)
            if len(at) >= SWITCHES and _matters(case, stretch, one):
                together.setdefault(tuple(at), []).append(one)
        for at, terms in together.items():
            terms.sort(key=_on_level, reverse=True)
            yield _switching(case, stretch, terms, list(at))


def _switches(one: Trace) -> list[int]:
    """Blocks at which a term turns on or off, between stretches of three or more blocks."""
    off = (one.low == 0) & (one.high == 0)
    turns = np.flatnonzero(np.diff(off)) + 1
    if not len(turns):
        return []
    lengths = np.diff(np.concatenate(([0], turns, [len(one)])))
    steady = (lengths[:-1] >= 3) & (lengths[1:] >= 3)
    return [int(at) for at in turns[steady]]


def _margin_met(one: Trace) -> bool:
    """True if a term came down to 0 and then only touches it: less than half of its start.

    What is switched comes back at its level; a hinge whose margin is met comes back a little.
    """
    off = np.flatnonzero(one.mid == 0)
    later = one.mid[off[0] :]
    return bool(np.median(np.abs(later[later != 0])) < 0.5 * abs(one.start))


def _on_level(one: Trace) -> float:
    """Median of a term where it is not zero."""
    return float(np.median(np.abs(one.mid[one.mid != 0])))


def _matters(case: Case, stretch: Stretch, one: Trace) -> bool:
    weight = known_weight(case, one.name)
    total = None if case.total is None else stretch.traces.get(case.total.name)
    whole = (
        float(np.median(np.abs(total.mid)))
        if total is not None
        else sum(float(np.median(np.abs(other.mid))) for other in stretch.terms)
    )
    return _on_level(one) * abs(1.0 if weight is None else weight) > 0.1 * whole


def _switching(case: Case, stretch: Stretch, terms: list[Trace], at: list[int]) -> Finding:
    one, names = terms[0], tuple(term.name for term in terms)
    whys = [_explanation(case, stretch, one, index) for index in at]
    planned = sum(1 for why in whys if why) > len(at) / 2 or all(
        role_of(case, term.name) != "task" or _margin_met(term) for term in terms
    )
    first, last = int(one.first[at[0]]), int(one.first[at[-1]])
    return Finding(
        rule=TermSwitches.name,
        fault=Fault.JUMP,
        severity=Severity.NOTE if planned else Severity.WARNING,
        terms=names,
        steps=(first, last),
        summary=f"{named(names)}: switched {len(at)} times between 0 and {number(_on_level(one))} "
        f"from step {first} to {last}; "
        f"{next(filter(None, whys), 'nothing in the log explains it')}; "
        f"{gradient_of(case, one.name)}",
        evidence=(
            Evidence(
                text=f"switched {len(at)} times, first at steps "
                f"{', '.join(str(int(one.first[i])) for i in at[:8])}",
                series=one.name,
                steps=(first, last),
                value=float(len(at)),
                threshold=float(SWITCHES),
            ),
        ),
        cause="A condition on the epoch or the batch turns the term on and off. Expected if tasks "
        "or data sets alternate by design.",
        action=f"Find the condition that switches '{one.name}'; if it is meant as a start, turn it "
        "on once, with a ramp.",
        verify=f"watch.log(weight_{python_name(one.name)}=weight)  # must change once, not "
        f"{len(at)} "
        "times",
    )


def _steps(one: Trace) -> list[Step]:
    """Steps of one trace that are large against its level and are not the tail of a spike."""
    window = max(5, len(one) // 40)
    found = level_steps(one.mid, window)
    places = decimals(one.mid)
    visible = 0.0 if places is None else UNITS * 10.0**-places
    found = [step for step in found if abs(step.after - step.before) >= visible]
    return [step for step in found if _large(step) and not _burst(one, step, window)]


def _large(step: Step) -> bool:
    return abs(step.after - step.before) > CHANGE * max(abs(step.before), abs(step.after) / 10)


def _burst(one: Trace, step: Step, window: int) -> bool:
    """True if the step is what a spike left behind."""
    level = max(abs(step.after), abs(step.before))
    return float(one.high[step.at : step.at + window].max()) > BURST * level


def planned_rise(case: Case) -> int | None:
    """Last step at which the total at least doubles by a logged weight, factor or stage."""
    stretch = case.stretches[0]
    total = None if case.total is None else stretch.traces.get(case.total.name)
    if total is None:
        return None
    jumps = [_explain(case, stretch, total, step) for step in _steps(total)]
    rises = [one.at for one in jumps if one.why and one.rises and one.ratio >= DOUBLED]
    return max(rises, default=None)


def _shrinks(jump: _Jump) -> bool:
    return jump.step.after > 0 and jump.step.before >= TERM * jump.step.after


def _explain(case: Case, stretch: Stretch, one: Trace, step: Step) -> _Jump:
    terms = (one.name,) if one.kind == Kind.TERM else _culprits(case, stretch, one, step)
    return _Jump(step, one, terms, _explanation(case, stretch, one, step.at))


def _around(other: Trace, block: int, window: int = 5) -> tuple[float, float]:
    """Medians just before and just after a block; zero where the trace does not exist."""
    at = int(np.searchsorted(other.number, block))
    before, after = other.mid[max(0, at - window) : at], other.mid[at : at + window]
    return (
        float(np.median(before)) if len(before) else 0.0,
        float(np.median(after)) if len(after) else 0.0,
    )


def _culprits(case: Case, stretch: Stretch, total: Trace, step: Step) -> tuple[str, ...]:
    """The terms whose weighted change makes up most of the step, the largest first."""
    block, size = int(total.number[step.at]), step.after - step.before
    changes: dict[str, float] = {}
    for one in stretch.terms:
        before, after = _around(one, block)
        weight = known_weight(case, one.name)
        changes[one.name] = (after - before) * (1.0 if weight is None else weight) / size
    worst = sorted(changes, key=lambda name: changes[name], reverse=True)
    return tuple(name for name in worst if changes[name] > 0.3)[:3] or (total.name,)


def _explanation(case: Case, stretch: Stretch, one: Trace, at: int) -> str:
    """What the log offers as an explanation of a step, in words; empty if nothing.

    Noise that is correlated shifts the place of a step by a few blocks, so that settings are looked
    at on either side of its neighbourhood; learning rates, which always change a little, are not.
    """
    block = int(one.number[at])
    for kind, word in _SWITCHES:
        for other in stretch.of_kind(kind):
            if kind is Kind.STATISTIC and not {*words(other.name)} & _FACTORS:
                continue
            wide = 0 if kind is Kind.LEARNING_RATE else len(one) // 80
            before, after = _around(other, block - wide, 2)[0], _around(other, block + wide, 2)[1]
            if abs(after - before) > 0.2 * max(abs(before), abs(after)):
                return f"{word} '{other.name}' goes from {number(before)} to {number(after)}"
    lo, hi = int(one.first[max(0, at - 2)]), int(one.last[min(len(one) - 1, at + 1)])
    for event in case.run.events:
        if event.step is not None and lo <= event.step <= hi and event.name != "overflow":
            return f"the log says '{event.text[:80]}'"
    return ""


def _finding(case: Case, jumps: list[_Jump]) -> Finding:
    top = max(jumps, key=lambda one: one.step.after - one.step.before)
    unexplained = [one for one in jumps if not one.why]
    switching = len(unexplained) >= SWITCHES
    doubled = top.rises and (top.ratio >= DOUBLED) and top.step.before > 0
    swings = all(role_of(case, name) == "adversary" for name in top.terms)
    is_total = top.trace.kind == Kind.TOTAL
    planned = bool(top.why) and not switching
    serious = is_total and (doubled or switching) and not (swings or planned)
    later = "1 later step" if len(jumps) == 2 else f"{len(jumps) - 1} later steps"
    steps = top.at if len(jumps) == 1 else f"{jumps[0].at} and {later}"
    change = f"{number(top.step.before)} to {number(top.step.after)}"
    why = top.why or "nothing in the log explains it"
    by = f" by {named(top.terms)}" if top.terms != (top.trace.name,) else ""
    facts = tuple(
        Evidence(
            text=f"'{one.trace.name}' goes from {number(one.step.before)} to "
            f"{number(one.step.after)}, scatter {number(one.step.noise)}"
            + (f"; {one.why}" if one.why else ""),
            series=one.trace.name,
            steps=(one.at, int(one.trace.last[one.step.at])),
            value=one.step.after - one.step.before,
            threshold=CHANGE * abs(one.step.before),
        )
        for one in sorted(jumps, key=lambda one: -abs(one.step.after - one.step.before))[:5]
    )
    return Finding(
        rule=(TotalJump if is_total else TermJump).name,
        fault=Fault.JUMP,
        severity=Severity.WARNING if serious else Severity.NOTE,
        terms=top.terms,
        steps=(jumps[0].at, jumps[-1].at),
        summary=f"'{top.trace.name}' jumps from {change} at step {steps}{by}; {why}; "
        f"{gradients_at(case, top.terms, top.at)}",
        evidence=facts,
        cause="A term starts, ends or changes its weight at once, or a term is computed on some "
        "epochs only. Expected if the stage is planned.",
        action=f"If {named(top.terms)} is meant to change there, ramp its weight over a few "
        "thousand steps; if not, find the condition that switches it.",
        verify=rerun("the ramp", f"'{top.trace.name}' must not jump at step {top.at}"),
        caused_by=("gradient-jump", "term-switches-on-and-off", "lr-reset"),
    )
