"""Predictions compared with the targets of all other samples."""

from collections.abc import Iterator
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import monitored
from poise.doctor.probes import listing, mapping
from poise.doctor.rule import Need
from poise.doctor.series import python_name


@final
class PredictionBroadcast:
    """A prediction of shape (B, 1) meets a target of shape (B,): all pairs are compared.

    Broadcasting makes (B, B) of the two, so each prediction is drawn to the mean of all targets.
    The loss looks like one that is hard to learn and stays at the variance of its targets.

    Statistic: the shapes in the graph of the term, before it is reduced. Threshold: none;
    structural, so one look is enough: one side without a graph, (B, 1) or (B,) on the other, and
    (B, B) made of them.

    Healthy look-alikes: differences between all pairs of outputs (both sides have a graph), several
    predictions for one target (not square), monitors (not judged).
    """

    name: ClassVar[str] = "prediction-broadcast"
    fault: ClassVar[Fault] = Fault.DATA
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        for term, shape in mapping(case.run.declared.get("broadcast")).items():
            sizes = [one for one in listing(shape) if isinstance(one, int)]
            if sizes and not monitored(case, term):
                yield _finding(case, term, sizes)


def _finding(case: Case, term: str, sizes: list[int]) -> Finding:
    steps = int(case.train.steps.min()), int(case.train.steps.max())
    size, whole = sizes[0], f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
    other = f"({size},)" if len(sizes) == 2 else f"({size}, 1)"
    return Finding(
        rule=PredictionBroadcast.name,
        fault=PredictionBroadcast.fault,
        severity=Severity.WARNING,
        terms=(term,),
        steps=steps,
        summary=f"'{term}' compares a prediction of shape {whole} with a target of shape {other}: "
        f"{size} x {size} pairs, where {size} were meant",
        evidence=(
            Evidence(
                text=f"the graph of '{term}' makes ({size}, {size}) of {whole} and reduces that",
                series="reach",
                steps=steps,
                value=float(size),
                threshold=1.0,
            ),
        ),
        cause="Broadcasting: one of the two has an axis that the other lacks. Expected if each "
        "prediction is meant for all targets.",
        action=f"Squeeze the last axis of the prediction of '{term}', or give its target one.",
        verify=f"print({python_name(term)}_prediction.shape, {python_name(term)}_target.shape)  # "
        "must be equal",
    )
