"""A cross-entropy that ends where guessing would be."""

from collections.abc import Iterator
from math import log
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.probes import mapping, movers
from poise.doctor.proofs import alone
from poise.doctor.rule import Need
from poise.doctor.rules.stuck import RECORDS, StuckAtLogK
from poise.doctor.series import number
from poise.doctor.stats import MAD_TO_SIGMA
from poise.doctor.trace import Trace

NEAR = 0.005
"""Relative distance from ln K within which the level counts as ln K, noise apart."""


@final
class AtChance:
    """A cross-entropy of K classes ends at ln K: the inputs say nothing about the targets.

    It may have fallen to that level from above, which looks like learning and is only the output
    forgetting its initialisation.

    Statistic: median of the second half of the records, and the lowest running median, against
    ln K, with K as the watch finds it in the graph of the term. Thresholds: both within 0.5% and
    three standard errors of ln K (the median below as above), over 20 records or more, while
    another task has lost 30% of its start: where nothing is learned yet, it says nothing.

    Healthy look-alikes: classes that are not equally frequent (a constant guess is then better than
    ln K), the first steps of a language model, monitors (not judged), adversaries such as a domain
    classifier behind reversed gradients, which is meant to end there (not judged). What stays at
    ln K from the first step on is told by `stuck-at-log-k`.
    """

    name: ClassVar[str] = "at-chance"
    fault: ClassVar[Fault] = Fault.STUCK
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM, Need.HISTORY, Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        told = {name for one in StuckAtLogK().check(case) for name in one.terms}
        for term, classes in mapping(case.run.declared.get("classes")).items():
            one = case.stretches[0].traces.get(term)
            judged = term not in told and any(movers(case, term))
            judged = judged and role_of(case, term) not in ("monitor", "adversary")
            if one is not None and judged and isinstance(classes, int) and classes > 1:
                level = _level(one, log(classes))
                if level is not None:
                    yield _finding(one, classes, level)


def _level(one: Trace, chance: float) -> float | None:
    """Level of the second half of the records, if it is that of guessing; else None."""
    if len(one) < RECORDS:
        return None
    half = one.mid[len(one) // 2 :]
    level = float(np.median(half))
    error = NEAR * chance + 3 * 1.25 * MAD_TO_SIGMA * one.scatter / np.sqrt(len(half))
    lowest = NEAR * chance + 3 * 1.25 * MAD_TO_SIGMA * one.scatter * np.sqrt(
        2 / max(5, len(one) // 20)
    )
    near = abs(level - chance) <= error and one.best >= chance - lowest
    return level if near else None


def _finding(one: Trace, classes: int, level: float) -> Finding:
    chance = log(classes)
    return Finding(
        rule=AtChance.name,
        fault=AtChance.fault,
        severity=Severity.WARNING,
        terms=(one.name,),
        steps=one.steps,
        summary=f"'{one.name}' ends at {number(level)}, ln {classes} = {number(chance)}: guessing "
        f"its {classes} classes evenly is as good",
        evidence=(
            Evidence(
                text=f"median of the second half {number(level)}, {abs(level / chance - 1):.1%} "
                f"from ln {classes} = {number(chance)}; lowest running median {number(one.best)}",
                series=one.name,
                steps=one.steps,
                value=level / chance - 1,
                threshold=NEAR,
            ),
        ),
        cause="Nothing that tells the classes apart reaches the output: constant or detached "
        "inputs, targets that belong to other samples, outputs that have collapsed (steps that "
        "were too long). Expected if the targets are random.",
        action=f"Fit '{one.name}' to one batch with all else switched off: if it cannot fall below "
        "ln K there, follow its inputs back.",
        verify=alone(one.name, "falls below ln K: it can be learned"),
        caused_by=(
            *("lr-zero", "optimizer-never-steps", "parameters-untrained", "term-reaches-nothing"),
            *("term-gradient-zero", "gradient-starvation", "gradient-dominance"),
        ),
    )
