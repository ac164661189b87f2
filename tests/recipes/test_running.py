"""Running a recipe: reproducible, and careful with what is there already."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import poise
from poise.errors import MissingExtraError, RecipeError
from poise.recipes import run
from poise.report.ending import ending
from tests.recipes.fake import FAKE


def test_the_same_seed_gives_the_same_record_and_another_one_does_not(tmp_path: Path) -> None:
    """Weights and draws follow from the seed alone."""
    torch.manual_seed(5)
    first = ending(poise.read_run(run(FAKE, "cured", tmp_path / "a", seed=3)))
    torch.rand(7)
    again = ending(poise.read_run(run(FAKE, "cured", tmp_path / "b", seed=3)))
    other = ending(poise.read_run(run(FAKE, "cured", tmp_path / "c", seed=4)))
    assert first.metrics == again.metrics
    assert first.metrics["drawn"] != other.metrics["drawn"]
    assert first.metrics["error"] != other.metrics["error"]


def test_the_callers_random_numbers_stay(tmp_path: Path) -> None:
    """A recipe in the middle of a program does not shift what follows."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    run(FAKE, "cured", tmp_path / "a")
    assert torch.equal(torch.rand(3), expected)


def test_progress_is_told(tmp_path: Path) -> None:
    """It ends at 1."""
    told: list[float] = []
    run(FAKE, "cured", tmp_path / "a", progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_a_run_that_is_there_is_not_continued(tmp_path: Path) -> None:
    """Two trainings in one record would be one training that restarts."""
    run(FAKE, "cured", tmp_path / "a")
    before = (tmp_path / "a" / "run.jsonl").read_bytes()
    with pytest.raises(RecipeError, match="holds a run already; give another directory"):
        run(FAKE, "cured", tmp_path / "a")
    assert (tmp_path / "a" / "run.jsonl").read_bytes() == before


def test_wrong_use_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """Unknown variants, missing packages, and files that are not there or not wanted."""
    out = tmp_path / "a"
    with pytest.raises(RecipeError, match="no variant 'curd'"):
        run(FAKE, "curd", out)
    lacking = replace(FAKE, needs=("torch", "surely_not_installed"))
    with pytest.raises(MissingExtraError, match=r"surely_not_installed.*'poise\[recipes\]'"):
        run(lacking, "cured", out)
    for seed in (-1, 2**31, True):
        with pytest.raises(RecipeError, match=f"from 0 to 2147483647 as seed, got {seed}; give"):
            run(FAKE, "cured", out, seed=seed)
    with pytest.raises(RecipeError, match="expected a file for --text"):
        run(FAKE, "cured", out, data=tmp_path / "none.txt")
    with pytest.raises(RecipeError, match="makes its own data"):
        run(replace(FAKE, data=None), "cured", out, data=tmp_path / "none.txt")
    assert not out.exists()
