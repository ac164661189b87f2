"""What was measured of one loss function: plain data, no torch and no renderer."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from poise.doctor.diagnosis import NotChecked
from poise.doctor.finding import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of the loss function, as the card understood it.

    Attributes:
        name: Its name in the function's signature.
        shape: Shape in the example; () for anything but a tensor.
        dtype: `float32`, `int64`; the Python type for anything but a tensor.
        role: `prediction`, `target`, `labels` (class indices), `mask`, `weight` or `other`.
        gradient: Whether a gradient arrives there.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    gradient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Measured lines over one positive axis.

    Attributes:
        name: Which curve: `error` or `magnitude`.
        title: What it shows, in words.
        x_label: What the axis means, with its unit.
        x: Ascending positions, all positive.
        lines: Values at `x` by name; NaN where the function could not be evaluated.
    """

    name: str
    title: str
    x_label: str
    x: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]

    def at(self, line: str, x: float) -> float:
        """A line's value at `x`, as a power of x between neighbours; the ends go on flat.

        Example:
            >>> lines = {"value +": (1.0, 16.0)}
            >>> one = Curve(name="error", title="", x_label="", x=(1.0, 100.0), lines=lines)
            >>> one.at("value +", 10.0)
            4.0
        """
        values = self.lines[line]
        right = bisect_left(self.x, x)
        if right == 0 or right == len(self.x):
            return values[min(right, len(self.x) - 1)]
        low, high = self.x[right - 1], self.x[right]
        part = math.log(x / low) / math.log(high / low)
        before, after = values[right - 1], values[right]
        if before > 0 and after > 0:
            return math.exp(math.log(before) * (1.0 - part) + math.log(after) * part)
        return before * (1.0 - part) + after * part


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How a quantity grows with a size: the exponent p in `size ** p`.

    Attributes:
        of: `value`, `gradient per element` (root mean square) or `gradient summed` (of absolute
            values: what one parameter gets that moves every element the way it is pulled).
        against: `batch`, `length`, `classes`, `features` or `unmasked share`.
        sizes: The sizes that were tried.
        values: The quantity at each.
        slope: Log-log slope between the first and the last; NaN if a value is zero or not finite.
        power: Whether all sizes lie on that one slope, within rounding.
    """

    of: str
    against: str
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    slope: float
    power: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One measured property, harmless by itself.

    Attributes:
        name: Short fixed name such as `reduction`; docs/inspect.md lists them.
        value: The number, flag or word.
        text: The same as a sentence.
    """

    name: str
    value: float | bool | str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that was measured of one loss function.

    Attributes:
        name: Name of the function.
        arguments: Its arguments, in order.
        value: Its value at the example; NaN if it could not be evaluated there.
        findings: Oddities, worst first.
        facts: Properties that are no oddities.
        curves: Value and gradient against the error and against the inputs' magnitude.
        slopes: Growth with batch, length, classes and padding.
        not_checked: Probes that could not run, and what they need.
        passed: Names of the probes that ran and found nothing.
    """

    name: str
    arguments: tuple[Argument, ...]
    value: float
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    curves: tuple[Curve, ...] = ()
    slopes: tuple[Slope, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst finding."""
        return self.findings[0].severity if self.findings else None

    @property
    def clean(self) -> bool:
        """No error and no warning; notes are allowed."""
        return self.worst in (None, Severity.NOTE)

    def fact(self, name: str) -> float | bool | str | None:
        """The value of a fact by its name; None if it was not measured."""
        return next((one.value for one in self.facts if one.name == name), None)

    def curve(self, name: str) -> Curve | None:
        """A curve by its name; None if it was not measured."""
        return next((one for one in self.curves if one.name == name), None)

    def slope(self, against: str, of: str = "value") -> float | None:
        """A slope by what grows and against what; None if it was not measured."""
        found = (one.slope for one in self.slopes if (one.against, one.of) == (against, of))
        return next(found, None)

    def __str__(self) -> str:
        """Plain text, one finding a paragraph; `poise inspect` prints the full card."""
        head = f"{self.name}: {len(self.findings)} findings, {len(self.passed)} probes passed, "
        head += f"{len(self.not_checked)} not checked"
        body = (
            f"{one.severity.upper()} {one.fault} [{one.rule}]: {one.summary}\n  do: {one.action}"
            for one in self.findings
        )
        return "\n".join((head, *body))
