"""Mechanisms that cannot matter: terms that are always 0, weights that never adapt."""

import re
from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need
from poise.doctor.series import (
    constant,
    finite,
    moved,
    named,
    python_name,
    span,
    steps_between,
)
from poise.run import Floats, Kind, Series, Table

CLASSIFIER = re.compile(
    r"(?:^|[^a-z])(?:cls|class|classification|category|cat)(?:[^a-z]|$)", re.IGNORECASE
)
"""Names of terms that are 0 by right if there is a single class."""

SPREAD = re.compile(r"(?:^|[^a-z])(?:std|var|min|count)(?:[^a-z]|$)", re.IGNORECASE)
"""Names of statistics of a reward that may be 0 although the reward is earned."""

ENOUGH = 50
"""Records below which a term that is always 0 may simply not have started yet."""


@final
class TermZero:
    """A term is exactly 0 in every record.

    It is computed and logged but cannot influence anything: a forgotten weight, an empty target, a
    branch that never runs, or a stage that has not begun.

    Statistic: number of records in which the term is not exactly 0. Thresholds: none of them, in at
    least 50 records (fewer, or less than a tenth of the declared steps, is a note: the term may be
    scheduled to start later). Values that are printed with so few decimals that small numbers show
    as 0 are a note.

    Healthy look-alikes: a classification term with a single class (a note, by its name), a term
    with weight 0 in this run, a term whose stage begins later.
    """

    name: ClassVar[str] = "term-zero"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERM})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for each kind of excuse, with all terms that share it."""
        table = case.train
        groups: dict[str, list[Series]] = {}
        for one in case.terms:
            if len(one) > 1 and not one.values.any():
                groups.setdefault(_excuse(case, one), []).append(one)
        for excuse, terms in groups.items():
            yield self._finding(table, excuse, terms)

    def _finding(self, table: Table, excuse: str, terms: list[Series]) -> Finding:
        names = [one.name for one in terms]
        count = min(len(one) for one in terms)
        verb = "is" if len(names) == 1 else "are"
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if excuse else Severity.WARNING,
            terms=tuple(names),
            steps=span(table, terms[0]),
            summary=f"{named(names)} {verb} exactly 0 in all {count} records{excuse}.",
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}': 0 of {len(one)} values differ from 0",
                    series=one.name,
                    steps=span(table, one),
                    value=0.0,
                    threshold=1.0,
                )
                for one in terms[:8]
            ),
            cause=(
                "A weight of 0, an empty target or mask, or a branch that never runs. Expected if "
                "the term is switched off in this run, starts later, or has nothing to tell apart."
            ),
            action="Remove the term, or find out why its value is 0 for a batch that has targets.",
            verify=f"print({python_name(names[0])}(batch_with_targets))  # before any weight: 0?",
        )


def _excuse(case: Case, term: Series) -> str:
    """The healthy explanation that fits best, or the empty string."""
    if _coarse(case):
        return "; the log prints so few decimals that small values show as 0"
    if CLASSIFIER.search(term.name):
        return ", which is expected if there is a single class"
    if case.role(term.name) == "monitor":
        return ", and its role is monitor"
    if len(term) < ENOUGH or _early(case):
        return " so far; it may be scheduled to start later"
    return ""


def _early(case: Case) -> bool:
    """True if the run declares its length and has not done a tenth of it."""
    planned = case.run.declared.get("total_steps")
    return isinstance(planned, int) and steps_between(case.train.steps)[1] < planned / 10


def _coarse(case: Case) -> bool:
    """True if all losses that are not 0 are printed with at most three decimals."""
    values = [finite(one.values) for one in case.train.of_kind(Kind.TERM, Kind.TOTAL)]
    shown = [one for one in values if one.any()]
    return bool(shown) and all(bool((np.round(one, 3) == one).all()) for one in shown)


@final
class TotalZero:
    """The total is exactly 0 in every record.

    A loss of 0 has no gradient. Either it is not computed, or everything in it is masked out.

    Statistic: number of records in which the total is not 0. Threshold: none in at least 20
    records; a note where the run has a gradient norm that is not 0, because then the logged number
    is not what is differentiated.

    Healthy look-alikes: policy-gradient losses that cancel at the first step after each sampling
    (GRPO), whose gradient is not 0; a total that is printed with few digits.
    """

    name: ClassVar[str] = "total-zero"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TOTAL, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every training total that is always 0."""
        table = case.train
        norms = table.of_kind(Kind.GRAD_NORM)
        alive = any(bool(finite(one.values).any()) for one in norms)
        alive = alive or any(bool(finite(one.values).any()) for one in case.terms)
        for one in table.of_kind(Kind.TOTAL):
            if len(one) >= 20 and not one.values.any():
                yield self._finding(table, one, alive=alive)

    def _finding(self, table: Table, one: Series, *, alive: bool) -> Finding:
        but = ", but terms or gradients beside it are not" if alive else ""
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if alive else Severity.WARNING,
            terms=(one.name,),
            steps=span(table, one),
            summary=f"'{one.name}' is exactly 0 in all {len(one)} records{but}.",
            evidence=(
                Evidence(
                    text=f"0 of {len(one)} values differ from 0",
                    series=one.name,
                    steps=span(table, one),
                    value=0.0,
                    threshold=1.0,
                ),
            ),
            cause=(
                "The loss is never computed, or everything in it is masked. Expected where a loss "
                "is 0 by construction although its gradient is not, as in policy-gradient methods."
            ),
            action="Log the gradient norm; if that is 0 too, look for the mask that is empty.",
            verify="print(mask.sum(), loss.requires_grad)  # elements that enter the loss "
            "of one batch",
        )


