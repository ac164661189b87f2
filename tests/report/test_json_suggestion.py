"""A suggestion as JSON."""

import json
from dataclasses import replace

from poise.report.json import diagnosis_to_json, dumps, offer_to_json
from tests.report.probed import probed
from tests.report.suggested import offer, with_wish


def test_keys_are_the_contract() -> None:
    """Keys are exactly those promised, in their order; quantities have quartiles and ends."""
    found = json.loads(dumps(offer_to_json(with_wish())))
    assert list(found) == [
        *("schema", "source", "where", "probes", "steps", "weights", "terms", "wishes", "refused"),
    ]
    assert found["schema"] == "poise.suggestion/1"
    (first, *_) = found["terms"]
    assert list(first) == [
        *("name", "wish", "share", "weight", "suggested", "expected", "moves"),
    ]
    assert list(first["share"]) == ["median", "low", "high", "first", "last"]
    assert list(found["wishes"][0]) == [
        *("term", "where", "share", "fall", "steps", "goal", "gain", "needed", "wish", "unit"),
        *("confidence", "summary", "action"),
    ]


def test_a_diagnosis_holds_it() -> None:
    """The same object without its schema; null for a run without probes."""
    found = diagnosis_to_json(replace(probed(), suggestion=offer()))["suggestion"]
    assert isinstance(found, dict)
    assert {"schema": "poise.suggestion/1", **found} == offer_to_json(offer())
    assert diagnosis_to_json(probed())["suggestion"] is None
