"""The examples in the documentation do what they say."""

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("objective.md", "reduce.md", "fork.md")
BLOCKS = [
    (f"{page}:{number}", block)
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_each_example_runs_on_its_own(name: str, block: str) -> None:
    """Every block, in a fresh namespace, runs and prints what the page shows."""
    if not block.startswith(">>>"):
        exec(compile(block, name, "exec"), {})
        return
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(block, {}, name, name, 0))
    assert runner.tries > 1
    assert runner.failures == 0


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_examples(page: str) -> None:
    """The pattern finds the blocks of every page."""
    assert sum(name.startswith(page) for name, _ in BLOCKS) >= 2
