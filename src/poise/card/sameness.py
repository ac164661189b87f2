"""The answer of `poise.same`: a verdict with its numbers, printed in 80 columns."""

from dataclasses import dataclass
from textwrap import wrap
from typing import final

from torch import Tensor

from poise.card.same_verdict import Verdict

WIDTH = 80
"""Columns of the printed answer."""

INDENT = 14
"""Columns of its labels."""

SHOWN = 6
"""Numbers of a tensor that are printed."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """An input at which two losses are not the same objective; the simplest that was found.

    Attributes:
        names: Names of the inputs.
        inputs: The inputs themselves: `loss_a(*inputs)` and `loss_b(*inputs)` show it.
        drawn: What they were drawn as, before they were made simpler.
        reason: Why no factor explains it.
        values: Value of A and of B there; NaN for one that raised.
        gradients: Gradient of A and of B to the input `wrt`, flattened; empty after an exception.
        wrt: Name of the input that the two gradients are taken to.
    """

    names: tuple[str, ...]
    inputs: tuple[object, ...]
    drawn: str
    reason: str
    values: tuple[Tensor, Tensor]
    gradients: tuple[Tensor, Tensor]
    wrt: str

    def lines(self) -> list[str]:
        """The difference in lines of at most 80 columns."""
        pairs = zip(self.names, self.inputs, strict=True)
        shown = "; ".join(f"{name} = {_numbers(one)}" for name, one in pairs)
        lines = [*labelled("input", shown), *labelled("drawn as", self.drawn)]
        if len(self.values[0]) or len(self.values[1]):
            lines += labelled("value", _both(self.values))
        if len(self.gradients[0]) or len(self.gradients[1]):
            lines += labelled("gradient", f"{_both(self.gradients)} (to {self.wrt})")
        return lines


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sameness:
    """What `poise.same` found out about two losses, A and B.

    Attributes:
        verdict: `identical`, `offset`, `scaled`, `same direction` or `different`.
        factor: B is this times A (its gradient, for `offset` and `same direction`); None where
            the factor depends on the input. At the example's shape if it depends on the shape.
        offset: What B adds to factor x A; None where it depends on the input.
        factors: The factor at each shape of the first input, if it is not the same at all.
        span: Smallest and largest factor between the gradients.
        reason: The verdict in words, with its numbers.
        difference: The simplest input that shows a difference; None if there is none.
        tried: How many inputs were compared.
        differing: At how many of them the two clash.
        skipped: How many more inputs neither loss takes.
        elsewhere: What they are to each other at the inputs without a clash; None if all clash.
        inputs: What was drawn for each input, in words.
        wrt: Names of the inputs whose gradients were compared.
        remarks: What else one should know.
    """

    verdict: Verdict
    factor: float | None
    offset: float | None
    factors: tuple[tuple[tuple[int, ...], float], ...]
    span: tuple[float, float]
    reason: str
    difference: Difference | None
    tried: int
    differing: int
    skipped: int
    elsewhere: Verdict | None
    inputs: str
    wrt: tuple[str, ...]
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        lines = _wrapped(f"{self.verdict}: {self.reason}", "  ")
        if self.difference is not None:
            lines += self.difference.lines()
            among = f"{self.differing} of {self.tried} inputs"
            if self.elsewhere is not None:
                among += f"; {self.elsewhere} at the others"
            lines += labelled("differs at", among)
        else:
            lines += labelled("compared", f"values and gradients at {self.tried} inputs")
        lines += labelled("inputs", self.inputs)
        lines += labelled("gradients", "to " + ", ".join(self.wrt))
        for remark in self.remarks:
            lines += labelled("note", remark)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def labelled(label: str, text: str) -> list[str]:
    """Lines of at most 80 columns, the first behind a label.

    Example:
        >>> labelled("value", "A 1, B 2")
        ['  value       A 1, B 2']
    """
    return _wrapped("  " + label.ljust(INDENT - 2) + text, " " * INDENT)


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent)


def _both(pair: tuple[Tensor, Tensor]) -> str:
    return f"A {_numbers(pair[0])}, B {_numbers(pair[1])}"


def _numbers(one: object) -> str:
    """A tensor's numbers, or the first of them and its shape."""
    if not isinstance(one, Tensor):
        return repr(one)
    flat = one.detach().reshape(-1)
    if flat.numel() == 0:
        return "none"
    shown = [_number(number) for number in flat[:SHOWN]]
    if one.numel() == 1:
        return shown[0]
    if one.numel() > SHOWN:
        return f"[{', '.join(shown)}, ...] of shape {list(one.shape)}"
    return f"[{', '.join(shown)}]" + (f" of shape {list(one.shape)}" if one.ndim > 1 else "")


def _number(number: Tensor) -> str:
    if not number.is_floating_point():
        return str(number.item())
    return f"{number.item() + 0.0:.6g}"  # no minus before a zero
