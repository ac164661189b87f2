"""What a watch says about its own measuring: that it failed, or that there was nothing to see."""

from collections.abc import Iterator
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.doctor.series import steps_between
from poise.run import Event

FAILED = "probe-failed"
"""Event of a watch whose measuring raised; its text is the error."""
NO_GRAPH = "no-graph"
"""Event of a watch that was given a total without any graph while gradients were enabled."""
UNUSED = "total-unused"
"""Event of a watch whose optimizer stepped although its total was never passed backward."""


def _said(case: Case, name: str) -> tuple[list[Event], tuple[int, int]]:
    """The events of a name, and the first and last step of the training."""
    return [one for one in case.run.events if one.name == name], steps_between(case.train.steps)


def _evidence(found: list[Event], steps: tuple[int, int]) -> tuple[Evidence, ...]:
    first = found[0]
    at = steps[0] if first.step is None else first.step
    return (
        Evidence(
            text=f"the watch says at step {at}: {first.text or first.name} ({len(found)} times)",
            series="",
            steps=(at, max(at, steps[1])),
            value=float(len(found)),
            threshold=1.0,
        ),
    )


@final
class MeasuringFailed:
    """A watch was attached and could not measure gradients.

    Then rules that need them were not checked, and not for want of a watch.

    Statistic: events of the watch. Threshold: one. Always a note: the training goes on as without a
    watch, and values, learning rates and steps are recorded all the same.

    Healthy look-alikes: totals handed over after their backward pass, compiled or checkpointed
    losses whose graph cannot be passed twice: the training is sound, only the measuring is not.
    """

    name: ClassVar[str] = "measuring-failed"
    fault: ClassVar[Fault] = Fault.RECORD
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one note, with the first error."""
        found, steps = _said(case, FAILED)
        if not found:
            return
        unseen = "" if case.gradients_known else "; no gradient was measured"
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE,
            terms=(),
            steps=steps,
            summary=f"the watch is attached but could not measure{unseen}: {found[0].text[:160]}",
            evidence=_evidence(found, steps),
            cause="The total was handed over after its backward pass, or its graph cannot be "
            "passed twice (reentrant checkpointing, a compiled loss). Expected of those.",
            action="Call watch.total before backward(); where the graph cannot be passed twice, "
            "mark the shared tensor with poise.fork.",
            verify="print(watch.failures)  # after 100 batches: must be 0",
        )


@final
class TotalWithoutGraph:
    """The watched total has no graph: nothing can be learned from it, nor measured on it.

    Either its terms were detached before they were handed over, while something else is passed
    backward, or the training minimises a number that depends on no parameter.

    Statistic: event of the watch, for totals none of whose terms has a graph while gradients are
    enabled. Threshold: one such event and no gradient ever measured; a warning.

    Healthy look-alikes: an evaluation without `watch.evaluation()` (then some totals have a graph,
    gradients are measured, and this is silent).
    """

    name: ClassVar[str] = "total-without-graph"
    fault: ClassVar[Fault] = Fault.NO_GRADIENT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one warning."""
        found, steps = _said(case, NO_GRAPH)
        if not found or case.gradients_known:
            return
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=tuple(one.name for one in case.terms),
            steps=steps,
            summary="the watch got detached terms only: its total has no graph, so nothing can be "
            "measured, or learned from it",
            evidence=_evidence(found, steps),
            cause="The terms went through detach(), item() or no_grad() before watch.total. "
            "Expected if another sum is passed backward on purpose; then only values are seen.",
            action="Hand the terms over as they are, and pass the total that watch.total returns "
            "backward.",
            verify="print(watch.total(terms, weights).requires_grad)  # must be True",
        )


@final
class TotalUnused:
    """The optimizer steps, but the watched total is not what is passed backward.

    Another sum is trained than the one that the record shows: its weights, shares and schedules
    have no effect.

    Statistic: event of the watch, for optimizer steps before which its total was never passed
    backward. Threshold: 3 events (a batch may be skipped now and then); a warning.

    Healthy look-alikes: batches whose loss is thrown away (fewer than 3), several totals that are
    added up before one backward pass (the event does not come then), methods that pass each term
    backward by itself (the cause says so).
    """

    name: ClassVar[str] = "total-unused"
    fault: ClassVar[Fault] = Fault.UNACCOUNTED
    needs: ClassVar[frozenset[Need]] = frozenset({Need.RECORDS})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one warning."""
        found, steps = _said(case, UNUSED)
        if len(found) < 3:
            return
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=() if case.composition is None else (case.composition.total,),
            steps=steps,
            summary="what is passed backward is not the total that watch.total returns: the "
            "recorded weights have no effect",
            evidence=_evidence(found, steps),
            cause="The returned total is ignored and another sum is passed backward. Expected if "
            "the watch only looks on, or each term is passed backward by itself.",
            action="Pass the total that watch.total returns backward.",
            verify="total = watch.total(terms, weights); total.backward()",
        )
