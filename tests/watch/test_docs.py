"""What the pages on watching and measuring print, and that what they show runs."""

import doctest
import re
from pathlib import Path

import pytest

import poise

DOCS = Path(__file__).parents[2] / "docs"


def test_worked_example() -> None:
    """Every line of output on the page is what the code above it prints."""
    found = doctest.testfile(str(DOCS / "measuring.md"), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0


def test_loops_run_as_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, from the top of the page; nothing fails to be recorded or measured."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "watch.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "watch.md", "exec"), names)
        assert names["watch"].failures == 0  # type: ignore[attr-defined]
    runs = {one.name: poise.read_run(one) for one in (tmp_path / "runs").iterdir()}
    assert runs.keys() == {"plain", "accumulation", "clipping", "objective", "gan"} | {
        "balance",
        "balance-backward",
        "expected",
    }
    assert len(runs["plain"].train) == 210
    assert runs["accumulation"].train.steps[-1] - runs["accumulation"].train.steps[0] == 9
    assert len(blocks[0].splitlines()) < 20
