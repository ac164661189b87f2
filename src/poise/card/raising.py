"""Explains why a loss function cannot be called at its example."""

import re
from collections.abc import Sequence

from torch import Tensor

from poise.card.outcome import Outcome
from poise.card.seen import finding, number
from poise.doctor.finding import Fault, Finding, Severity

PRODUCT = re.compile(r"\((\d+)x(\d+) and (\d+)x(\d+)\)")
"""The shapes in torch's message about a matrix product."""
DERIVATIVE = ("not have been used in the graph", "not require grad")
"""In torch's messages about a derivative by something that the value does not depend on."""


def raising(
    name: str, names: Sequence[str], example: Sequence[object], outcome: Outcome
) -> Finding:
    """The finding for a function that raises at its example."""
    shapes = ", ".join(
        f"{one}: {tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__}"
        for one, given in zip(names, example, strict=True)
    )
    why, do = explained(outcome.raised)
    return finding(
        "inspect-raises",
        Fault.DATA,
        Severity.ERROR,
        name,
        f"Cannot be called at its example: {outcome.raised}.",
        (number(f"called with {shapes}", "value", outcome.value),),
        cause=why,
        action=do,
        verify="print(loss(*example))  # a number",
    )


def explained(raised: str) -> tuple[str, str]:
    """Cause and action for a message of torch.

    Example:
        >>> explained("mat1 and mat2 shapes cannot be multiplied (32x64 and 10x64)")[1]
        'Transpose the second: (32, 64) @ (64, 10) works.'
    """
    found = PRODUCT.search(raised)
    if any(one in raised for one in DERIVATIVE):
        return (
            "The function differentiates one of its arguments by another; in an example they are "
            "tensors of their own, which do not depend on each other.",
            "Inspect the function of the coordinates alone: inspect(lambda t: loss(net(t), t), "
            "(t,)); or let it take the derivatives as arguments.",
        )
    if found is None:
        return (
            "The function does not accept these arguments, or has never run.",
            "Give an example of the arguments that training passes, or repair the function.",
        )
    a, b, c, d = (int(one) for one in found.groups())
    why = (
        f"A matrix product of ({a}, {b}) and ({c}, {d}): {b} columns meet {c} rows. "
        "The line has never run."
    )
    if b == d:
        return why, f"Transpose the second: ({a}, {b}) @ ({d}, {c}) works."
    if a == c:
        return why, f"Transpose the first: ({b}, {a}) @ ({c}, {d}) works."
    return why, f"Make the inner sizes agree: {b} and {c}."
