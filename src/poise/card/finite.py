"""Finite at zeros, at equal and at huge inputs, in every precision; the gradient with the value."""

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from poise.card.outcome import Outcome
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Curve, Fact
from poise.doctor.finding import Fault, Finding, Severity

HALF_MAX = float(torch.finfo(torch.float16).max)
MAGNITUDES = (1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, HALF_MAX)
"""Sizes of the prediction, up to the largest number that float16 holds."""
HALVES = (torch.float16, torch.bfloat16)


def finite(subject: Subject) -> Seen:
    """Calls the loss at the places where formulas break."""
    own = cast(Tensor, subject.given[0]).dtype
    findings = [
        found
        for words, arguments, severity in places(subject)
        if (found := _at(subject, own, words, arguments, severity)) is not None
    ]
    findings += [one for dtype in HALVES if (one := _half(subject, dtype)) is not None]
    curve = _magnitudes(subject, own)
    overflow = _overflow(subject, own)
    if overflow is not None:
        findings.append(overflow)
    return seen(findings=_merged(findings), facts=list(_limits(curve)), curves=(curve,))


def places(subject: Subject) -> Iterator[tuple[str, tuple[object, ...], Severity]]:
    """Words, arguments, and how bad a non-finite value is there."""
    z, rest = subject.z, subject.example[1:]
    yield "at a prediction of 0", (torch.zeros_like(z), *rest), Severity.ERROR
    yield "at a constant prediction", (torch.ones_like(z), *rest), Severity.ERROR
    target = subject.target
    if target is not None and target.is_floating_point() and subject.link.name == "free":
        if target.numel() == z.numel():
            equal = target.reshape(z.shape).to(z)
            yield "where prediction and target are equal", (equal, *rest), Severity.ERROR
        at = cast(int, subject.roles.target)
        nothing = subject.replaced(at, torch.zeros_like(target))
        # A target of 0 may be impossible (a mass), so that is no more than worth knowing.
        yield "at a target of 0", nothing, Severity.NOTE
        zeros = (torch.zeros_like(z), *nothing[1:])
        yield "where prediction and target are 0", zeros, Severity.NOTE


def _at(
    subject: Subject,
    dtype: torch.dtype,
    words: str,
    arguments: tuple[object, ...],
    severity: Severity,
) -> Finding | None:
    found = subject.call_in(dtype, arguments)
    if found.raised or (found.finite and found.finite_gradient):
        return None
    if found.finite:
        return _gradient(subject, words, found, severity)
    return _value(subject, words, found, severity)


def _gradient(subject: Subject, words: str, found: Outcome, severity: Severity) -> Finding:
    bad = int((~torch.isfinite(found.gradient())).sum())
    return finding(
        "inspect-nan-gradient",
        Fault.NONFINITE,
        severity,
        subject.name,
        f"The gradient is not finite {words}, though the value is ({brief(found.value)}).",
        (number(f"{bad} elements of the gradient are NaN or Inf", "gradient", float(bad), 0.0),),
        cause="A root, norm, standard deviation or logarithm is taken at 0, where its slope is "
        "infinite; times 0 that is NaN. A torch.where behind it does not help.",
        action="Add a small number inside the root, or use torch.linalg.vector_norm, whose "
        "gradient at 0 is 0.",
        verify=_again(f"a finite gradient {words}"),
    )


def _value(subject: Subject, words: str, found: Outcome, severity: Severity) -> Finding:
    return finding(
        "inspect-nonfinite",
        Fault.NONFINITE,
        severity,
        subject.name,
        f"The value is {brief(found.value)} {words}.",
        (number(f"value {brief(found.value)} {words}", "value", found.value),),
        cause="A division by zero or a logarithm of zero."
        + (" Expected where that input cannot occur." if severity is Severity.NOTE else ""),
        action="Add a small number to the denominator, or use the logarithm's fused form "
        "(log_softmax, logsigmoid, logsumexp).",
        verify=_again(f"a finite value {words}"),
    )


