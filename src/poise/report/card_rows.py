"""The tables of a loss function's card, as text cells: for the terminal and for HTML."""

import math

from poise.doctor.card import Card, Curve
from poise.report import plain

EVERY = 2
"""Decades between two rows of a curve's table."""
LINES = {
    "value +": "value, above",
    "gradient +": "gradient",
    "value -": "value, below",
    "gradient -": "gradient",
}
"""Headings of the lines of the error curve."""
HEADS = ("value", "gradient/element", "gradient sum")
QUANTITIES = ("value", "gradient per element", "gradient summed")


def arguments(card: Card) -> list[tuple[str, ...]]:
    """Name, role, shape, dtype and whether a gradient arrives, under a heading."""
    rows = [("argument", "role", "shape", "dtype", "gradient")]
    for one in card.arguments:
        shape = " x ".join(map(str, one.shape)) or "-"
        gradient = "yes" if one.gradient else "no"
        rows.append((plain.name(one.name), one.role, shape, one.dtype, gradient))
    return rows


def errors(curve: Curve) -> list[tuple[str, ...]]:
    """Value and gradient at every second decade of the error; one side if both are the same."""
    names = [name for name in LINES if name in curve.lines]
    if symmetric(curve):
        names = names[:2]
    heads = [LINES[name] for name in names]
    if curve.x_label.startswith("margin"):
        heads = [one.replace("above", "wrong").replace("below", "right") for one in heads]
    if len(names) == 2:
        heads = [one.removesuffix(", above") for one in heads]
    rows = [("error", *heads)]
    low, high = (math.log10(curve.x[index]) for index in (0, -1))
    first = math.ceil(low / EVERY) * EVERY
    for power in range(first, math.floor(high) + 1, EVERY):
        x = 10.0**power
        values = (plain.number(float(f"{curve.at(name, x):.3g}")) for name in names)
        rows.append((f"1e{power}", *values))
    return rows


def symmetric(curve: Curve) -> bool:
    """Whether both sides of the error cost the same, within what a table shows."""
    pairs = zip(curve.lines["value +"], curve.lines["value -"], strict=True)
    both = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if len(both) < len(curve.x):
        return False
    return all(math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-300) for a, b in both)


def slopes(card: Card) -> list[tuple[str, ...]]:
    """Log-log slope of every quantity against every size, under a heading."""
    rows: list[tuple[str, ...]] = [("slope against", *HEADS)]
    for against in dict.fromkeys(one.against for one in card.slopes):
        found = {one.of: one for one in card.slopes if one.against == against}
        cells = [
            "-" if name not in found else _slope(found[name].slope, found[name].power)
            for name in QUANTITIES
        ]
        rows.append((against, *cells))
    return rows


def _slope(slope: float, power: bool) -> str:
    if math.isnan(slope):
        return "-"
    return f"{slope:.2f}".replace("-0.00", "0.00") + ("" if power else " ~")


def inexact(card: Card) -> bool:
    """Whether a slope is marked as only about right."""
    return any(not one.power and not math.isnan(one.slope) for one in card.slopes)
