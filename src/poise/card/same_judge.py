"""What two answers to one input say about two losses: a clash, nothing, or a factor."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, nan
from statistics import median
from typing import final

import torch
from torch import Tensor

from poise.card.same_answer import Answer

DIGITS = 64
"""Rounding steps of a result that two orders of the same arithmetic may differ by.

A sum of n numbers is off by about sqrt(n) steps in practice; 64 covers thousands of them.
"""

LUCK = 8
"""How much larger an error may be than the one that was measured at the same input."""


SMALL = 1e-4
"""Distance of a cosine from 1 below which its digits are no longer readable."""


class Clash(StrEnum):
    """The ways in which two answers can rule out that two losses are the same objective."""

    RAISES = "one raises"
    SHAPE = "shapes differ"
    VALUE = "one value is not finite"
    GRADIENT = "one gradient is not finite"
    VANISHES = "one gradient vanishes"
    OPPOSED = "gradients are opposed"
    ANGLE = "gradients are not parallel"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One comparison of two answers, A and B.

    Attributes:
        a: The answer of A.
        b: The answer of B.
        clash: Why no factor explains the two gradients; None if one does.
        reason: The clash in words, with its numbers.
        factor: Gradient of B over gradient of A; NaN where either is lost in rounding.
        factor_error: Rounding error of the factor.
        value_errors: Rounding errors of the two values.
        wrt: Which of the gradients clashes most.
    """

    a: Answer
    b: Answer
    clash: Clash | None = None
    reason: str = ""
    factor: float = nan
    factor_error: float = 0.0
    value_errors: tuple[float, float] = (0.0, 0.0)
    wrt: int = 0

    @property
    def skipped(self) -> bool:
        """Whether neither loss takes the input."""
        return bool(self.a.error and self.b.error)

    @property
    def finite(self) -> bool:
        """Whether there are finite values, and gradients that say something."""
        return bool(self.a.value.isfinite().all() and self.b.value.isfinite().all())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What is lost in rounding however it is computed.

    Attributes:
        value: Of a value, over the largest number of the inputs.
        gradients: Of an element of each gradient.
    """

    value: float = 0.0
    gradients: tuple[float, ...] = ()

    def of(self, k: int) -> float:
        """That of gradient `k`."""
        return self.gradients[k] if self.gradients else 0.0


NO_FLOOR = Floor()


def floor_of(pairs: Sequence[tuple[Answer, Answer]], eps: float) -> Floor:
    """The floor of float64, in which no finer call can measure the rounding error of a result.

    A vanishing gradient is what is left of terms as large as the gradient is elsewhere, and a
    vanishing value of terms as large as the inputs times that: no algorithm keeps more than the
    last digits of those.

    Args:
        pairs: Answers of both losses at all inputs.
        eps: Resolution of the inputs' dtype.
    """
    answers = [one for pair in pairs for one in pair if one.gradients]
    if not answers:
        return NO_FLOOR
    peaks = [[_peak(one) for one in answer.gradients] for answer in answers]
    usual = [DIGITS * eps * median(each) for each in zip(*peaks, strict=True)]
    return Floor(value=max(usual), gradients=tuple(usual))


def match(a: Answer, b: Answer, eps: float, floor: Floor = NO_FLOOR) -> Match:
    """Compares two answers; `eps` is the resolution of the inputs' dtype.

    Example:
        >>> def result(value: float, slope: float) -> Answer:
        ...     gradient = torch.tensor([slope])
        ...     return Answer(
        ...         value=torch.tensor([value]), gradients=(gradient,), gradient_noise=(0.0,)
        ...     )
        >>> match(result(1.0, 2.0), result(3.0, 6.0), 1e-7).factor
        3.0
        >>> match(result(1.0, 0.0), result(3.0, 6.0), 1e-7).reason
        'the gradient of A is 0, that of B up to 6'
    """
    if a.error or b.error:
        return _raised(a, b)
    if a.value.shape != b.value.shape:
        reason = f"A returns shape {list(a.shape)}, B {list(b.shape)}"
        return Match(a=a, b=b, clash=Clash.SHAPE, reason=reason)
    reason = _not_finite("value", a.value, b.value)
    if reason:
        return Match(a=a, b=b, clash=Clash.VALUE, reason=reason)
    for k, (one, two) in enumerate(zip(a.gradients, b.gradients, strict=True)):
        reason = _not_finite("gradient", one, two)
        if reason:
            return Match(a=a, b=b, clash=Clash.GRADIENT, reason=reason, wrt=k)
    return _gradients(a, b, eps, floor)


def _raised(a: Answer, b: Answer) -> Match:
    if a.error and b.error:
        return Match(a=a, b=b)
    name, error = ("A", a.error) if a.error else ("B", b.error)
    return Match(a=a, b=b, clash=Clash.RAISES, reason=f"{name} raises {error}")


def _not_finite(what: str, a: Tensor, b: Tensor) -> str:
    """Both must be finite at the same elements; one kind of broken is as good as another."""
    unequal = (a.isfinite() != b.isfinite()).nonzero()
    if not len(unequal):
        return ""
    k = int(unequal[0].item())
    return f"the {what} is {a[k].item():.4g} in A and {b[k].item():.4g} in B"


def _gradients(a: Answer, b: Answer, eps: float, floor: Floor) -> Match:
    values = (
        DIGITS * eps * _peak(a.value) + LUCK * a.value_noise + floor.value,
        DIGITS * eps * _peak(b.value) + LUCK * b.value_noise + floor.value,
    )
    lost = _lost(a, floor), _lost(b, floor)
    if _zero(a) != _zero(b) and not all(lost):
        return _vanishing(a, b, values, floor)
    if any(lost):
        return Match(a=a, b=b, value_errors=values)
    return _parallel(a, b, eps, values, floor)


def _zero(answer: Answer) -> bool:
    """Exactly zero, and not by rounding."""
    return not any(_peak(one) for one in answer.gradients) and not any(answer.gradient_noise)


def _lost(answer: Answer, floor: Floor) -> bool:
    """No larger than its rounding error."""
    pairs = zip(answer.gradients, answer.gradient_noise, strict=True)
    return all(_peak(one) <= LUCK * noise + floor.of(k) for k, (one, noise) in enumerate(pairs))


def _vanishing(a: Answer, b: Answer, values: tuple[float, float], floor: Floor) -> Match:
    (zero, one, other) = ("A", "B", b) if _zero(a) else ("B", "A", a)
    if _lost(other, floor):
        return Match(a=a, b=b, value_errors=values)
    peaks = [_peak(gradient) for gradient in other.gradients]
    reason = f"the gradient of {zero} is 0, that of {one} up to {max(peaks):.4g}"
    wrt = peaks.index(max(peaks))
    return Match(a=a, b=b, clash=Clash.VANISHES, reason=reason, value_errors=values, wrt=wrt)


def _parallel(a: Answer, b: Answer, eps: float, values: tuple[float, float], floor: Floor) -> Match:
    """The factor between the gradients, and whether it explains every element."""
    pairs = [_finite_pair(*pair) for pair in zip(a.gradients, b.gradients, strict=True)]
    leader = next(
        k
        for k, one in enumerate(a.gradients)
        if _peak(one) > LUCK * a.gradient_noise[k] + floor.of(k)
    )
    factor = _fit(*pairs[leader])
    errors = [
        DIGITS * eps * (_peak(two) + abs(factor) * _peak(one))
        + LUCK * (b.gradient_noise[k] + abs(factor) * a.gradient_noise[k])
        + (1 + abs(factor)) * floor.of(k)
        for k, (one, two) in enumerate(pairs)
    ]
    factor_error = errors[leader] / _peak(a.gradients[leader])
    errors = [
        error + factor_error * _peak(one) for error, (one, _) in zip(errors, pairs, strict=True)
    ]
    gaps = [_peak(two - factor * one) for one, two in pairs]
    unequal = [k for k, (gap, error) in enumerate(zip(gaps, errors, strict=True)) if gap > error]
    if unequal:
        wrt = unequal[0]
        reason = _angle(pairs, factor)
        return Match(a=a, b=b, clash=Clash.ANGLE, reason=reason, value_errors=values, wrt=wrt)
    if factor < 0:
        reason = f"the gradients are opposed (B = {factor:.6g} x A)"
        return Match(a=a, b=b, clash=Clash.OPPOSED, reason=reason, value_errors=values, wrt=leader)
    return Match(
        a=a,
        b=b,
        factor=factor,
        factor_error=factor_error,
        value_errors=values,
        wrt=leader,
    )


def _fit(a: Tensor, b: Tensor) -> float:
    """Least squares of B = factor x A, without overflow."""
    unit = _peak(a)
    a = a / unit
    return ((a * b).sum() / a.square().sum()).item() / unit


def _angle(pairs: Sequence[tuple[Tensor, Tensor]], factor: float) -> str:
    """A cosine, or what is left over where that is too close to 1 to say anything."""
    cosine = _cosine(pairs)
    if cosine < 1 - SMALL:
        return f"the gradients are not parallel (cosine {cosine:.6g})"
    left = max(_peak(two - factor * one) for one, two in pairs)
    share = left / max(_peak(two) for _, two in pairs)
    return f"the gradients are parallel but for {share:.2g} of their size"


def _cosine(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    one, two = (torch.cat(side) for side in zip(*pairs, strict=True))
    one, two = one / _peak(one), two / _peak(two)
    return ((one * two).sum() / (one.square().sum() * two.square().sum()).sqrt()).item()


def _finite_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    finite = a.isfinite()
    return a[finite], b[finite]


def _peak(tensor: Tensor) -> float:
    """Largest finite size of an element."""
    sizes = tensor.abs()
    sizes = sizes[sizes.isfinite()]
    peak = sizes.max().item() if sizes.numel() else 0.0
    return peak if isfinite(peak) else 0.0


def largest(inputs: Sequence[object]) -> float:
    """Largest finite number of some tensors.

    Example:
        >>> largest([torch.tensor([1.0, -3.0]), 7])
        3.0
    """
    return max((_peak(one) for one in inputs if isinstance(one, Tensor)), default=0.0)
