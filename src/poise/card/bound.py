"""Searches a way down that never ends: a loss without a lower bound."""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from poise.card.ray import ray_of, typical
from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.card import Fact
from poise.doctor.finding import Fault, Finding, Severity

DECADES = 9
"""Decades of steps down each way."""
LAST = 4
"""The last decades must each bring as much as the one before; a bound makes them bring less."""


def bound(subject: Subject) -> Seen:
    """Walks down the gradient and along simple directions, ten times as far each time."""
    start = subject.at(ray_of(subject).start, wrt=())
    lowest = start.value if start.finite else math.inf
    for name, start, direction in _ways(subject):
        values = _walk(subject, start, direction)
        lowest = min((*values, lowest))
        if endless(values, subject.half_digits):
            return seen(findings=(_unbounded(subject, name, values),))
    if not math.isfinite(lowest):
        return Seen(needs=("a finite value on some way down",))
    text = f"the lowest value on any way tried is {brief(lowest)}"
    return seen(facts=(Fact(name="lowest", value=lowest, text=text),))


def _ways(subject: Subject) -> Iterator[tuple[str, Tensor, Tensor]]:
    z, size = subject.z, typical(subject.z)
    gradient = subject.at(z).gradient()
    if gradient.shape == z.shape and bool(torch.isfinite(gradient).all()):
        yield "down the gradient", z, -size * gradient / max(float(gradient.abs().max()), 1e-300)
    for name, direction in (
        ("along the prediction", z),
        ("to +infinity", torch.full_like(z, size)),
        ("to -infinity", torch.full_like(z, -size)),
    ):
        yield name, z, direction
    if z.ndim:
        half = torch.full_like(z, size)
        half[: max(z.shape[0] // 2, 1)] *= -1.0
        yield "apart", z, half


def _walk(subject: Subject, start: Tensor, direction: Tensor) -> list[float]:
    """Values at ten times the distance each; ends where the loss is no longer finite."""
    values: list[float] = []
    for decade in range(DECADES):
        found = subject.at(start + 10.0**decade * direction, wrt=())
        if not found.finite:
            break
        values.append(found.value)
    return values


def endless(values: list[float], slack: float) -> bool:
    """Whether every one of the last decades goes down at least as far as the one before.

    Example:
        >>> endless([0.0, -1.0, -2.0, -3.0, -4.0, -5.0], 1e-8)
        True
        >>> endless([0.0, -0.9, -0.99, -0.999, -0.9999, -0.99999], 1e-8)
        False
    """
    drops = [a - b for a, b in pairwise(values)][-LAST:]
    if len(drops) < LAST or min(drops) <= slack * max(map(abs, values)):
        return False
    return all(b >= a * (1.0 - slack) for a, b in pairwise(drops))


def _unbounded(subject: Subject, name: str, values: list[float]) -> Finding:
    expected = subject.role in ("adversary", "offset", "monitor")
    drops = values[-2] - values[-1]
    how = "ever faster" if drops > 2.0 * (values[-3] - values[-2]) else "by as much every decade"
    return finding(
        "inspect-unbounded",
        Fault.UNBOUNDED,
        Severity.NOTE if expected else Severity.ERROR,
        subject.name,
        f"No lower bound: {name} the value falls {how}, from {brief(values[0])} to "
        f"{brief(values[-1])} over {len(values) - 1} decades.",
        (number(f"value {brief(values[-1])}, still falling", "value", values[-1]),),
        cause="A negative variance, norm, entropy or similarity without a limit: the optimizer "
        "drives it for ever and the other terms pay. Expected of a critic "
        f"(role='adversary'); the declared role is {subject.role!r}.",
        action="Bound it: a hinge (relu(target - std)), a logarithm with a floor, or a target "
        "value that it is compared with.",
        verify='poise.inspect(loss, example).fact("lowest")  # there is one',
    )
