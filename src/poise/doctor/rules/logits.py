"""Cross-entropies that are given probabilities."""

from collections.abc import Iterator
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import monitored
from poise.doctor.probes import mapping
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need


@final
class ProbabilitiesAsLogits:
    """A cross-entropy that takes logits is given the output of a softmax or sigmoid.

    The probabilities are squashed a second time: they differ by 1 at most, so that the loss has a
    floor far above 0 (ln(K - 1 + e) - 1 for K classes) and next to no gradient where the model is
    sure and wrong.

    Statistic: the operation in front of the loss in the graph of the term, reshapings apart.
    Threshold: none; structural, so one look is enough.

    Healthy look-alikes: a log-softmax in front of a cross-entropy (it changes nothing), a softmax
    in front of a loss on probabilities, monitors (not judged).
    """

    name: ClassVar[str] = "probabilities-as-logits"
    fault: ClassVar[Fault] = Fault.SATURATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        for term, what in mapping(case.run.declared.get("squashed")).items():
            if isinstance(what, str) and not monitored(case, term):
                yield _finding(case, term, what)


def _finding(case: Case, term: str, what: str) -> Finding:
    steps = int(case.train.steps.min()), int(case.train.steps.max())
    return Finding(
        rule=ProbabilitiesAsLogits.name,
        fault=ProbabilitiesAsLogits.fault,
        severity=Severity.WARNING,
        terms=(term,),
        steps=steps,
        summary=f"'{term}' takes logits and is given the output of a {what}: probabilities, "
        "squashed a second time",
        evidence=(
            Evidence(
                text=f"the graph of '{term}' has a {what} right in front of its loss",
                series="reach",
                steps=steps,
                value=1.0,
                threshold=1.0,
            ),
        ),
        cause=f"The model ends in a {what}, and the loss has one of its own. Healthy losses have "
        "one.",
        action=f"Remove the {what} in front of '{term}', or take a loss on probabilities (the "
        f"{'nll_loss of their log' if what == 'softmax' else 'binary_cross_entropy'}).",
        verify=gradient(term, f"must grow where the {what} is removed"),
    )
