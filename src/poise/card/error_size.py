"""Value and gradient against the size of the error, over many decades and on both sides."""

import math

from poise.card.error_shape import Side, judged
from poise.card.ray import Ray, ray_of
from poise.card.seen import Seen, seen
from poise.card.subject import Subject
from poise.doctor.card import Curve, Fact

PER_DECADE = 4
LARGEST = 1e6
"""Largest error, in units of the target's size (or 1, if that is more)."""
LARGEST_MARGIN = 1e3
"""Largest margin in logits; e**700 is the largest power that float64 holds."""
DIGITS = 1e4
"""The smallest error is this many rounding steps of the target, so that it has four digits."""


def error_size(subject: Subject) -> Seen:
    """Sweeps the error; finds clamps, saturation, gradients that grow as the error shrinks."""
    ray = ray_of(subject)
    curve = sweep(subject, ray)
    sides = {sign: _side(curve, sign) for sign in "+-"}
    invariant = scale_free(subject)
    if invariant:
        free = Fact(
            name="scale-free",
            value=True,
            text="only the direction of the prediction counts, not its length",
        )
        return seen(facts=(free,), curves=(curve,))
    findings, facts = judged(subject, ray, sides)
    return seen(findings=findings, facts=facts, curves=(curve,))


def sweep(subject: Subject, ray: Ray) -> Curve:
    """The curve: value, and the gradient summed over elements, on either side of the start."""
    low = max(subject.eps * DIGITS * ray.scale, 1e-12)
    high = LARGEST_MARGIN if ray.kind == "margin" else LARGEST * max(ray.scale, 1.0)
    first, last = math.log10(low), math.log10(high)
    count = math.ceil((last - first) * PER_DECADE)
    x = tuple(10.0 ** (first + (last - first) * k / count) for k in range(count + 1))
    lines: dict[str, tuple[float, ...]] = {}
    for sign, side in (("+", 1.0), ("-", -1.0)):
        found = [subject.at(ray.at(side * size)) for size in x]
        lines[f"value {sign}"] = tuple(one.value if one.finite else math.nan for one in found)
        lines[f"gradient {sign}"] = tuple(
            float(one.gradient().abs().sum()) if one.finite else math.nan for one in found
        )
    title = "Value and gradient against the error"
    return Curve(name="error", title=title, x_label=ray.words, x=x, lines=lines)


def scale_free(subject: Subject) -> bool:
    """Whether the loss is the same at half and at double the prediction, and yet not constant."""
    here = subject.at(subject.z, wrt=())
    scaled = [subject.at(subject.z * factor, wrt=()) for factor in (0.5, 2.0, 64.0)]
    if not all(subject.same(one.value, here.value) for one in scaled):
        return False
    turned = subject.at(subject.z.roll(1, -1) if subject.z.ndim else subject.z + 1.0, wrt=())
    return not subject.same(turned.value, here.value)


def _side(curve: Curve, sign: str) -> Side:
    """One side, up to the first point that could not be evaluated."""
    values, gradients = curve.lines[f"value {sign}"], curve.lines[f"gradient {sign}"]
    good = [math.isfinite(v) and math.isfinite(g) for v, g in zip(values, gradients, strict=True)]
    start = next((k for k, one in enumerate(good) if one), len(good))
    end = next((k for k in range(start, len(good)) if not good[k]), len(good))
    return Side(x=curve.x[start:end], value=values[start:end], gradient=gradients[start:end])
