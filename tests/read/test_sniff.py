"""Finding the reader of a file, and the log of a directory."""

import gzip
import os
from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.read import read_run, sniff

CSV = "step,loss,a_loss\n1,2,1\n2,1,1\n"


def test_progress_is_told(tmp_path: Path) -> None:
    """Progress begins at nothing and ends with everything."""
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    told: list[float] = []
    read_run(path, progress=told.append)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert told == sorted(told)


def test_the_richest_log_of_a_directory_is_read(tmp_path: Path) -> None:
    """More loss columns win, then more records; the others are named."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "small.csv").write_text("step,loss\n" + "1,2\n" * 50)
    (tmp_path / "deep" / "er" / "rich.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "requirements.txt").write_text("torch==2.0\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    run = read_run(tmp_path)
    assert run.path == tmp_path / "deep" / "er" / "rich.csv.gz"
    assert run.remarks[0] == (
        "read from deep/er/rich.csv.gz in this directory; passed over: small.csv"
    )


def test_links_cannot_make_a_circle(tmp_path: Path) -> None:
    """A link to a directory above is not followed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "log.csv").write_text(CSV)
    assert read_run(tmp_path).remarks == ("read from a/log.csv in this directory",)


def test_depth_and_number_of_files_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies too deep is not found; too many files are cut off, and that is said."""
    deep = tmp_path.joinpath(*"abcdef")
    deep.mkdir(parents=True)
    (deep / "log.csv").write_text(CSV)
    with pytest.raises(ReadError, match="no training log"):
        read_run(tmp_path)
    monkeypatch.setattr(sniff, "MAX_FILES", 3)
    for index in range(9):
        (tmp_path / f"log{index}.csv").write_text(CSV)
    assert any("only the first 3 files" in one for one in read_run(tmp_path).remarks)


def test_a_pipe_in_a_directory_is_passed_over(tmp_path: Path) -> None:
    """Nothing in a directory can make the search hang."""
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "log.csv").write_text(CSV)
    assert len(read_run(tmp_path).train) == 2


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    """Strings and odd names are fine."""
    path = tmp_path / "ein log (1) é.csv"
    path.write_text(CSV)
    assert len(read_run(str(path)).train) == 2
    with pytest.raises(ReadError, match="check the path"):
        read_run("a\0b")
    with pytest.raises(ReadError, match="check the path"):
        read_run("x" * 5000)


def test_every_reader_keeps_the_contract() -> None:
    """Names are unique and the text reader, which takes anything, is asked last."""
    names = [one.NAME for one in sniff.READERS]
    assert len(set(names)) == len(names)
    assert names[-1] == "text"
    for one in sniff.READERS:
        assert callable(one.matches)
        assert callable(one.read)
