"""The target that a loss implies: where the best prediction lies, whatever the other inputs are."""

import math
from collections.abc import Iterator
from typing import cast

from torch import Tensor

from poise.card.ray import ray_of
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity

STEPS = 60
"""Steps of the search for the best prediction."""
SCALES = (1e-3, 1e-1, 1.0, 1e1, 1e3)
"""Each further input is taken this often as large, the others as they are."""
NARROW = 10.0
"""A target that follows its inputs to the power 1/3 leaves this factor over three decades."""


def implied(subject: Subject) -> Seen:
    """Minimises over the prediction for inputs of all sizes and reports the range of the best."""
    further = [at for at in subject.floating() if at]
    if not further or ray_of(subject).kind != "magnitude" or subject.link.name != "free":
        return Seen(needs=("a target that is computed from other inputs",))
    found = [(scale, best(subject, one)) for scale, one in _drawn(subject, further)]
    known = [(scale, one) for scale, one in found if one is not None]
    if len(known) < len(found) or not known or not _single(subject):
        return Seen(needs=("one best prediction that a short search finds",))
    low = min(float(one.min()) for _, one in known)
    high = max(float(one.max()) for _, one in known)
    text = f"the best prediction lies between {brief(low)} and {brief(high)}"
    facts = (
        Fact(name="best-from", value=low, text=text),
        Fact(name="best-to", value=high, text=f"{text}, for inputs of 0.001 to 1000 times"),
    )
    usual = max(float(one.abs().max()) for scale, one in known if scale == 1.0)
    if high - low <= subject.half_digits or max(-low, high) > NARROW * usual:
        return seen(facts=facts[1:])
    return seen(findings=(_narrow(subject, low, high),), facts=facts)


def _single(subject: Subject) -> bool:
    """Whether the search ends at one place from two starts: else the loss implies no target."""
    ends = [best(subject, (z, *subject.example[1:])) for z in (subject.z, -2.0 * subject.z)]
    if ends[0] is None or ends[1] is None:
        return False
    slack = 0.01 * float(ends[0].abs().max())
    return float((ends[0] - ends[1]).abs().max()) <= slack


def _drawn(subject: Subject, further: list[int]) -> Iterator[tuple[float, tuple[object, ...]]]:
    for at in further:
        one = cast(Tensor, subject.example[at])
        for scale in SCALES:
            for side in (1.0, -1.0):
                yield scale, subject.replaced(at, side * scale * one)


def best(subject: Subject, arguments: tuple[object, ...]) -> Tensor | None:
    """Coordinates at which the loss is least; None where the search does not settle.

    Barzilai and Borwein's steps: as long as the last change of the gradient suggests.
    """
    z = cast(Tensor, arguments[0])
    gradient = subject.call(arguments).gradient()
    first = float(gradient.abs().max())
    if first == 0.0:
        return None  # flat here: this says nothing about the best
    step = 0.1 / first
    for _ in range(STEPS):
        size = float(gradient.abs().max())
        if gradient.shape != z.shape or not math.isfinite(size):
            return None
        if size <= subject.half_digits * first:
            return z
        moved = -step * gradient
        after = subject.call((z + moved, *arguments[1:])).gradient()
        change = float((moved * (after - gradient)).sum()) if after.shape == z.shape else 0.0
        step = float(moved.square().sum()) / change if change > 0 else 2.0 * step
        z, gradient = z + moved, after
    return None


def _narrow(subject: Subject, low: float, high: float) -> Finding:
    name = subject.roles.names[0]
    return finding(
        "inspect-target-range",
        Fault.SATURATION,
        Severity.NOTE,
        subject.name,
        f"The best {name!r} never leaves [{brief(low)}, {brief(high)}], whatever the other inputs "
        "are.",
        (
            number(f"least best prediction {brief(low)}", name, low),
            number(f"largest best prediction {brief(high)}", name, high),
        ),
        cause="The target is squashed: a sigmoid of something never negative stays at or above "
        "0.5. Expected where that range is meant.",
        action="Check the range of the target against what the prediction should be able to say.",
        verify="print(target.min(), target.max())  # over a batch of your data",
    )
