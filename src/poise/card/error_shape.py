"""What the curve of a loss over its error says: clamps, saturation, knees, kinks, dead zones."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch

from poise.card.ray import Ray
from poise.card.seen import brief, finding, number
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity

TAIL = 1.0
"""Decades over which the slope at either end is taken."""
LEVEL = 0.05
"""Slopes closer to a whole or half power than this count as that power."""
HALVED = 0.5
"""A bounded value rises ever less per decade, a logarithm or a power never less than before."""


@final
@dataclass(frozen=True, slots=True)
class Side:
    """One side of the curve: errors ascending, all values finite."""

    x: tuple[float, ...]
    value: tuple[float, ...]
    gradient: tuple[float, ...]

    @property
    def peak(self) -> float:
        """Largest gradient."""
        return max(self.gradient, default=0.0)

    @property
    def tail(self) -> float:
        """Log-log slope of the gradient over the last decade; NaN if it is zero there."""
        return self._slope(len(self.x) - 1, -1)

    @property
    def head(self) -> float:
        """Log-log slope of the gradient over the first decade; NaN if it is zero there."""
        return self._slope(0, 1)

    def _slope(self, end: int, step: int) -> float:
        if not self.x:
            return math.nan
        other = end
        while 0 <= other + step < len(self.x) and (
            abs(math.log10(self.x[other] / self.x[end])) < TAIL
        ):
            other += step
        a, b = self.gradient[end], self.gradient[other]
        if a <= 0 or b <= 0 or other == end:
            return math.nan
        return math.log(a / b) / math.log(self.x[end] / self.x[other])

    @property
    def levels_off(self) -> bool:
        """Whether the value rises much less over the last decade than over the one before."""
        ends = [self.x[-1] * 10.0**-decade * (1.0 + 1e-9) for decade in range(3)]
        last, middle, first = (self.value[max(bisect_right(self.x, x) - 1, 0)] for x in ends)
        return last - middle < HALVED * (middle - first)

    @property
    def dead_from(self) -> int | None:
        """Index from which on the gradient is exactly zero."""
        index = len(self.gradient)
        while index and self.gradient[index - 1] == 0.0:
            index -= 1
        return index if index < len(self.gradient) else None

    def knee(self) -> float | None:
        """Error at which a gradient that grew in proportion stops growing; None if it does not."""
        if not (abs(self.tail) < LEVEL and abs(self.head - 1.0) < LEVEL):
            return None
        return self.gradient[-1] * self.x[0] / self.gradient[0]


def judged(
    subject: Subject, ray: Ray, sides: Mapping[str, Side]
) -> tuple[list[Finding], list[Fact]]:
    """Findings, one of a kind though both sides show it, and facts."""
    found: dict[str, Finding] = {}
    knees = {sign: side.knee() for sign, side in sides.items()}
    knee = knees["+"]
    both = ray.kind == "error" and knee is not None and knees["-"] is not None
    if both and knee is not None and knee < usual_error(subject, ray):
        found["inspect-linear"] = _linear(subject, ray, knee)
    for sign, side in sides.items():
        # Saturation on the right side of a margin is as it should be.
        if side.peak > 0 and (ray.kind != "margin" or sign == "+"):
            for one in _findings(subject, ray, side):
                found.setdefault(one.rule, one)
    return list(found.values()), list(_facts(subject, ray, sides))


def _findings(subject: Subject, ray: Ray, side: Side) -> Iterator[Finding]:
    rises = side.value[-1] > min(side.value) + subject.half_digits * abs(side.value[-1])
    dead = side.dead_from
    if dead is not None and rises:
        abrupt = side.gradient[dead - 1] >= subject.half_digits * side.peak
        yield _clamp(subject, ray, side, dead) if abrupt else _saturates(subject, ray, side)
    elif side.tail < -LEVEL and rises:
        yield (_saturates if side.levels_off else _steepens)(subject, ray, side)
    if ray.kind == "error" and side.gradient[0] == 0.0:
        yield _flat(subject, ray, side)


def usual_error(subject: Subject, ray: Ray) -> float:
    """The larger of the target's size and the example's median error."""
    return max(ray.scale, float((subject.z - ray.start).abs().median()))


def _verify(ray: Ray, error: float) -> str:
    """Lines that measure the gradient at one error."""
    return (
        "card = poise.inspect(loss, example)\n"
        f'card.curve("error").at("gradient +", {error:.3g})  # {ray.words}'
    )


def _clamp(subject: Subject, ray: Ray, side: Side, dead: int) -> Finding:
    low, high = side.x[dead - 1], side.x[dead]
    edge = _edge(subject, ray, side, low, high)
    own = usual_error(subject, ray) > edge
    at_example = float(subject.at(subject.z).gradient().abs().sum())
    return finding(
        "inspect-clamp",
        Fault.SATURATION,
        Severity.ERROR,
        subject.name,
        f"The gradient is exactly 0 for every error above {brief(edge)} ({ray.words}): what is "
        "most wrong is not corrected at all.",
        (
            number(f"gradient 0 at error {brief(high)} and above", "gradient", 0.0, 0.0),
            number(f"gradient {brief(side.gradient[dead - 1])} at {brief(low)}", "gradient", low),
            number(f"the value stays at {brief(side.value[-1])} there", "value", side.value[-1]),
            number(
                f"at the example the summed gradient is {brief(at_example)}", "gradient", at_example
            ),
        ),
        cause="The value is clamped. Expected only where larger errors are certain to be outliers."
        + (" The example's own errors lie beyond the clamp." if own else ""),
        action="Replace the clamp by a loss whose slope stays: Huber or smooth L1 with "
        f"{'delta' if ray.kind == 'error' else 'a margin'} {brief(edge)}.",
        verify=_verify(ray, 2.0 * high),
    )


def _edge(subject: Subject, ray: Ray, side: Side, low: float, high: float) -> float:
    """Where the gradient becomes zero, by bisection."""
    sign = 1.0 if subject.at(ray.at(low)).value == side.value[side.x.index(low)] else -1.0
    for _ in range(40):
        middle = math.sqrt(low * high)
        alive = bool((subject.at(ray.at(sign * middle)).gradient() != 0).any())
        low, high = (middle, high) if alive else (low, middle)
    return high


def _saturates(subject: Subject, ray: Ray, side: Side) -> Finding:
    top = side.gradient.index(side.peak)
    after = range(top, len(side.x))
    tenth = next((side.x[k] for k in after if side.gradient[k] < 0.1 * side.peak), side.x[-1])
    return finding(
        "inspect-saturates",
        Fault.SATURATION,
        Severity.WARNING,
        subject.name,
        f"The gradient vanishes where the error is large: largest at {brief(side.x[top])}, below "
        f"a tenth of that from {brief(tenth)} on ({ray.words}).",
        (
            number(
                f"gradient {brief(side.peak)} at {brief(side.x[top])}, "
                f"{brief(side.gradient[-1])} at {brief(side.x[-1])}",
                "gradient",
                side.gradient[-1],
                0.1 * side.peak,
            ),
            number(f"the value stays below {brief(max(side.value))}", "value", max(side.value)),
        ),
        cause="The value is bounded above (a sigmoid, an exponential, a ratio or a clamp). "
        "Expected of a loss that is meant to give up on outliers, and of shares such as Dice.",
        action="Compare logits instead of squashed values, or start close enough to the target; "
        "keep it if large errors are outliers.",
        verify=_verify(ray, tenth),
    )


def _steepens(subject: Subject, ray: Ray, side: Side) -> Finding:
    small, large = side.gradient[0], side.gradient[-1]
    limit = "without limit" if side.head < -LEVEL else f"up to {brief(side.peak)}"
    kinked = abs(side.head) < LEVEL
    jump = " There its sign flips: the loss is not smooth at 0." if kinked else ""
    return finding(
        "inspect-steepens",
        Fault.SATURATION,
        Severity.WARNING,
        subject.name,
        f"The gradient grows as the error shrinks, {limit}: small errors pull harder than large "
        f"ones, as error^{side.tail:.2f} at large errors.{jump}",
        (
            number(
                f"gradient {brief(large)} at {brief(side.x[-1])}, {brief(small)} at "
                f"{brief(side.x[0])} ({ray.words})",
                "gradient",
                small,
                large,
            ),
        ),
        cause="A logarithm or a root of the error. Expected where only the relative error counts "
        "and the error never comes near 0.",
        action="Use a loss of bounded slope that is smooth at 0, such as Huber, in the error's "
        "own unit.",
        verify=_verify(ray, side.x[0]),
    )


def _flat(subject: Subject, ray: Ray, side: Side) -> Finding:
    index = next(k for k, one in enumerate(side.gradient) if one > 0)
    return finding(
        "inspect-flat",
        Fault.NO_GRADIENT,
        Severity.NOTE,
        subject.name,
        f"No gradient for errors below {brief(side.x[index])} ({ray.words}).",
        (number(f"gradient 0 up to {brief(side.x[index - 1])}", "gradient", 0.0, 0.0),),
        cause="A tolerance band, as in an epsilon-insensitive or hinge loss; expected of those.",
        action="Check that the band is in the unit of the prediction.",
        verify=_verify(ray, side.x[index - 1]),
    )


def _linear(subject: Subject, ray: Ray, knee: float) -> Finding:
    usual = usual_error(subject, ray)
    return finding(
        "inspect-linear",
        Fault.SATURATION,
        Severity.NOTE,
        subject.name,
        f"Linear regime: the gradient stops growing at an error of {brief(knee)}, and errors here "
        f"are about {brief(usual)} ({ray.words}).",
        (number(f"knee at {brief(knee)}, errors of about {brief(usual)}", "error", usual, knee),),
        cause="Huber or smooth L1 with a delta below the targets' range: the value grows with the "
        "error, the gradient does not. Expected where outliers are to count less.",
        action="Never divide such a term by its own value; scale target and prediction to unit "
        "size, or raise delta, if large errors should pull harder.",
        verify=_verify(ray, knee),
    )


def _facts(subject: Subject, ray: Ray, sides: Mapping[str, Side]) -> Iterator[Fact]:
    right = subject.at(ray.at(0.0))
    if ray.kind == "margin":
        best = sides["-"].value[-1] if sides["-"].value else math.nan
    else:
        best = right.value
    if ray.kind != "magnitude":
        yield Fact(
            name="perfect",
            value=best,
            text=f"a perfect prediction costs {brief(best)}"
            + ("" if abs(best) > subject.half_digits else ", that is nothing"),
        )
    yield Fact(name="axis", value=ray.kind, text=f"errors are measured as {ray.words}")
    side = sides["+"]
    if side.peak == 0.0:
        return
    knee = side.knee()
    if knee is not None:
        yield Fact(
            name="knee", value=knee, text=f"the gradient stops growing at an error of {brief(knee)}"
        )
    if ray.kind == "error" and not math.isnan(side.head):
        kink = side.head < LEVEL
        words = "not smooth at 0: the gradient jumps there" if kink else "smooth at 0"
        yield Fact(name="smooth", value=not kink, text=words)
    if not side.tail < LEVEL:  # it goes on growing: the largest is as far as we looked
        return
    useful = [x for x, g in zip(side.x, side.gradient, strict=True) if g >= 0.1 * side.peak]
    if useful and math.isfinite(side.peak) and torch.isfinite(right.gradient()).all():
        yield Fact(
            name="useful-from",
            value=useful[0],
            text=f"the gradient is within a tenth of its largest from {brief(useful[0])} to "
            f"{brief(useful[-1])}",
        )