def _half(subject: Subject, dtype: torch.dtype) -> Finding | None:
    """The example itself in half precision, where the true value would fit."""
    found = subject.call_in(dtype, subject.example)
    fits = subject.base.finite and abs(subject.base.value) < float(torch.finfo(dtype).max) / 4.0
    if found.raised or not fits or (found.finite and found.finite_gradient):
        return None
    name = str(dtype).removeprefix("torch.")
    what = f"value {brief(found.value)}" if not found.finite else "a gradient that is not finite"
    return finding(
        "inspect-half",
        Fault.NONFINITE,
        Severity.WARNING,
        subject.name,
        f"In {name} the example gives {what}; in full precision the value is "
        f"{brief(subject.base.value)}.",
        (number(f"{name}: {what}", "value", found.value, subject.base.value),),
        cause=f"Something on the way leaves the range of {name}, or a small constant such as 1e-8 "
        "becomes 0 in it.",
        action="Compute the loss in float32 (prediction.float()); autocast does so only for the "
        "losses it knows.",
        verify=f"loss(*(one.to(torch.{name}) for one in example))  # finite",
    )


def _overflow(subject: Subject, own: torch.dtype) -> Finding | None:
    """Sizes at which the loss fails in its own precision though its true value fits."""
    largest = float(torch.finfo(own).max)
    size = torch.where(subject.z < 0, -1.0, 1.0)
    for magnitude in MAGNITUDES:
        for side in (size, -size, torch.ones_like(size), -torch.ones_like(size)):
            arguments = (magnitude * side.to(subject.z), *subject.example[1:])
            found = subject.call_in(own, arguments)
            true = subject.call(arguments, wrt=())
            hopeless = found.raised or not true.finite or abs(true.value) > largest / 4.0
            if not hopeless and not (found.finite and found.finite_gradient):
                return _breaks(subject, magnitude, found, true.value)
    return None


def _breaks(subject: Subject, magnitude: float, found: Outcome, true: float) -> Finding:
    what = "the gradient is not finite" if found.finite else f"the value is {brief(found.value)}"
    return finding(
        "inspect-overflow",
        Fault.NONFINITE,
        Severity.WARNING,
        subject.name,
        f"At {subject.link.words} of size {brief(magnitude)} {what}, though the true value is "
        f"{brief(true)}.",
        (number(f"{what} at size {brief(magnitude)}", "value", found.value, true),),
        cause="An intermediate result leaves the range of the dtype: an exponential without its "
        "maximum taken out, a square, a logarithm of what became 0.",
        action="Use the fused form: log_softmax, logsumexp, binary_cross_entropy_with_logits.",
        verify=f"loss(torch.full_like(example[0], {magnitude:g}), *example[1:])  # finite",
    )


def _magnitudes(subject: Subject, own: torch.dtype) -> Curve:
    """Value against the prediction's size in its own and in half precisions."""
    unit = torch.where(subject.z < 0, -1.0, 1.0).to(subject.z)
    lines: dict[str, tuple[float, ...]] = {}
    for dtype in dict.fromkeys((own, *HALVES)):
        values: list[float] = []
        for magnitude in MAGNITUDES:
            found = subject.call_in(dtype, (magnitude * unit, *subject.example[1:]))
            values.append(found.value if found.finite else math.nan)
        lines[str(dtype).removeprefix("torch.")] = tuple(values)
    return Curve(
        name="magnitude",
        title="Value against the size of the prediction",
        x_label=f"size of {subject.link.words}",
        x=MAGNITUDES,
        lines=lines,
    )


def _limits(curve: Curve) -> Iterator[Fact]:
    """Up to which size each precision is finite."""
    for name, values in curve.lines.items():
        good = [x for x, value in zip(curve.x, values, strict=True) if math.isfinite(value)]
        if good == list(curve.x):
            text = f"{name}: finite for predictions up to {brief(curve.x[-1])}"
        elif good:
            text = f"{name}: finite for predictions up to about {brief(good[-1])}"
        else:
            text = f"{name}: the function does not run in it"
        yield Fact(name=f"finite-{name}", value=max(good, default=math.nan), text=text)


def _merged(findings: list[Finding]) -> list[Finding]:
    """One finding a rule and severity, with the further places as evidence."""
    found: dict[tuple[str, Severity], Finding] = {}
    for one in findings:
        key = (one.rule, one.severity)
        first = found.get(key)
        if first is None:
            found[key] = one
            continue
        more = number(one.summary, one.evidence[0].series, one.evidence[0].value)
        found[key] = finding(
            first.rule,
            first.fault,
            first.severity,
            first.terms[0],
            first.summary,
            (*first.evidence, more),
            cause=first.cause,
            action=first.action,
            verify=first.verify,
        )
    return list(found.values())


def _again(expected: str) -> str:
    return f"print(poise.inspect(loss, example))  # {expected}"
