"""The JSON contract of docs/json.md."""

import json
import math

import orjson
import pytest

from poise.doctor.diagnosis import Diagnosis
from poise.report.json import diagnosis_to_json, dumps, run_to_json
from poise.report.plain import strict as finite
from tests.report.builders import HOSTILE, finding, hostile, sick, sick_run
from tests.report.golden import compare
from tests.report.probed import probed


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not strict JSON")


def test_golden_diagnosis() -> None:
    """The whole object of `poise diagnose --json`."""
    compare("diagnosis.json", dumps(diagnosis_to_json(sick())) + "\n")


def test_golden_reading() -> None:
    """The whole object of `poise read --json`."""
    compare("read.json", dumps(run_to_json(sick_run())) + "\n")


def test_keys_are_the_contract() -> None:
    """Keys are exactly those promised, in their order."""
    found = json.loads(dumps(diagnosis_to_json(sick())))
    top = ["schema", "run", "measured", "suggestion", "findings", "accepted", "not_checked"]
    top += ["passed"]
    assert list(found) == top
    run = ["path", "format", "steps", "records", "total", "terms", "splits"]
    assert list(found["run"]) == run
    one = ["rule", "fault", "severity", "terms", "steps", "summary", "evidence"]
    one += ["cause", "action", "verify", "caused_by"]
    assert all(list(each) == one for each in found["findings"])
    assert list(found["findings"][0]["evidence"][0]) == [
        "text",
        "series",
        "steps",
        "value",
        "threshold",
    ]


def test_findings_keep_the_order_of_the_diagnosis() -> None:
    """JSON folds nothing: machines get findings as ranked, with `caused_by`."""
    found = json.loads(dumps(diagnosis_to_json(sick())))["findings"]
    assert [one["rule"] for one in found] == [one.rule for one in sick().findings]


def test_text_is_strict_json_and_ascii() -> None:
    """NaN is a string, names survive whatever they hold, and bytes are ASCII."""
    for what in (diagnosis_to_json(sick()), diagnosis_to_json(hostile()), run_to_json(sick_run())):
        text = dumps(what)
        assert text.isascii()
        json.loads(text, parse_constant=_refuse)
    found = json.loads(dumps(diagnosis_to_json(hostile())))
    assert [one["terms"][0] for one in found["findings"]] == list(HOSTILE)
    assert json.loads(dumps(diagnosis_to_json(sick())))["findings"][0]["evidence"][0]["value"] == (
        "NaN"
    )


def test_half_a_surrogate_pair_is_replaced() -> None:
    """A name that was not UTF-8 still gives JSON that any writer takes."""
    one = Diagnosis(
        run=sick_run(),
        findings=(finding(terms=("\udc80", "\U0001f600")),),
        not_checked=(),
        passed=(),
    )
    found = orjson.loads(orjson.dumps(diagnosis_to_json(one)))
    assert found["findings"][0]["terms"] == ["\ufffd", "\U0001f600"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN"), (None, None), (0.1, 0.1)],
)
def test_finite(value: float | None, expected: object) -> None:
    """Numbers stay numbers at full precision unless JSON has no word for them."""
    assert finite(value) == expected


def test_measured_numbers_are_in_the_json() -> None:
    """Both commands carry what probes measured, by term, place and module."""
    found = json.loads(dumps(diagnosis_to_json(probed())))["measured"]
    assert found == json.loads(dumps(run_to_json(probed().run)))["measured"]
    assert [one["name"] for one in found["terms"]] == ["cls", "reg", "aux"]
    assert set(found["terms"][0]) == {"name", "weight", "value", "value_share", "response"}
    shared, edge = found["places"]
    assert (shared["where"], shared["probes"], shared["steps"]) == ("shared", 8, [0, 70])
    assert set(shared) == {"where", "probes", "steps", "seconds", "terms"}
    assert shared["terms"][2]["update_share"]["median"] == 3.2e-7
    assert [one["name"] for one in edge["terms"]] == ["cls", "reg"]
    assert edge["terms"][0]["update_share"] is None
    assert found["motion"][0]["module"] == "trunk.0"
    assert set(found["motion"][0]) == {"module", "median", "first", "last", "count"}
