"""A run against the ranges that its author expects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.expectations import Held, held
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need, Rule
from poise.doctor.series import number, roughness, steps_between
from poise.run import Floats, Ints

PART = 3
"""Values whose median one noisy step cannot move out of a range."""
PARTS = 5
"""So many parts is the expected stretch looked at in, where it has the values."""


SURE = 3.0
"""Standard errors by which the end alone must lie outside, as noise about a bound does, too."""

CAUSES = (
    *("optimizer-never-steps", "lr-zero", "parameters-still", "parameters-untrained"),
    *("average-cannot-move", "term-reaches-nothing", "term-gradient-zero", "weight-ignored"),
    *("normaliser-starves-gradient", "gradient-starvation", "gradient-dominance"),
    *("share-too-small", "value-starvation", "value-normaliser", "value-dominance"),
    *("total-jump", "term-jump", "gradient-jump", "gradient-vanishes"),
)
"""Rules whose findings explain why a number is not where it was expected."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Values of one stretch of steps.

    Attributes:
        steps: Their first and last step.
        median: Their median.
        count: How many they are.
        bound: The bound that the median lies at or beyond; None: it keeps to the range.
    """

    steps: tuple[int, int]
    median: float
    count: int
    bound: float | None


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A broken expectation.

    Attributes:
        held: The expectation and its values.
        part: The values that broke it.
        bound: The bound that their median lies at or beyond.
        before: The last part before it that kept to the range; None: there is none.
        late: The last part of all, if it keeps to the range after all; else None.
    """

    held: Held
    part: Part
    bound: float
    before: Part | None
    late: Part | None

    @property
    def upward(self) -> bool:
        """Beyond the upper bound?"""
        return self.bound == self.held.expect.below


