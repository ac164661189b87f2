"""The JSON of a comparison keeps its contract."""

import json

from poise.report.json import dumps
from poise.report.json_comparison import comparison_to_json
from tests.report.compared import compared, hostile_comparison


def test_the_contract() -> None:
    """All keys of `poise.comparison/1`, strict JSON."""
    found = json.loads(dumps(comparison_to_json(compared())))
    assert list(found) == [
        *("schema", "verdict", "aligned", "before", "after", "terms", "totals", "metrics"),
        *("only_before", "only_after", "gradient_shares", "motion", "responses"),
        *("findings_gone", "findings_new", "findings_kept", "warnings"),
    ]
    assert (found["schema"], found["verdict"]) == ("poise.comparison/1", "better")
    assert [one["name"] for one in found["terms"]] == ["ce", "kd", "hint"]
    assert [one["split"] for one in found["metrics"]] == ["val"]
    assert set(found["terms"][0]) == {
        *("name", "split", "verdict", "counts", "before", "after", "difference", "interval"),
        *("factor", "steps", "noise", "spread", "why"),
    }
    assert found["findings_gone"][0]["rule"] == "starved"
    assert found["motion"][1] == {"name": "head", "before": None, "after": 0.001}


def test_names_of_any_kind_survive() -> None:
    """What tries to be markup is data."""
    names = [one["name"] for one in comparison_to_json(hostile_comparison())["terms"]]  # type: ignore[index, union-attr]
    assert "<img src=x onerror=\"document.title='owned'\">" in names