@final
class TermConstant:
    """A term has one and the same value, other than 0, in every record while others move.

    A constant has no gradient: the term is computed from tensors that do not depend on the batch or
    on the parameters.

    Statistic: number of different values. Threshold: one, over at least 50 records, of a value with
    3 significant digits or more, while another term moves by more than its noise.

    Healthy look-alikes: an offset that is added on purpose, a clamped or saturated term, a value
    that was printed with one or two digits (not counted).
    """

    name: ClassVar[str] = "term-constant"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TERMS, Need.HISTORY})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every constant term, unless nothing moves at all."""
        still = [one for one in case.terms if len(one) >= ENOUGH and _written_out(one.values)]
        if still and any(moved(one.values) for one in case.terms if one not in still):
            for one in still:
                yield self._finding(case, one)

    def _finding(self, case: Case, one: Series) -> Finding:
        value = float(one.values[0])
        known = case.role(one.name) in {"offset", "monitor"}
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if known else Severity.WARNING,
            terms=(one.name,),
            steps=span(case.train, one),
            summary=f"'{one.name}' is {value:.6g} in all {len(one)} records while others move.",
            evidence=(
                Evidence(
                    text=f"one value in {len(one)} records",
                    series=one.name,
                    steps=span(case.train, one),
                    value=1.0,
                    threshold=1.0,
                ),
            ),
            cause=(
                "It does not depend on the batch: a detached, cached, clamped or saturated value. "
                "Expected only of an offset that is added on purpose."
            ),
            action=f"Compute '{one.name}' for two different batches and compare.",
            verify=gradient(one.name, "empty or all 0: it trains nothing"),
        )


def _written_out(values: Floats) -> bool:
    """True if the values are one constant with at least three significant digits."""
    return constant(values) and float(f"{values[0]:.1e}") != float(values[0])


def _others(count: int) -> str:
    return "another reward that is" if count == 1 else f"{count} other rewards that are"


@final
class RewardZero:
    """One reward function is exactly 0 throughout while others are earned.

    It contributes nothing to any advantage, so nothing pulls towards it: the policy never does what
    it asks for, or the function never recognizes it.

    Statistic: number of records in which a logged reward component differs from 0. Threshold: none
    in at least 50 records, while another component of the same group is not 0.

    Healthy look-alikes: a reward for something rare that comes later in the training (declared
    steps: below a tenth of them it is a note); its spread or its count, which are not judged.
    """

    name: ClassVar[str] = "reward-zero"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REWARDS})

    def check(self, case: Case) -> Iterable[Finding]:
        """One finding for every group of rewards with dead members."""
        groups: dict[str, list[Series]] = {}
        for one in case.train.of_kind(Kind.STATISTIC, Kind.TERM):
            group = one.name.rpartition("/")[0]
            if "reward" in group.lower() and not SPREAD.search(one.name):
                groups.setdefault(group, []).append(one)
        for members in groups.values():
            dead = [one for one in members if len(one) >= ENOUGH and not one.values.any()]
            if dead and len(dead) < len(members):
                yield self._finding(case, dead, len(members))

    def _finding(self, case: Case, dead: list[Series], members: int) -> Finding:
        names = [one.name for one in dead]
        early = _early(case)
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.NOTE if early else Severity.WARNING,
            terms=tuple(names),
            steps=span(case.train, dead[0]),
            summary=(
                f"{named(names)}: exactly 0 in all {len(dead[0])} records, beside "
                f"{_others(members - len(dead))} earned."
            ),
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}': 0 of {len(one)} values differ from 0",
                    series=one.name,
                    steps=span(case.train, one),
                    value=0.0,
                    threshold=1.0,
                )
                for one in dead[:8]
            ),
            cause=(
                "The function never recognizes what it rewards, or the policy never does it, so it "
                "cannot learn it. Expected only of a reward for something rare."
            ),
            action=f"Call the function of '{names[0]}' on an answer that surely deserves it.",
            verify=f"print({python_name(names[0])}([reference_answer]))  # must not be 0",
        )
