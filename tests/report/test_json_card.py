"""A card as JSON."""

import json

from poise.report.json import dumps
from poise.report.json_card import card_to_json
from tests.report.cards import card


def test_keys_are_the_contract() -> None:
    """Keys are exactly those promised, in their order; NaN has its name."""
    found = json.loads(dumps(card_to_json(card())))
    assert list(found) == [
        *("schema", "name", "arguments", "value", "findings", "facts", "slopes", "curves"),
        *("not_checked", "passed"),
    ]
    assert found["schema"] == "poise.card/1"
    assert found["curves"][0]["lines"]["value -"][-1] == "NaN"
    assert list(found["slopes"][0]) == ["of", "against", "sizes", "values", "slope", "power"]
    assert found["findings"][0]["steps"] == [0, 0]
    assert found["not_checked"] == [{"probe": "padding", "needs": ["a mask"]}]
