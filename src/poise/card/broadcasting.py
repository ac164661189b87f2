"""Shapes that broadcast into another meaning: (B,) against (B, 1) compares all pairs."""

from collections.abc import Iterator
from itertools import combinations
from typing import cast

from torch import Tensor

from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.finding import Fault, Finding, Severity


def broadcasting(subject: Subject) -> Seen:
    """Compares the example with the same without axes of size 1, and with one too many."""
    given = _mismatched(subject)
    if given is not None:
        return seen(findings=(given,))
    return seen(findings=(_silent(subject),))


def _tensors(subject: Subject) -> list[int]:
    return [
        at for at, one in enumerate(subject.example) if isinstance(one, Tensor) and one.ndim > 0
    ]


def _mismatched(subject: Subject) -> Finding | None:
    """Two arguments of the same elements in different shapes, such as (B,) and (B, 1)."""
    for a, b in combinations(_tensors(subject), 2):
        one, other = (cast(Tensor, subject.example[at]) for at in (a, b))
        if one.shape == other.shape or one.numel() != other.numel() or one.numel() < 2:
            continue
        if [n for n in one.shape if n != 1] != [n for n in other.shape if n != 1]:
            continue
        here = subject.call(subject.example, wrt=()).value
        there = subject.call(subject.replaced(b, other.reshape(one.shape)), wrt=())
        if there.finite and not subject.same(here, there.value):
            return _found(subject, (a, b), here, there.value)
    return None


def _found(subject: Subject, pair: tuple[int, int], here: float, there: float) -> Finding:
    first, second = (subject.roles.names[at] for at in pair)
    shapes = [tuple(cast(Tensor, subject.given[at]).shape) for at in pair]
    said = " torch warned about it." if subject.base.warned else ""
    return finding(
        "inspect-broadcast",
        Fault.DATA,
        Severity.ERROR,
        subject.name,
        f"{first!r} of shape {shapes[0]} and {second!r} of shape {shapes[1]} broadcast: the value "
        f"is {brief(here)}, and {brief(there)} with both of shape {shapes[0]}.{said}",
        (number(f"value {brief(here)} as given, {brief(there)} aligned", "value", here, there),),
        cause="An axis of size 1 in one of the two makes every element meet every other: the mean "
        "is over all pairs of samples, and a perfect prediction does not score 0.",
        action=f"Squeeze or unsqueeze one of them: {second}.reshape({first}.shape).",
        verify=f"assert {first}.shape == {second}.shape",
    )


def _silent(subject: Subject) -> Finding | None:
    """Whether an axis too many in one argument would go through with another value."""
    here = subject.call(subject.example, wrt=()).value
    for at, changed in _wrong(subject):
        found = subject.call(subject.replaced(at, changed), wrt=())
        if found.finite and not found.warned and not subject.same(found.value, here):
            name, shape = subject.roles.names[at], tuple(changed.shape)
            return finding(
                "inspect-broadcast",
                Fault.DATA,
                Severity.NOTE,
                subject.name,
                f"Would not notice {name!r} of shape {shape} instead of {tuple(changed.shape[:-1])}"
                f": the value would be {brief(found.value)} instead of {brief(here)}.",
                (number(f"value {brief(found.value)} for {shape}", "value", found.value, here),),
                cause="Arithmetic between the arguments broadcasts. Expected of most formulas "
                "written by hand.",
                action="Compare the shapes inside the function and raise if they differ.",
                verify=f"given = list(example); given[{at}] = given[{at}].unsqueeze(-1); "
                "loss(*given)  # must raise",
            )
    return None


def _wrong(subject: Subject) -> Iterator[tuple[int, Tensor]]:
    """The prediction or the target with one axis too many."""
    for at in (0, subject.roles.target):
        if at is None:
            continue
        one = cast(Tensor, subject.example[at])
        if one.ndim == 1 and one.numel() > 1 and one.is_floating_point():
            yield at, one.unsqueeze(-1)
