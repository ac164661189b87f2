"""The final numbers of quick trainings against those of a run that a person has looked at."""

import json
import os
from pathlib import Path

import pytest

import poise
from poise.report.ending import ending

FOLDER = Path(__file__).parents[1] / "golden" / "recipes"
TOLERANCE = 0.02
"""Relative, and absolute for numbers below 1: other processors add in another order."""


def numbers(run: Path) -> dict[str, float]:
    """Terms in the last evaluation, and what it measured, with five digits."""
    end = ending(poise.read_run(run))
    terms = {name: one.evaluated for name, one in end.terms.items() if one.evaluated is not None}
    return {name: float(f"{value:.5g}") for name, value in (terms | dict(end.metrics)).items()}


def compare(recipe: str, variant: str, run: Path) -> None:
    """Asserts that a run ends as the golden one did; POISE_GOLDEN=write renews its numbers."""
    path = FOLDER / f"{recipe}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    found = numbers(run)
    if os.environ.get("POISE_GOLDEN") == "write":
        known = dict(sorted((known | {variant: found}).items()))
        path.write_text(json.dumps(known, indent=1) + "\n")
    assert found == pytest.approx(known[variant], rel=TOLERANCE, abs=TOLERANCE)
