"""A loss function's card as one HTML file that opens offline."""

import math
from collections.abc import Iterable

from poise.doctor.card import Card, Curve, Slope
from poise.doctor.finding import Severity
from poise.report import card_rows, plain
from poise.report.shell import page, told
from poise.report.traces import Json, panel, short


def render_card_html(card: Card) -> str:
    """The whole card: findings, curves over the error and over sizes, tables and facts."""
    curve = card.curve("error")
    return page(
        "card.html",
        card_charts(card),
        name=plain.name(card.name, 120),
        value=plain.number(float(f"{card.value:.4g}")),
        arguments=card_rows.arguments(card),
        counts=[
            (severity.value, plain.count(amount, severity.value))
            for severity in Severity
            if (amount := sum(one.severity is severity for one in card.findings))
        ],
        clean=card.clean,
        findings=[
            told(one) | {"number": str(number)} for number, one in enumerate(card.findings, start=1)
        ],
        facts=[plain.plain(one.text) for one in card.facts],
        errors=card_rows.errors(curve) if curve is not None else [],
        error_words=curve.x_label if curve is not None else "",
        slopes=card_rows.slopes(card) if card.slopes else [],
        inexact=card_rows.inexact(card),
        passed=card.passed,
        lacking=[(one.rule, " and ".join(one.needs)) for one in card.not_checked],
    )


def card_charts(card: Card) -> Json:
    """All charts of a card in the form that the report's charts have; every axis is log10."""
    axes: list[Json] = []
    panels: list[Json] = []
    for curve in card.curves:
        axes.append(_axis(curve.x_label, curve.x))
        panels += _curve(curve, len(axes) - 1)
    for against in dict.fromkeys(one.against for one in card.slopes):
        found = [one for one in card.slopes if one.against == against]
        axes.append(_axis(against, found[0].sizes))
        panels.append(_slopes(found, len(axes) - 1))
    return {
        "axes": axes,
        "panels": panels,
        "small": [],
        "left_out": 0,
        "findings": [],
        "restarts": [],
        "events": [],
    }


def _axis(name: str, x: tuple[float, ...]) -> Json:
    ends = [math.log10(one) for one in (min(x), max(x))]
    return {"name": name, "range": ends, "firsts": [0], "offsets": [0], "power": True}


def _curve(curve: Curve, axis: int) -> Iterable[Json]:
    """Value and gradient of the error curve in charts of their own; other curves in one."""
    if curve.name != "error":
        yield _panel(curve.name, curve.title, axis, curve.x, dict(curve.lines))
        return
    words = {"+": "above", "-": "below"}
    for what in ("value", "gradient"):
        lines = {f"{what}, {words[sign]}": curve.lines[f"{what} {sign}"] for sign in "+-"}
        title = f"{what.capitalize()} against the error"
        yield _panel(f"error-{what}", title, axis, curve.x, lines)


def _slopes(found: list[Slope], axis: int) -> Json:
    lines = {one.of: one.values for one in found}
    against = found[0].against
    identity = f"size-{against.replace(' ', '-')}"
    return _panel(identity, f"Growth with the {against}", axis, found[0].sizes, lines)


def _panel(
    identity: str,
    title: str,
    axis: int,
    x: tuple[float, ...],
    lines: dict[str, tuple[float, ...]],
) -> Json:
    order = sorted(range(len(x)), key=lambda k: x[k])
    series: list[Json] = [
        {
            "name": plain.name(name),
            "split": "",
            "solid": True,
            "total": False,
            "count": len(x),
            "x": [math.log10(x[k]) for k in order],
            "y": [short(line[k]) for k in order],
            "bad": [],
        }
        for name, line in lines.items()
    ]
    return panel(identity, title, axis, series)
