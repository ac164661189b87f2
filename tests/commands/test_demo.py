"""`poise demo` where it cannot begin; what it trains is tested with the recipe."""

from pathlib import Path

import pytest

from tests.test_cli import poise

pytest.importorskip("torch", reason="the demo trains")


def test_a_file_in_place_of_the_directory_is_one_line(tmp_path: Path) -> None:
    """A path that is a file is refused with status 2 and one line that names it."""
    path = tmp_path / "taken.csv"
    path.write_text("step,loss\n")
    done = poise("demo", path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "taken.csv/reported: expected a directory" in done.stderr
    assert path.read_text() == "step,loss\n"
