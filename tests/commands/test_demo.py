"""`poise demo`: from the incident to the proof."""

from functools import partial
from pathlib import Path

import pytest

from poise import recipes
from poise.commands.demo import demo
from poise.errors import RecipeError
from tests.inside import Here


def test_the_demo_tells_its_story_and_can_be_told_again(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diagnosis, cure, comparison, and both pages at the end; a second demo replaces the first."""
    monkeypatch.setattr(recipes, "run", partial(recipes.run, quick=True))
    for _ in range(2):
        text = here("demo", tmp_path).stdout
        assert text.index("[normaliser-starves-gradient]") < text.index("as the finding proposes")
        assert "change [95% interval]" in text
        ends = text.split("reports with charts:")[1].split()
        assert ends == [str(tmp_path / one) for one in ("diagnosis.html", "comparison.html")]
    for name in ("diagnosis.html", "comparison.html"):
        assert (tmp_path / name).stat().st_size > 50_000


def test_a_run_that_is_not_of_a_demo_is_left_alone(tmp_path: Path) -> None:
    """Somebody's own run of that name is neither deleted nor written over."""
    own = tmp_path / "cured" / "run.jsonl"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(RecipeError, match="holds a run"):
        demo(tmp_path)
    assert own.read_text() == "mine"


def test_a_file_in_place_of_the_directory_is_one_line(here: Here, tmp_path: Path) -> None:
    """A path that is a file is refused with status 2 and one line that names it."""
    path = tmp_path / "taken.csv"
    path.write_text("step,loss\n")
    done = here("demo", path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "taken.csv/reported: expected a directory" in done.stderr
    assert path.read_text() == "step,loss\n"
