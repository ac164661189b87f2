"""What the loss cannot tell apart: signs, scales and shifts."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from poise.card.inputs import ignores
from poise.card.ray import signs
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity


def symmetry(subject: Subject) -> Seen:
    """Turns signs, scales and shifts every floating argument by itself."""
    free = subject.link.name == "free"
    places = [at for at in subject.floating() if at or free]
    told = [at for at in places if _signed(subject, at)]
    even = [at for at in told if is_even(subject, at) and not ignores_any(subject, at)]
    facts = [
        Fact(
            name="even",
            value=subject.roles.names[at],
            text=f"even in {subject.roles.names[at]}: its sign does not count",
        )
        for at in even
    ]
    # A penalty on one tensor alone is even by nature: it has nothing to agree with.
    alone = not [at for at in subject.floating() if at] and subject.labels is None
    findings = [] if alone else [_even(subject, at) for at in even]
    return seen(findings=findings, facts=(*facts, *_invariances(subject)))


def _signed(subject: Subject, position: int) -> bool:
    """An argument with both signs; one that is never negative has no sign to turn."""
    one = cast(Tensor, subject.example[position])
    return bool((one < 0).any())


def ignores_any(subject: Subject, position: int) -> bool:
    """Whether the argument does not matter at all, which is another finding."""
    if position:
        return ignores(subject, position)
    there = (subject.at(z, wrt=()) for z in (subject.z.roll(1), subject.z * 3.0, subject.z + 1.0))
    here = subject.at(subject.z, wrt=())
    return all(one.value == here.value for one in there)


def is_even(subject: Subject, position: int) -> bool:
    """Whether turning the sign, of everything or sample by sample, never changes the value."""
    one = cast(Tensor, subject.example[position])
    for start in (one, one * 0.3 + 0.1, one.roll(1)):
        here = subject.call(subject.replaced(position, start), wrt=())
        for turned in _turned(start):
            there = subject.call(subject.replaced(position, turned), wrt=())
            if not (here.finite and there.finite and subject.same(here.value, there.value)):
                return False
    return True


def _turned(one: Tensor) -> Iterator[Tensor]:
    yield -one
    if one.ndim > 1:  # pairs of samples keep their product if all of them turn
        side = signs(torch.zeros(one.shape[0]))
        yield one * side.to(one).reshape(-1, *[1] * (one.ndim - 1))


def _even(subject: Subject, at: int) -> Finding:
    name = subject.roles.names[at]
    here = subject.call(subject.example, wrt=()).value
    there = subject.call(subject.replaced(at, -cast(Tensor, subject.example[at])), wrt=()).value
    first = at == 0
    so = "is never learned" if first else "does not count"
    return finding(
        "inspect-even",
        Fault.NO_EFFECT,
        Severity.WARNING if first else Severity.NOTE,
        subject.name,
        f"Even in {name!r}: it and its negative score the same, so its sign {so}.",
        (
            number(
                f"value {brief(here)} at {name!r}, {brief(there)} at -{name!r}", name, there, here
            ),
        ),
        cause="An abs or a square of a similarity, or a product in which the sign cancels. "
        "Expected where only the axis counts, not the direction.",
        action="Leave out the abs (1 - cos instead of 1 - |cos|) if the sign matters.",
        verify=f"given = list(example); given[{at}] = -given[{at}]; "
        "print(loss(*example), loss(*given))  # two numbers",
    )


def _invariances(subject: Subject) -> Iterator[Fact]:
    """Shift and joint sign change of prediction and target."""
    here = subject.at(subject.z, wrt=())
    if subject.same(subject.at(subject.z + 1.0, wrt=()).value, here.value):
        yield Fact(name="shift-free", value=True, text="a constant added to the prediction is free")
    target = subject.target
    at = subject.roles.target
    if target is None or at is None or not target.is_floating_point():
        return
    both = (-subject.z, *subject.replaced(at, -target)[1:])
    if subject.same(subject.call(both, wrt=()).value, here.value):
        yield Fact(
            name="odd-pair", value=True, text="too high and too low cost the same (sign symmetry)"
        )