def breach(one: Held) -> Breach | None:
    """How an expectation is broken: over the whole stretch it speaks of, or at its end."""
    values, steps = one.values[one.inside], one.steps[one.inside]
    last = len(values) - max(PART, len(values) // PARTS)
    found = _part(one, values, steps)
    if found.bound is None and last >= PART:
        found = _part(one, values[last:], steps[last:])
        noise = SURE * 1.25 * 1.05 * roughness(values[last:]) / np.sqrt(found.count)
        if found.bound is not None and abs(found.median - found.bound) <= noise:
            return None
    return None if found.bound is None else _told(one, found, found.bound)


def _told(one: Held, part: Part, bound: float) -> Breach:
    """The breach, and what was before and after it."""
    known = one.steps <= one.steps[one.inside].max()
    values, steps = one.values[known], one.steps[known]
    count = max(1, min(4 * PARTS, len(values) // PART))
    cuts = zip(np.array_split(values, count), np.array_split(steps, count), strict=True)
    parts = [_part(one, *cut) for cut in cuts]
    out = [at for at, p in enumerate(parts) if p.steps[1] >= part.steps[0] and p.bound is not None]
    kept = [p for p in parts[: out[0] if out else 0] if p.bound is None]
    late = parts[-1] if parts[-1].bound is None else None
    return Breach(held=one, part=part, bound=bound, before=kept[-1] if kept else None, late=late)


def _part(one: Held, values: Floats, steps: Ints) -> Part:
    median = float(np.median(values))
    bound = _beyond(one, median)
    return Part(steps=steps_between(steps), median=median, count=len(values), bound=bound)


def _beyond(one: Held, value: float) -> float | None:
    """The bound that a value lies at or beyond; None inside of the range."""
    if one.expect.below is not None and not value < one.expect.below:
        return float(one.expect.below)
    if one.expect.above is not None and not value > one.expect.above:
        return float(one.expect.above)
    return None


def _evidence(one: Breach) -> Iterator[Evidence]:
    expect, part = one.held.expect, one.part
    side = "below" if one.upward else "above"
    of = "declared" if one.held.planned else "recorded"
    until = "" if expect.until == 1 else f", up to {expect.until:.0%}"
    yield Evidence(
        text=f"median {number(part.median)} over {part.count} values at steps {part.steps[0]} to "
        f"{part.steps[1]}; expected {side} {number(one.bound)} from {expect.after:.0%} of the "
        f"{of} steps on{until}",
        series=expect.name,
        steps=part.steps,
        value=part.median,
        threshold=one.bound,
    )
    values, steps = one.held.values[one.held.inside], one.held.steps[one.held.inside]
    out = sum(_beyond(one.held, float(value)) is not None for value in values)
    far = int(values.argmax() if one.upward else values.argmin())
    yield Evidence(
        text=f"{out} of {len(values)} values lie outside; the farthest is "
        f"{number(float(values[far]))} at step {int(steps[far])}",
        series=expect.name,
        steps=steps_between(steps),
        value=float(values[far]),
        threshold=one.bound,
    )
    for when, kept in (("before", one.before), ("at the end", one.late)):
        if kept is not None:
            yield Evidence(
                text=f"it is in the range {when}: median {number(kept.median)} over steps "
                f"{kept.steps[0]} to {kept.steps[1]}",
                series=expect.name,
                steps=kept.steps,
                value=kept.median,
                threshold=one.bound,
            )


def _finding(rule: Rule, one: Breach, cause: str) -> Finding:
    expect = one.held.expect
    side = "below" if one.upward else "above"
    ends = one.part.count < int(one.held.inside.sum())
    where = f" of '{expect.split}'" if expect.split != "train" else ""
    return Finding(
        rule=rule.name,
        fault=rule.fault,
        severity=Severity.WARNING,
        terms=(expect.name,),
        steps=one.part.steps,
        summary=f"'{expect.name}'{where} {'ends' if ends else 'is'} at {number(one.part.median)}, "
        f"expected {side} {number(one.bound)} (declared: {expect.shown})",
        evidence=tuple(_evidence(one)),
        cause=f"{cause} Expected if the range was guessed for another training.",
        action="Follow the findings above to the cause; where there are none, the range is what "
        f"to look at: set what '{expect.name}' reaches in a run that you trust.",
        verify=rerun("the cause cured", f"'{expect.name}' must end {side} {number(one.bound)}"),
        caused_by=CAUSES,
    )


def _breaches(case: Case) -> Iterator[Breach]:
    return (found for one in held(case.run) if (found := breach(one)) is not None)


@final
class ExpectationBroken:
    """A number never comes into the range that was declared for it.

    `Watch(expect=[Expect("layerwise", below=1.0, after=0.2)])` or `--expect "layerwise<1.0@0.2"`
    declares one. Kept ones are not mentioned; one that names nothing in the run, or speaks of a
    part that is not reached yet, is listed as not checked.

    Statistic: median of the values from `after` to `until`: one noisy step breaks nothing. From six
    values on, the median of their last fifth (three or more), too, if it lies outside by more than
    three of its standard errors, taken from the change of one value to the next. Threshold: the
    declared bound; a median at the bound is outside.

    Healthy look-alikes: a range that was guessed for another training; one that is reached late,
    which the evidence tells.
    """

    name: ClassVar[str] = "expectation-broken"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPECTED})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every expectation that is broken from the beginning."""
        for one in _breaches(case):
            if one.before is None:
                yield _finding(self, one, "It is not in its range by then.")


@final
class ExpectationBrokenUpward:
    """A number was in the range that was declared for it and leaves it upward.

    As `expectation-broken`, but an earlier part of the record (a twentieth, three values or more)
    has its median in the range, and the values that count lie at or above `below`.

    Threshold: the declared bound.

    Healthy look-alikes: a number that begins low by construction, such as the loss of a term whose
    weight or difficulty is raised later: give `after`.
    """

    name: ClassVar[str] = "expectation-broken-upward"
    fault: ClassVar[Fault] = Fault.EXPLOSION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPECTED})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every expectation that is broken so."""
        for one in _breaches(case):
            if one.before is not None and one.upward:
                yield _finding(self, one, "It was in its range and rose out of it.")


@final
class ExpectationBrokenDownward:
    """A number was in the range that was declared for it and leaves it downward.

    As `expectation-broken`, but an earlier part of the record (a twentieth, three values or more)
    has its median in the range, and the values that count lie at or below `above`.

    Threshold: the declared bound.

    Healthy look-alikes: a number that begins high by construction, such as an entropy that is meant
    to fall: give `until`.
    """

    name: ClassVar[str] = "expectation-broken-downward"
    fault: ClassVar[Fault] = Fault.COLLAPSE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPECTED})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every expectation that is broken so."""
        for one in _breaches(case):
            if one.before is not None and not one.upward:
                yield _finding(self, one, "It was in its range and fell out of it.")


EXPECTATIONS = frozenset(
    one.name for one in (ExpectationBroken, ExpectationBrokenUpward, ExpectationBrokenDownward)
)
"""Names of the rules: any fault can be behind what they find."""
