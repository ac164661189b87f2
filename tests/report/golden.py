"""Comparison with files that a person has looked at."""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden" / "report"


def compare(name: str, text: str) -> None:
    """Asserts that `text` is the golden file; POISE_GOLDEN=write renews the file instead."""
    path = FOLDER / name
    if os.environ.get("POISE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
