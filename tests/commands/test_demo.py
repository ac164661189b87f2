"""`poise demo`, with short trainings."""

from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poise import recipes
from poise.cli import app


def test_the_incident_and_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are trained, told and compared, and their reports lie where it says; again, too."""
    monkeypatch.setattr(recipes, "run", partial(recipes.run, quick=True))
    (tmp_path / "cured").mkdir()
    (tmp_path / "cured" / "run.jsonl").write_text("of an earlier demo\n")
    done = CliRunner().invoke(app, ["demo", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    told, compared = done.output.split("The same training as the finding proposes")
    assert "[normaliser-starves-gradient]" in told
    assert "[normaliser-starves-gradient]" in compared.split("findings gone:")[1]
    assert "only before: binary; only after: binary_upweighted" in compared
    for name in ("diagnosis.html", "comparison.html"):
        assert str(tmp_path / name) in compared
        assert "countdown" in (tmp_path / name).read_text()
