"""Terms without gradient, weights that the backward pass ignores, parameters that nobody trains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, final

import numpy as np

from poise.doctor.case import Case
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.hints import role_of
from poise.doctor.probes import (
    Column,
    hidden,
    listing,
    mapping,
    moved,
    places,
    reach,
    weights_of,
)
from poise.doctor.proofs import gradient
from poise.doctor.rule import Need
from poise.doctor.rules.stuck import Plateau
from poise.doctor.series import named, number, span
from poise.run import Kind

LAZY = 0.1
"""Part of the records in which a term that is computed only now and then is exactly 0."""
ZERO = 1e-12
"""A gradient below this part of the largest one at the same place is numerically zero."""
PROBES = 5
"""Probes that must all show it; a satisfied margin is zero now and then."""
EXACTLY = 2
"""The same for a gradient that is 0 to the last bit, which is told as a warning below 5."""
REPLACED = 0.5
"""Foreign elements of an optimizer over those it lacks, from which they are modules of before."""
MOST = 0.5
"""Part of what is to be trained from which its being cut off is no detail."""
DEVIATES = 0.05
"""Deviation from "twice the weight, twice the gradient" that half precision cannot cause."""

UNREACHED = (
    "that no term reaches",
    "A head that is missing in the loss, or features that are computed under no_grad or detached. "
    "Expected if it is frozen on purpose or trained elsewhere.",
    "Set requires_grad=False if it is meant to stay, else give it a part in the total.",
)
"""What is said of parameters, why, and what to do."""
NUMBERS = (
    "that no term reaches",
    "Weights or temperatures go into the total as plain numbers (`.item()`, `float()`, `detach`), "
    "or not at all: so they have no gradient. Expected if they are trained elsewhere.",
    "Use them as tensors with their graph; set requires_grad=False if they are meant to stay.",
)
LOOSE = (
    "that a term reaches but no watched optimizer holds",
    "A module that was made, replaced or thawed after the optimizer. Expected if it is trained "
    "elsewhere.",
    "Pass it to the optimizer (add_param_group); set requires_grad=False if it is meant to stay.",
)


@final
class TermReachesNothing:
    """A term in the total reaches no trainable parameter.

    It is a number that is printed and minimised by nobody: computed under `no_grad`, detached, made
    from `.item()` or `argmax`, or of frozen parameters only.

    Statistic: the parameters that the autograd graph of the term ends in. Threshold: none, with a
    weight that is not zero; structural, so one look is enough.

    Healthy look-alikes: a term with the declared role `monitor` or `offset`, and one of weight 0;
    these are not reported. A constraint or adversary is a note: its other half may do the work; so
    is a term that is exactly 0 in a tenth of the records and more: it may be computed only now and
    then, as a penalty at every eighth step is.
    Reentrant checkpoints hide their parameters from the graph: with one in it nothing is claimed.
    """

    name: ClassVar[str] = "term-reaches-nothing"
    fault: ClassVar[Fault] = Fault.NO_GRADIENT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        for term, names in () if hidden(case) else reach(case).items():
            weights = weights_of(case, term)
            counts = not len(weights) or bool(np.any(weights != 0))
            if not names and counts and role_of(case, term) not in ("monitor", "offset"):
                yield self._finding(case, term)

    def _finding(self, case: Case, term: str) -> Finding:
        table = case.train
        values = table.series[term].values if term in table.series else np.empty(0)
        lazy = len(values) > 0 and LAZY * len(values) <= np.sum(values == 0) < len(values)
        sure = role_of(case, term) not in ("constraint", "adversary") and not lazy
        steps = span(table, table.series[term]) if term in table.series else (0, 0)
        value = table.series[term].values[-1] if term in table.series else np.nan
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR if sure else Severity.NOTE,
            terms=(term,),
            steps=steps,
            summary=f"'{term}' is in the total but reaches no trainable parameter: it cannot be "
            "learned",
            evidence=(
                Evidence(
                    text=f"the graph of '{term}' (last value {number(float(value))}) ends in 0 "
                    "trainable parameters",
                    series=term,
                    steps=steps,
                    value=0.0,
                    threshold=1.0,
                ),
            ),
            cause="Something on its way is detached (`detach`, `no_grad`, `.item()`, `argmax`), or "
            "all its parameters are frozen. Expected for a term that is only watched.",
            action=f"Follow the graph of '{term}' back from grad_fn to the first cut, or give it "
            "the role 'monitor'.",
            verify=gradient(term, "must be norms, not {} or an error"),
        )


@final
class TermGradientZero:
    """A term's gradient is zero at every probe although its value is not.

    The graph is whole, but nothing comes through: a clamp beyond its limits, a saturated sigmoid, a
    ReLU that is dead, a mask that is empty.

    Statistic: norm of the term's weighted gradient at each place. Threshold: 0, or below 1e-12 of
    the largest term there, at 5 probes or more and all of them, while the value is not 0 and the
    weight is not 0. From 2 probes on it is a warning if the norms are exactly 0.

    Healthy look-alikes: a satisfied hinge or margin (its value is 0 too), a term that has not begun
    (weight 0), roles `constraint` and `regulariser` (a note), `monitor` and `offset` (silent).
    """

    name: ClassVar[str] = "term-gradient-zero"
    fault: ClassVar[Fault] = Fault.NO_GRADIENT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENT_SHARES})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every term that is zero everywhere it was measured."""
        for one in case.terms:
            if role_of(case, one.name) in ("monitor", "offset"):
                continue
            values, weights = one.values[np.isfinite(one.values)], weights_of(case, one.name)
            live = bool(len(values)) and float(np.count_nonzero(values)) > 0.9 * len(values)
            if live and (not len(weights) or bool(np.all(weights != 0))):
                yield from self._term(case, one.name)

    def _term(self, case: Case, term: str) -> Iterator[Finding]:
        seen = [p for p in places(case, Kind.GRADIENT_NORM_OF_TERM) if term in p.names]
        zero = [bool((p.of(term) <= ZERO * p.values.max(axis=1)).all()) for p in seen]
        if not seen or not all(zero):
            return
        place = max(seen, key=len)
        largest = float(place.of(term).max())
        if len(place) < (PROBES if largest > 0 else EXACTLY):
            return
        sure = Severity.ERROR if len(place) >= PROBES else Severity.WARNING
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=sure if role_of(case, term) == "task" else Severity.NOTE,
            terms=(term,),
            steps=place.span,
            summary=f"the gradient of '{term}' is zero at all {len(place)} probes although its "
            "value is not",
            evidence=(
                Evidence(
                    text=f"largest weighted gradient norm of '{term}' {number(largest)}, of all "
                    f"terms {number(float(place.values.max()))}",
                    series=f"gradient_norm/{term}",
                    steps=place.span,
                    value=largest,
                    threshold=ZERO * float(place.values.max()),
                ),
            ),
            cause="A clamp or saturated output in front of it, or a mask that selects nothing that "
            "depends on the model. Expected for a constraint that is satisfied.",
            action=f"Look at the output in front of '{term}': remove the clamp or use the form "
            "with logits.",
            verify=gradient(term, "must not be all 0"),
        )


