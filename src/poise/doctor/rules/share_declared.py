"""Declared gradient shares: honoured and too small, or not honoured."""

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Fault, Finding, Severity
from poise.doctor.measured import percent
from poise.doctor.probes import (
    Place,
    at,
    balanced,
    fallen,
    held_back,
    in_windows,
    judged,
    level,
    movers,
    shares,
)
from poise.doctor.proofs import rerun
from poise.doctor.rule import Need
from poise.doctor.rules.gradient_share import LACKS, NORMALISERS, often, progress, share_facts
from poise.doctor.series import number, python_name
from poise.doctor.wish import declared_shares, wish_of

APART = 3.0
"""Factor between a declared and a measured share from which it is not honoured."""
LONG = 100
"""Steps from which a term that does not move was given its chance."""


@final
class ShareTooSmall:
    """A declared gradient share is honoured, and keeps its term from moving.

    A share is a wish. Given exactly as asked, a tenth of the gradient may still be too little for a
    term whose output has far to go: then the wish is the fault, not the balancing.

    Statistic: measured against declared share, and how far the term fell. Thresholds: measured
    between half and twice the declared share, the term lost less than 5% of its start over 100
    steps or more while another task lost 30%.

    Healthy look-alikes: terms whose rest is noise, terms that started converged, roles other than
    task (not judged).
    """

    name: ClassVar[str] = "share-too-small"
    fault: ClassVar[Fault] = Fault.STARVATION
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES, Need.HISTORY})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that its declared share keeps still."""
        place, wanted = shares(case), declared_shares(case)
        long = int(np.ptp(case.train.steps)) + 1 >= LONG
        for term in () if place is None or not long else place.names:
            assert place is not None  # no names without a place
            share, wish = place.median(term), wanted.get(term)
            if wish and 0.5 <= share / wish <= 2 and judged(case, term) and held_back(case, term):
                yield self._finding(case, place, term, wish)

    def _finding(self, case: Case, place: Place, term: str, wish: float) -> Finding:
        best = max(movers(case, term), key=lambda one: fallen(case, one) or 0.0)
        told = wish_of(case, term)
        facts = [*share_facts(case, place, term)]
        facts += [one for one in (progress(case, term), progress(case, best)) if one is not None]
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' has the gradient share that was declared ({wish:.0%} declared, "
            f"{place.median(term):.1%} measured) and hardly moves: the declared share is too small",
            evidence=tuple(facts),
            cause="The balancing does what it was told; the wish keeps the term still, or its "
            "output has too far to go in this many steps. Expected if the term's rest is noise.",
            action=f"Declare a larger share for '{term}'." if told is None else told.action,
            verify=rerun("that share", f"'{term}' must end below {number(level(case, term)[1])}"),
        )


@final
class ShareNotHonoured:
    """A declared gradient share is not what is measured.

    Statistic: median of each window against the declared share. Threshold: apart by a factor of 3
    in at least half of the windows, 3 probes or more, declared 1% or more.

    Where a balancer weighs the terms at a fork, that is the place; else all shared parameters.

    Healthy look-alikes: a balancer in its first steps (three probes outlast them), shares declared
    for one place and measured at another: the finding names the place.
    """

    name: ClassVar[str] = "share-not-honoured"
    fault: ClassVar[Fault] = Fault.SCHEDULE
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one finding: the term that is farthest off."""
        place, wanted = balanced(case) or shares(case), declared_shares(case)
        if place is None or len(place) < 3:
            return
        off = {
            term: abs(float(np.log(max(place.median(term), 1e-12) / wish)))
            for term, wish in wanted.items()
            if term in place.names and wish >= LACKS
            and often(np.abs(np.log(np.maximum(in_windows(place.of(term)), 1e-12) / wish))
                       > np.log(APART))
        }  # fmt: skip
        if off:
            term = max(off, key=off.__getitem__)
            yield self._finding(case, place, term, wanted[term])

    def _finding(self, case: Case, place: Place, term: str, wish: float) -> Finding:
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING,
            terms=(term,),
            steps=place.span,
            summary=f"'{term}' was declared a gradient share of {wish:.0%} and has "
            f"{percent(place.median(term))} {at(case, place, term)}",
            evidence=tuple(share_facts(case, place, term)),
            cause="Nothing balances the gradients to the declared shares, or it does so at another "
            "place than was measured. Expected in a balancer's first steps.",
            action="Hand the weights that the balancer computes to the total, and balance at the "
            "tensor that the terms share; or paste the constant weights of "
            "`poise suggest`.",
            verify=f"print(torch.autograd.grad({python_name(term)}, shared_tensor, "
            "retain_graph=True)[0].norm())  # times its weight, over the sum of all terms'",
            caused_by=NORMALISERS,
        )
