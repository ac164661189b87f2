"""The examples in the documentation do what they say."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["objective.md", "reduce.md"])
def test_examples(page: str) -> None:
    """Every example of the page prints what the page shows."""
    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0