@final
class WeightIgnored:
    """The gradient of a term does not follow its weight.

    A hand-written backward that ignores the gradient it is handed makes every weight, schedule and
    loss scale without effect on that term.

    Statistic: relative deviation of the gradient of f times the term from f times its gradient, f
    being 2 and 4. Threshold: 0.05; rounding in half precision stays below. Proved by one probe.

    Healthy look-alikes: gradient reversal (follows its weight, with the sign turned), terms of the
    role `monitor` (silent).
    """

    name: ClassVar[str] = "weight-ignored"
    fault: ClassVar[Fault] = Fault.NO_GRADIENT
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """One finding for every such term."""
        for term, value in mapping(case.run.declared.get("weight_deviation")).items():
            deviation = float(value) if isinstance(value, (int, float)) else 0.0
            if deviation > DEVIATES and role_of(case, term) != "monitor":
                yield self._finding(case, term, deviation)

    def _finding(self, case: Case, term: str, deviation: float) -> Finding:
        first = int(case.train.steps[0]) if len(case.train) else 0
        return Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.ERROR,
            terms=(term,),
            steps=(first, first),
            summary=f"the gradient of '{term}' does not follow its weight: it is off by "
            f"{deviation:.0%} when the weight is multiplied",
            evidence=(
                Evidence(
                    text=f"relative deviation {number(deviation)}; 0.5 to 0.75 is a gradient that "
                    "ignores the weight altogether",
                    series=f"weight_deviation/{term}",
                    steps=(first, first),
                    value=deviation,
                    threshold=DEVIATES,
                ),
            ),
            cause="A custom autograd function does not multiply with the gradient that it is "
            "handed. Healthy losses have no such effect.",
            action=f"In the backward of '{term}', multiply the result with grad_output.",
            verify="torch.autograd.gradcheck(function, inputs.double().requires_grad_())",
        )


