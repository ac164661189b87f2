"""Does the backward pass honour what multiplies the loss: its weight, the gradient scaler."""

import torch

from poise.card.seen import Seen, brief, finding, number, seen
from poise.card.subject import Subject
from poise.doctor.finding import Fault, Severity

FACTORS = (0.0, 1e-3, 3.0)
SLACK = 1e-3
"""A weight that is ignored is off by 1 or so; rounding of parameters in float32 by much less."""


def backward(subject: Subject) -> Seen:
    """Passes several factors back; the gradient must follow each in proportion."""
    plain = subject.at(subject.z).gradient()
    if not bool((plain != 0).any()) or not bool(torch.isfinite(plain).all()):
        return Seen(needs=("a gradient at the example",))
    size = float(plain.abs().max())
    if float((subject.at(subject.z).gradient() - plain).abs().max()) > SLACK * size:
        return Seen(needs=("the same gradient at each call: the function keeps a state",))
    off: dict[float, float] = {}
    for factor in FACTORS:
        scaled = subject.at(subject.z, factor=factor).gradient()
        off[factor] = float((scaled - factor * plain).abs().max()) / size
    worst = max(off, key=lambda one: off[one])
    if off[worst] <= SLACK:
        return seen()
    got = float(subject.at(subject.z, factor=worst).gradient().abs().max()) / size
    return seen(
        findings=(
            finding(
                "inspect-weight",
                Fault.NO_GRADIENT,
                Severity.ERROR,
                subject.name,
                f"The backward pass ignores the weight: times {worst:g} the gradient is "
                f"{brief(got)} times what it was.",
                (number(f"gradient x{brief(got)} for weight {worst:g}", "gradient", got, worst),),
                cause="A custom backward that does not multiply by the gradient that arrives "
                "(grad_output).",
                action="Multiply by grad_output in the custom backward.",
                verify="x = example[0].requires_grad_(); "
                "print([torch.autograd.grad(k * loss(*example), x) for k in (1, 3)])  # 3 times",
            ),
        )
    )
