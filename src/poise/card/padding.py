"""Padding: masked elements must neither cost anything nor be counted."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from poise.card.resize import axis_in, repeated
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.sizes import sloped
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity

COPIES = (1, 2, 4)
"""Copies of the example along the padded axis, all but the first of them masked."""
IGNORED = (-100, -1, 0)
"""Labels that often mean padding; torch's own is -100."""


def padding(subject: Subject) -> Seen:
    """Pads the example more and more; the value must not move, whatever stands in the padding."""
    hidden = _hidden(subject)
    if hidden is None:
        return Seen(needs=("a mask, or labels with an ignored index",))
    hide, words, axis = hidden
    plain = [hide(repeated(subject, axis, times)) for times in COPIES]
    found = [subject.call(one) for one in plain]
    findings: list[Finding | None] = []
    slopes = []
    share = tuple(1.0 / times for times in reversed(COPIES))
    if all(one.finite for one in found) and found[0].value != 0.0:
        values = [abs(one.value) for one in reversed(found)]
        slopes = [sloped(subject, "value", "unmasked share", share, values)]
        findings.append(_counted(subject, slopes[0].slope, values))
    findings.append(_leaks(subject, plain[1], axis))
    findings.append(_empty(subject, words))
    fact = Fact(name="padding", value=words, text=f"padding is told by {words}")
    return seen(findings=findings, facts=(fact,), slopes=slopes)


Hide = Callable[[tuple[object, ...]], tuple[object, ...]]


def _hidden(subject: Subject) -> tuple[Hide, str, int] | None:
    """How to hide all but the first copy, how that is called, and the axis to pad."""
    at = subject.roles.mask
    if at is not None:
        kept = counts_where(subject, at)
        mask = subject.example[at]
        if not isinstance(mask, Tensor) or kept is None:
            return None
        shared = (
            axis
            for axis in (subject.roles.length, subject.roles.batch)
            if axis is not None and axis_in(subject, at, axis) is not None
        )
        axis = next(shared, None)
        if axis is None:
            return None
        return _hider(subject, at, axis, 0 if kept else 1), f"the mask, {kept} counts", axis
    return _ignored_labels(subject)


def _hider(subject: Subject, at: int, axis: int, filler: int) -> Hide:
    own = cast(int, axis_in(subject, at, axis))
    size = cast(Tensor, subject.example[at]).shape[own]

    def hide(arguments: tuple[object, ...]) -> tuple[object, ...]:
        one = cast(Tensor, arguments[at]).clone()
        keep = size if one.shape[own] > size else 0
        one.narrow(own, keep, one.shape[own] - keep).fill_(filler)
        return (*arguments[:at], one, *arguments[at + 1 :])

    def first(arguments: tuple[object, ...]) -> tuple[object, ...]:
        shape = cast(Tensor, arguments[at]).shape
        return arguments if shape[own] == size else hide(arguments)

    return first


def counts_where(subject: Subject, at: int) -> bool | None:
    """Which value of the mask marks elements that count; None if neither can be told apart."""
    mask = cast(Tensor, subject.example[at])
    full = [subject.call(subject.replaced(at, torch.full_like(mask, one))) for one in (True, False)]
    kept = [one.finite and bool((one.gradient() != 0).any()) for one in full]
    return None if kept[0] == kept[1] else kept[0]


def _ignored_labels(subject: Subject) -> tuple[Hide, str, int] | None:
    labels, axis = subject.labels, subject.roles.batch
    if labels is None or axis is None:
        return None
    at = cast(int, subject.roles.target)
    for ignored in IGNORED:
        hide = _hider(subject, at, axis, ignored)
        found = subject.call(hide(repeated(subject, axis, 2)))
        gradient = found.gradient()
        if not found.finite or not gradient.ndim:
            continue
        size = subject.z.shape[axis]
        if not bool((gradient.narrow(axis, size, size) != 0).any()):
            return hide, f"labels of {ignored}", axis
    return None


def _counted(subject: Subject, slope: float, values: list[float]) -> Finding | None:
    if all(subject.same(one, values[-1]) for one in values):
        return None
    return finding(
        "inspect-padding",
        Fault.REDUCTION,
        Severity.WARNING,
        subject.name,
        f"The value depends on how much padding there is: {brief(values[-1])} without, "
        f"{brief(values[0])} with {COPIES[-1] - 1} of {COPIES[-1]} positions masked.",
        (number(f"slope {slope:.2f} against the unmasked share", "value", slope, 0.0),),
        cause="The sum over unmasked elements is divided by the number of all elements."
        if slope == 1.0
        else "Masked elements take part in the sum or in the count.",
        action="Divide by the number of unmasked elements (poise.reduce.masked_mean).",
        verify='poise.inspect(loss, example).slope("unmasked share")  # must be 0',
    )


def _leaks(subject: Subject, padded: tuple[object, ...], axis: int) -> Finding | None:
    """Whether what stands in the padding of the prediction matters."""
    z = cast(Tensor, padded[0])
    size = subject.z.shape[axis]
    other = z.clone()
    other.narrow(axis, size, size).add_(1.0)
    other.narrow(axis, size, size).mul_(-3.0)
    before, after = (subject.call((one, *padded[1:]), wrt=()).value for one in (z, other))
    if math.isnan(before) or subject.same(before, after):
        return None
    return finding(
        "inspect-padding-leaks",
        Fault.REDUCTION,
        Severity.ERROR,
        subject.name,
        f"Masked elements count: other predictions in the padding change the value from "
        f"{brief(before)} to {brief(after)}.",
        (number(f"value {brief(after)} instead of {brief(before)}", "value", after, before),),
        cause="The mask is applied after a reduction or a normalisation, or not to every part.",
        action="Multiply the unreduced loss by the mask before anything is summed.",
        verify="x = torch.where(mask, example[0], 7.0); "
        "print(loss(*example), loss(x, *example[1:]))  # equal",
    )


def _empty(subject: Subject, words: str) -> Finding | None:
    """A batch in which nothing counts."""
    at = cast(int, subject.roles.mask if subject.roles.mask is not None else subject.roles.target)
    filler = 0
    if subject.roles.mask is None:
        filler = int(words.rsplit(" ", 1)[1])
    elif words.endswith("False counts"):
        filler = 1
    mask = cast(Tensor, subject.example[at])
    found = subject.call(subject.replaced(at, torch.full_like(mask, filler)))
    if found.finite and found.finite_gradient:
        return None
    own = subject.roles.mask is not None
    what = f"raises {found.raised}" if found.raised else f"gives {brief(found.value)}"
    if found.finite:
        what = f"gives {brief(found.value)} and a gradient that is not finite"
    return finding(
        "inspect-empty",
        Fault.NONFINITE,
        Severity.WARNING if own else Severity.NOTE,
        subject.name,
        f"A batch in which nothing counts ({words}) {what}.",
        (number(f"value {brief(found.value)} with everything masked", "value", found.value),),
        cause="Zero divided by a count of zero. Expected (torch's cross_entropy does so too) where "
        "every batch has at least one element that counts.",
        action="Divide by count.clamp_min(1), or leave such batches out.",
        verify="loss(prediction, target, torch.zeros_like(mask))  # must be 0, never NaN"
        if own
        else "loss(prediction, torch.full_like(target, -100))  # must be 0, never NaN",
    )