@final
class ParametersUntrained:
    """Trainable parameters that no term reaches, or that no optimizer holds.

    They stay what they were initialised to. Often meant; sometimes a head that was forgotten in
    the loss, or a module that was added after the optimizer was made.

    Statistic: parameters with `requires_grad=True` that no term of the measured batches reaches,
    and those of the model in no watched optimizer. Threshold: one. A note, but a warning if

    - those that no term reaches are more than half of all trainable elements and in modules that
      run: then most of what is to be trained is cut off;
    - an optimizer is to train single numbers, no more than there are terms, that nothing reaches:
      weights and temperatures are such, and none that only waits for its turn; not where larger
      parameters that it holds are unreached as well: then a whole part of the model is not in use,
      its numbers with it;
    - parameters that were frozen at the start are reached now, and in no optimizer: they were
      thawed after it was made;
    - a task some of whose own parameters no optimizer holds is on a plateau while others move (see
      `plateau-while-others-move`): then no unwatched optimizer trains them either;
    - an optimizer holds elements that are not of the model, half as many as those that it lacks or
      more: they are what the missing modules were replaced with, or were before.

    Healthy look-alikes: all of a frozen backbone, a second optimizer that is not watched, branches
    that only some batches use. Not counted as unreached: parameters that were seen to move (learned
    weights, which stand beside the terms), and all if a reentrant checkpoint may hide their use.
    """

    name: ClassVar[str] = "parameters-untrained"
    fault: ClassVar[Fault] = Fault.FROZEN
    needs: ClassVar[frozenset[Need]] = frozenset({Need.REACH})

    def check(self, case: Case) -> Iterator[Finding]:
        """At most one note for each of the two."""
        declared = case.run.declared
        held = mapping(declared.get("parameters"))
        reached = {name for names in reach(case).values() for name in names}
        told = declared.get("unoptimised", held.get("unoptimised"))
        loose = [name for name in _texts(told) if name in reached]
        thawed = [name for name in loose if name in _texts(held.get("frozen_names"))]
        flat = {name for one in Plateau().check(case) for name in one.terms}
        lost = [one for one in reach(case) if _owned(case, one) & {*loose} and one in flat]
        tail = f": {most:.0%} of all that is to be trained" if (most := _most(case)) else ""
        names = _unreached(case)
        if numbers := _numbers(case):
            tail += f"; an optimizer is to learn {named(numbers)}"
        kind = NUMBERS if numbers == names else UNREACHED
        yield from self._note(case, kind, names, tail=tail)
        tail = f": {named(lost)} hardly falls" if lost else ""
        if replaced := _replaced(held):
            tail += f"; the optimizer holds {replaced} elements that are not of the model instead"
        if thawed:
            tail += f"; {len(thawed)} of them were frozen at the start and thawed since"
        yield from self._note(case, LOOSE, loose, lost, tail=tail)

    def _note(
        self,
        case: Case,
        kind: tuple[str, str, str],
        names: list[str],
        lost: Sequence[str] = (),
        *,
        tail: str,
    ) -> Iterator[Finding]:
        """At most one finding; what its tail tells makes it a warning."""
        what, cause, action = kind
        modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
        if not modules:
            return
        steps = (int(case.train.steps.min()), int(case.train.steps.max()))
        yield Finding(
            rule=self.name,
            fault=self.fault,
            severity=Severity.WARNING if tail else Severity.NOTE,
            terms=(*lost, *(one for one in modules if one not in lost)),
            steps=steps,
            summary=f"{len(names)} trainable parameter{'s' if len(names) > 1 else ''} {what}, in "
            f"{named(modules)}{tail}",
            evidence=(
                Evidence(
                    text=f"parameters {what}: {named(names)}",
                    series="reach",
                    steps=steps,
                    value=float(len(names)),
                    threshold=1.0,
                ),
            ),
            cause=cause,
            action=action,
            verify=f"before = model.get_parameter({names[0]!r}).detach().clone(); "
            f"optimizer.step(); print((model.get_parameter({names[0]!r}) - before).abs().max())  "
            "# 0: nothing trains it",
            caused_by=("term-reaches-nothing",),
        )


