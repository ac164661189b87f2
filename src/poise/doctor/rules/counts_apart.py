"""Means over very different numbers of elements that decide the balance by accident."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import ENOUGH, Place, at, held_back, judged, shares
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.series import number
from poise.run import Kind

APART = 20.0
"""Factor between the counts of two terms from which a reduction may decide the balance."""
MUCH, LITTLE = 0.8, 0.05
"""Shares as written that are suspicious."""
HALF, FAIR = 0.5, 0.2
"""Shares that they must become when the counts are taken out."""


@final
class CountsApart:
    """Counts that differ by orders make one term own the gradient, or lose it.

    A sum over many elements beside a mean, or a mean per sample beside a mean per element: the
    reduction, not the weight, then decides who is heard. The count alone proves nothing, so shares
    as written are compared with shares per element.

    Statistic: recorded counts and gradient shares; per element, a share is divided by its count and
    all are scaled to 1 again. Thresholds: counts apart by a factor of 20, and a term with more than
    0.8 of the gradient as written and less than 0.5 per element, or less than 0.05 as written and
    more than 0.2 with the count put back. A warning if a task is held back by it (less than 5%
    lost while another lost 30%) and two probes agree; else a note.

    Healthy look-alikes: an ELBO, where the sum over features is right, token-level losses: notes.
    Without recorded counts nothing is claimed.
    """

    name: ClassVar[str] = "counts-apart"
    fault: ClassVar[Fault] = Fault.REDUCTION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES, Need.TOKENS})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding."""
        place = shares(case)
        if place is None:
            return
        counts = {
            one.of: float(np.median(one.values))
            for one in case.train.of_kind(Kind.COUNT)
            if one.of in place.names and len(one) and np.median(one.values) > 0
        }
        if len(counts) < len(place.names) or max(counts.values()) < APART * min(counts.values()):
            return
        sizes = np.array([counts[name] for name in place.names])
        written = np.array([place.median(name) for name in place.names])
        for k, term in enumerate(place.names):
            per, back = written / sizes, written * sizes
            over = written[k] > MUCH and per[k] / per.sum() < HALF
            under = written[k] < LITTLE and back[k] / back.sum() > FAIR
            if judged(case, term) and (over or under) and per.sum() > 0:
                other = float((per[k] / per.sum()) if over else back[k] / back.sum())
                yield self._finding(case, place, term, counts[term], other, over=bool(over))
                return

    def _finding(
        self, case: Case, place: Place, term: str, count: float, other: float, *, over: bool
    ) -> Finding:
        share = place.median(term)
        victims = [n for n in place.names if judged(case, n) and held_back(case, n)]
        hurt = (term in victims) != over if victims else False
        word = "more" if over else "less"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if hurt and len(place) >= ENOUGH else Severity.NOTE,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' has {share:.1%} of the gradient {at(case, place, term)} and would "
            f"have {other:.0%} if the counts were taken out: its reduction gives it {word} than "
            "its weight does",
            evidence=(
                Evidence(
                    text=f"'{term}' is taken over {number(count)} elements; share {share:.2%} as "
                    f"written, {other:.2%} with the counts taken out",
                    series=f"gradient_share/{term}",
                    steps=place.span,
                    value=share,
                    threshold=MUCH if over else LITTLE,
                ),
            ),
            cause="A sum stands beside a mean, or means are taken over elements here and samples "
            "there. Expected in an ELBO and in token-level losses.",
            action="Reduce all terms alike (sum over features, mean over the batch: poise.reduce) "
            "or state the factor as a weight.",
            verify=rerun("that division", "its gradient share must change by as much"),
        )
