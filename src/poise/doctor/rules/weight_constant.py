"""Weights that are meant to adapt and do not."""

import re
from collections.abc import Iterable
from typing import ClassVar, final

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.probes import listing, mapping, places, shares
from poise.doctor.rule import Need
from poise.doctor.rules.no_effect import ENOUGH
from poise.doctor.rules.share_declared import APART
from poise.doctor.series import constant, named, number, span
from poise.doctor.wish import declared_shares
from poise.run import Kind

LEARNED = re.compile(
    r"log_?(vars?|variances?|sigmas?|stds?)|uncertaint|(loss|task|term)_?weight", re.IGNORECASE
)
"""Names of parameters that weights of terms are made from."""

LAYER = ("weight", "bias")
"""Parameters of a layer: one called `log_var` predicts a variance, and weighs no terms."""


@final
class WeightConstant:
    """A weight that is meant to adapt never changes.

    The balancer or curriculum that owns it is not called, or a learned weight is not among the
    optimizer's parameters.

    Statistic: number of different values of each logged weight. Threshold: one for all weights,
    over at least 50 records. A warning where the run declares a balancer, or shares that constant
    weights do not give (see `share-not-honoured`), or where the model of a watched run has a
    parameter named after a learned weight (`log_vars`, `loss_weights`) that no total reaches or no
    optimizer holds; else a note: many logs repeat their fixed weights. A run record with none of
    these is passed over.

    Healthy look-alikes: fixed weights that are logged anyway, a balancer that still warms up or
    acts at a fork (its weights there move, so this is passed over), a weight held at its bound, a
    layer with such a name (`fc_log_var.weight`).
    """

    name: ClassVar[str] = "weight-constant"
    fault: ClassVar[Fault] = Fault.NO_EFFECT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.WEIGHTS})

    def check(self, case: Case) -> Iterable[Finding]:
        """At most one finding, about all weights."""
        table = case.train
        weights = [one for one in table.of_kind(Kind.WEIGHT) if len(one) >= ENOUGH]
        if not weights or not all(constant(one.values) for one in weights) or _at_fork(case):
            return
        declared = case.run.declared
        idle = _idle_weights(case)
        adaptive = bool(idle or declared.get("balancer")) or _shares_missed(case)
        own = declared.get("terms") or declared.get("watch")
        if own and not adaptive:
            return  # Our own record: it would declare a balancer, and it holds the weights anyway.
        names = [one.of or one.name for one in weights]
        cause, action, verify = _advice(idle)
        count = min(len(one) for one in weights)
        values = ", ".join(number(float(one.values[0])) for one in weights[:4])
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if adaptive else Severity.NOTE,
            terms=(*names, *dict.fromkeys(one.rpartition(".")[0] or one for one in idle)),
            steps=span(table, weights[0]),
            summary=f"The weights of {named(names)} stay at {values} in all {count} records.",
            evidence=tuple(
                Evidence(
                    text=f"'{one.name}' has one value in {len(one)} records",
                    series=one.name,
                    steps=span(table, one),
                    value=1.0,
                    threshold=1.0,
                )
                for one in weights[:8]
            ),
            cause=cause,
            action=action,
            verify=verify,
            caused_by=("parameters-untrained",),
        )


def _advice(idle: list[str]) -> tuple[str, str, str]:
    """Cause, action and proof; learned weights that stand idle are known by their names."""
    if not idle:
        return (
            "Nothing updates them: the balancer is not called, or learned weights are missing from "
            "the optimizer or have no part in the total. Expected if they are fixed.",
            "If they are meant to adapt, call the balancer, or pass their parameters to the "
            "optimizer.",
            "print(any(p is weight for g in optimizer.param_groups for p in g['params']))",
        )
    return (
        f"The weights are meant to be made from {named(idle)}, which nothing trains: no optimizer "
        "holds it, or its graph is cut on the way to the total (`.item()`, `float()`, `detach`). "
        "Expected if they are fixed.",
        f"Make the weights from {named(idle)} as tensors with their graph, and pass it to the "
        "optimizer.",
        f"total.backward(); print(model.get_parameter({idle[0]!r}).grad)  # not None",
    )


def _at_fork(case: Case) -> bool:
    """True if a balancer's weights change where it acts, in the backward pass and not the total."""
    return any(
        not constant(one.of(name)) for one in places(case, Kind.FORK_WEIGHT) for name in one.names
    )


def _shares_missed(case: Case) -> bool:
    """True if shares were declared and are not what is measured, or nothing was measured."""
    wanted, place = declared_shares(case), shares(case)
    if place is None:
        return bool(wanted)
    return any(
        wish > 0 and not 1 / APART <= place.median(term) / wish <= APART
        for term, wish in wanted.items()
        if term in place.names
    )


def _idle_weights(case: Case) -> list[str]:
    """Parameters named after a learned weight that no total reaches, or no optimizer holds."""
    declared = case.run.declared
    told = declared.get("unoptimised", mapping(declared.get("parameters")).get("unoptimised"))
    names = dict.fromkeys(map(str, (*listing(declared.get("unreached")), *listing(told))))
    loose = (name for name in names if name.rpartition(".")[2] not in LAYER)
    return [name for name in loose if LEARNED.search(name)]
