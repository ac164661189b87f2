"""How value and gradient grow with the batch, the length and the classes: the reduction, named."""

import math
from collections.abc import Iterator

from poise.card.outcome import Outcome
from poise.card.resize import repeated
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact, Slope
from poise.doctor.finding import Fault, Finding, Severity

TIMES = (1, 2, 4, 8)
"""The example is repeated this often along an axis."""
WORDS = {"batch": "the batch", "length": "the length", "classes": "the number of classes"}


def sizes(subject: Subject) -> Seen:
    """Log-log slopes of value and gradients against every axis that has a name."""
    slopes = [one for what, axis in axes(subject).items() for one in measured(subject, what, axis)]
    if not slopes:
        return Seen(needs=("a prediction with a batch axis and a value that is not 0",))
    values = {one.against: one for one in slopes if one.of == "value"}
    return seen(
        findings=[_finding(subject, one) for one in values.values()],
        facts=(_reduction(slopes),),
        slopes=slopes,
    )


def axes(subject: Subject) -> dict[str, int]:
    """The named axes of the prediction; without labels the last one holds features."""
    named = {
        "batch": subject.roles.batch,
        "length": subject.roles.length,
        _width(subject): subject.roles.classes,
    }
    return {what: axis for what, axis in named.items() if axis is not None}


def _width(subject: Subject) -> str:
    distributed = subject.link.name in ("distribution", "log-distribution")
    return "classes" if subject.roles.labels or distributed else "features"


def measured(subject: Subject, what: str, axis: int) -> Iterator[Slope]:
    """Value, gradient per element and summed gradient against one axis."""
    found = [subject.call(repeated(subject, axis, times)) for times in TIMES]
    if not all(one.finite for one in found) or found[0].value == 0.0:
        return
    at = tuple(float(subject.z.shape[axis] * times) for times in TIMES)
    quantities = {
        "value": [abs(one.value) for one in found],
        "gradient per element": [_rms(one) for one in found],
        "gradient summed": [float(one.gradient().abs().sum()) for one in found],
    }
    for of, values in quantities.items():
        yield sloped(subject, of, what, at, values)


def _rms(one: Outcome) -> float:
    return float(one.gradient().square().mean().sqrt())


def sloped(
    subject: Subject, of: str, against: str, at: tuple[float, ...], values: list[float]
) -> Slope:
    """The slope from the first to the last size, and whether the others lie on it."""
    slope, power = math.nan, False
    if min(values) > 0.0 and math.isfinite(max(values)):
        slope = math.log(values[-1] / values[0]) / math.log(at[-1] / at[0])
        line = [values[0] * (size / at[0]) ** slope for size in at]
        slack = quarter(subject)
        power = all(abs(a - b) <= slack * a for a, b in zip(values, line, strict=True))
        if abs(slope - round(2 * slope) / 2) < slack:
            slope = round(2 * slope) / 2 + 0.0
    return Slope(of=of, against=against, sizes=at, values=tuple(values), slope=slope, power=power)


def quarter(subject: Subject) -> float:
    """A quarter of the digits: an epsilon in a denominator moves a slope by less."""
    return subject.eps**0.25


def _finding(subject: Subject, one: Slope) -> Finding | None:
    """Growth or decay with a size as a power of it; features may be summed on purpose."""
    if not one.power or one.slope == 0.0 or abs(one.slope) < quarter(subject):
        return None
    words = WORDS.get(one.against, "the number of features")
    down = one.slope < 0
    wide = one.against in ("features", "classes")
    severity = Severity.NOTE if (wide and not down) or one.slope % 1 else Severity.WARNING
    first, last = (int(size) for size in (one.sizes[0], one.sizes[-1]))
    facts = (
        number(
            f"value {brief(one.values[0])} at {first}, {brief(one.values[-1])} at {last}: "
            f"slope {one.slope:.2f}",
            "value",
            one.slope,
            0.0,
        ),
    )
    how = _proportion(one.slope)
    if down:
        cause, action = _shrinking(one)
        return finding(
            "inspect-shrinks-with",
            Fault.REDUCTION,
            severity,
            subject.name,
            f"The value {how} {words}: the same errors cost less.",
            facts,
            cause=cause,
            action=action,
            verify=_verify(one),
        )
    return finding(
        "inspect-grows-with",
        Fault.SCALE_WITH_LENGTH,
        severity,
        subject.name,
        f"The value {how} {words}: the same errors cost more.",
        facts,
        cause=f"The reduction sums over {words} (a sum, or 'batchmean' over more axes than the "
        "batch). Expected where the sum is divided by a count outside the function.",
        action=f"Take the mean over {words}, or divide by the count of elements that count "
        "(poise.reduce keeps both together).",
        verify=_verify(one),
    )


def _proportion(slope: float) -> str:
    if slope == 1.0:
        return "grows in proportion to"
    if slope == -1.0:
        return "is divided by"
    return f"goes as the power {slope:.2f} of"


def _shrinking(one: Slope) -> tuple[str, str]:
    if one.against == "classes":
        return (
            "A mean over classes where the sum belongs: a divergence between distributions is a "
            "sum over classes, and the mean makes it 1/K of that.",
            "Sum over the classes and take the mean over samples (for F.kl_div: "
            "reduction='batchmean' on [N, K]).",
        )
    return (
        "Divided twice, by a mean and by the size again. Expected of no reduction.",
        "Divide once.",
    )


def _verify(one: Slope) -> str:
    return f'poise.inspect(loss, example).slope("{one.against}")  # {one.slope:.2f}'


def _reduction(slopes: list[Slope]) -> Fact | None:
    """The reduction in words, where every size acts as a power 0 or 1."""
    # A distribution is spread over more classes, so that a slope of 0 there is a sum, not a mean.
    named = (one for one in slopes if one.of == "value" and one.power and one.against != "classes")
    found = {one.against: one.slope for one in named}
    if not found or any(one not in (0.0, 1.0) for one in found.values()):
        return None
    means = [what for what, one in found.items() if one == 0.0]
    sums = [what for what, one in found.items() if one == 1.0]
    name = "mean" if not sums else "sum" if not means else "mixed"
    if name == "mixed":
        text = f"reduction: sum over {', '.join(sums)}; mean over {', '.join(means)}"
    else:
        text = f"reduction: {name} over {', '.join(means or sums)}"
    return Fact(name="reduction", value=name, text=text)
