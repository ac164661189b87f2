"""`wandb-summary.json`: the one record of last values."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import wandb_summary
from poise.read.source import open_source
from tests.read.binaries import source

SUMMARY = {
    "_step": 40, "_runtime": 12.5, "_timestamp": 1.7e9, "_wandb": {"runtime": 12},
    "actor loss": -4.5e4, "critic": {"loss": 2.5, "deep": {"q": 1}}, "sample": "some text",
    "plot": {"_type": "image-file", "width": 9}, "bad": "NaN", "done": True, "none": None,
}  # fmt: skip


def read(text: str, name: str = "wandb-summary.json") -> dict[str, float]:
    """The one record of a summary, by name."""
    parsed = wandb_summary.read(source(text.encode(), f"/r/{name}"))
    assert [frame.size for frame in parsed.frames] == [1]
    return {name: one.values[0] for name, one in parsed.frames[0].columns.items()}


def test_numbers_are_kept_and_the_rest_is_dropped() -> None:
    """Nested numbers are flattened; W&B's own keys, media, text and truth values go."""
    found = read(json.dumps(SUMMARY))
    assert math.isnan(found.pop("bad"))
    assert found == {"_step": 40, "actor loss": -4.5e4, "critic/loss": 2.5, "critic/deep/q": 1}


def test_bare_non_finite_numbers() -> None:
    """Python's json writes them bare."""
    found = read('{"_step": 1, "x": NaN, "y": -Infinity}')
    assert math.isnan(found["x"])
    assert found["y"] == -math.inf


def test_matches_by_name_or_by_own_keys() -> None:
    """A renamed summary is recognised; a JSON Lines log with the same keys is not one."""
    text = json.dumps(SUMMARY).encode()
    assert wandb_summary.matches(source(text, "/r/last_values.json"))
    assert wandb_summary.matches(source(b' {"x": 1}', "/r/wandb-summary.json"))
    assert not wandb_summary.matches(source(b'{"x": 1, "_step": 2}', "/r/other.json"))
    assert not wandb_summary.matches(source(text + b"\n" + text, "/r/wandb-history.jsonl"))
    assert not wandb_summary.matches(source(b"[1]", "/r/wandb-summary.json"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"x": 1', "expected one JSON object with last values, got Expecting"),
        ("[1, 2]", "got a list"),
        ('{"x": "text", "_step": 1}', "got no number"),
        ('{"x":' * 100_000, "got nested too deeply"),
        ("\udcff", "got 'utf-8' codec"),
    ],
)
def test_what_is_no_summary(text: str, expected: str) -> None:
    """Each problem is one line that says what was found."""
    data = text.encode("utf-8", "surrogateescape")
    with pytest.raises(ReadError, match=f"^/r/wandb-summary.json: .*{expected}.*$"):
        wandb_summary.read(source(data, "/r/wandb-summary.json"))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Junk gives a ReadError."""
    with pytest.raises(ReadError, match="expected"):
        wandb_summary.read(source(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=9), JSON, max_size=8))
def test_any_object_is_one_record(logged: dict[str, object]) -> None:
    """Whatever an object holds beside one number, that number arrives."""
    assert read(json.dumps(logged | {"the loss": 2.5}))["the loss"] == 2.5


def test_real_log(corpus: Callable[[str], Path]) -> None:
    """A real summary of a reinforcement learning run."""
    opened = open_source(corpus("25_"))
    assert wandb_summary.matches(opened)
    parsed = wandb_summary.read(opened)
    found = {name: one.values.tolist() for name, one in parsed.frames[0].columns.items()}
    assert found["_step"] == [1019.0]
    assert found["sac/critic_loss"] == [5.305935872e09]
    assert found["train/total_loss"] == [pytest.approx(-52042.3356)]
    assert not {"_runtime", "_timestamp", "samples/generated_text"} & set(found)