def _replaced(held: Mapping[str, object]) -> int:
    """Elements of optimizers that are not of the model, if there are enough to be its old ones."""
    foreign, lacking = held.get("foreign_elements"), held.get("unoptimised_elements")
    if not isinstance(foreign, int) or not isinstance(lacking, int) or not lacking:
        return 0
    return foreign if foreign >= REPLACED * lacking else 0


def _most(case: Case) -> float:
    """Part of all trainable elements that run and are not reached, if more than half; else 0."""
    trainable = mapping(case.run.declared.get("parameters")).get("trainable")
    owners = {name.rpartition(".")[0] for name in _unreached(case)}
    ran = mapping(case.run.declared.get("unreached_ran")).items()
    lost = sum(size for owner, size in ran if owner in owners and isinstance(size, int))
    if not isinstance(trainable, int) or not trainable:
        return 0.0
    return lost / trainable if lost > MOST * trainable else 0.0


def _numbers(case: Case) -> list[str]:
    """What no term reaches in the optimizers, if that is single numbers only; else nothing."""
    told = mapping(case.run.declared.get("parameters"))
    loose = {*_texts(told.get("unoptimised"))}
    numbers = {*_texts(case.run.declared.get("unreached_numbers"))}
    kept = [name for name in _unreached(case) if name not in loose]
    return kept if numbers >= {*kept} else []


def _owned(case: Case, term: str) -> set[str]:
    """Parameters that one term reaches and no other."""
    reached = reach(case)
    others = {name for key, names in reached.items() if key != term for name in names}
    return {*reached[term]} - others


def _unreached(case: Case) -> list[str]:
    """Trainable parameters that no term reaches and that were not seen to move."""
    if hidden(case):
        return []
    motion = moved(case)
    held = mapping(case.run.declared.get("parameters"))
    still = {*_texts(case.run.declared.get("still")), *_texts(held.get("unoptimised"))}
    return [
        name
        for name in _texts(case.run.declared.get("unreached"))
        if name in still or not _moves(motion, name.rpartition(".")[0] or "(model)")
    ]


def _moves(motion: Mapping[str, Column], module: str) -> bool:
    return module in motion and bool(np.any(motion[module][1]))


def _texts(value: object) -> list[str]:
    return [one for one in listing(value) if isinstance(one, str)]
