"""What the pages on watching and measuring print."""

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_worked_example() -> None:
    """Every line of output on the page is what the code above it prints."""
    found = doctest.testfile(str(DOCS / "measuring.md"), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0
