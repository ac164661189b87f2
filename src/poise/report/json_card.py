"""A loss function's card as plain JSON; docs/json.md is the contract."""

from poise.doctor.card import Argument, Card, Curve, Fact, Slope
from poise.report import plain
from poise.report.json import Json, finding_to_json, paired


def card_to_json(card: Card) -> Json:
    """The object of schema `poise.card/1`: dicts, lists, strings, finite numbers, None.

    Example:
        >>> card_to_json(Card(name="mse", arguments=(), value=1.0))["value"]
        1.0
    """
    found: Json = {
        "schema": "poise.card/1",
        "name": card.name,
        "arguments": [_argument(one) for one in card.arguments],
        "value": plain.strict(card.value),
        "findings": [finding_to_json(one) for one in card.findings],
        "facts": [_fact(one) for one in card.facts],
        "slopes": [_slope(one) for one in card.slopes],
        "curves": [_curve(one) for one in card.curves],
        "not_checked": [{"probe": one.rule, "needs": list(one.needs)} for one in card.not_checked],
        "passed": list(card.passed),
    }
    return {key: paired(value) for key, value in found.items()}


def _argument(one: Argument) -> Json:
    return {
        "name": one.name,
        "shape": list(one.shape),
        "dtype": one.dtype,
        "role": one.role,
        "gradient": one.gradient,
    }


def _fact(one: Fact) -> Json:
    plainly = isinstance(one.value, (bool, str))
    return {
        "name": one.name,
        "value": one.value if plainly else plain.strict(float(one.value)),
        "text": one.text,
    }


def _slope(one: Slope) -> Json:
    return {
        "of": one.of,
        "against": one.against,
        "sizes": [plain.strict(size) for size in one.sizes],
        "values": [plain.strict(value) for value in one.values],
        "slope": plain.strict(one.slope),
        "power": one.power,
    }


def _curve(one: Curve) -> Json:
    return {
        "name": one.name,
        "title": one.title,
        "x_label": one.x_label,
        "x": [plain.strict(x) for x in one.x],
        "lines": {name: [plain.strict(y) for y in line] for name, line in one.lines.items()},
    }
