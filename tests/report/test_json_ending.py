"""The final table as strict JSON."""

import json
from pathlib import Path

from poise import read_run
from poise.recipes import run
from poise.report.ending import Ending, EndTerm, ending
from poise.report.json_ending import ending_to_json
from tests.recipes.fake import FAKE


def test_the_keys_are_those_of_the_contract(tmp_path: Path) -> None:
    """Changing one is changing docs/json.md."""
    found = ending_to_json(ending(read_run(run(FAKE, "cured", tmp_path / "a"))))
    assert list(found) == [
        "steps", "batches", "split", "terms", "metrics", "motion", "measured",
    ]  # fmt: skip
    terms = found["terms"]
    assert isinstance(terms, list)
    assert list(terms[0]) == ["name", "train", "evaluated", "gradient_share"]


def test_numbers_that_json_has_not_are_names() -> None:
    """A loss that is not a number stays one."""
    term = EndTerm(train=float("nan"), evaluated=float("inf"), gradient=None)
    found = ending_to_json(
        Ending(steps=1, records=1, split="eval", terms={"a": term}, metrics={}, motion={}, place="")
    )
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["terms"] == [
        {"name": "a", "train": "NaN", "evaluated": "Infinity", "gradient_share": None}
    ]
