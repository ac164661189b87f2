"""`poise demo`: from the incident to the proof."""

from functools import partial
from pathlib import Path

import pytest

from poise import recipes
from poise.commands.demo import demo


def test_the_demo_tells_its_story_and_can_be_told_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diagnosis, cure, comparison, and both pages at the end; a second demo replaces the first."""
    monkeypatch.setattr(recipes, "run", partial(recipes.run, quick=True))
    for _ in range(2):
        demo(tmp_path)
        text = capsys.readouterr().out
        assert text.index("[normaliser-starves-gradient]") < text.index("as the finding proposes")
        assert "change [95% interval]" in text
        ends = [line.strip() for line in text.splitlines()[-2:]]
        assert ends == [str(tmp_path / one) for one in ("diagnosis.html", "comparison.html")]
    for name in ("diagnosis.html", "comparison.html"):
        assert (tmp_path / name).stat().st_size > 50_000
