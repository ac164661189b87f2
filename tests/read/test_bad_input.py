"""Bad input gives one clear line: no traceback, no hang, no unbounded memory."""

import gzip
import json
import os
import socket
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poise.errors import ReadError
from poise.read import read_run

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def _raises(path: Path, match: str) -> None:
    """Reading fails with one line that names the path."""
    start = time.monotonic()
    with pytest.raises(ReadError, match=match) as caught:
        read_run(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert time.monotonic() - start < 10


def test_a_missing_path(tmp_path: Path) -> None:
    """A path that is not there is named."""
    _raises(tmp_path / "nothing.csv", "no such file or directory")


def test_an_empty_file(tmp_path: Path) -> None:
    """An empty file is called empty."""
    path = tmp_path / "empty.csv"
    path.touch()
    _raises(path, "is empty")


@pytest.mark.parametrize("content", [b"\n\n  \n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_file_of_nothing(tmp_path: Path, content: bytes) -> None:
    """Blank lines and byte order marks are no log."""
    path = tmp_path / "blank.log"
    path.write_bytes(content)
    _raises(path, "expected")


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    """A named pipe is refused before it is opened."""
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    _raises(path, "named pipe")


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is refused."""
    monkeypatch.chdir(tmp_path)  # socket paths must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s.csv")
        _raises(tmp_path / "s.csv", "socket")


def test_a_device() -> None:
    """An endless device is refused."""
    _raises(Path("/dev/zero"), "device")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PNG, "PNG image"),
        (b"PK\x03\x04" + bytes(1000), "zip archive"),
        (b"\x7fELF" + bytes(1000), "program"),
        (os.urandom(10_000), "binary data"),
        (bytes(10_000), "binary data"),
        (gzip.compress(PNG), "PNG image"),
    ],
)
def test_binary_junk_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    """A file that is plainly something else is called by its name."""
    path = tmp_path / "junk.log"
    path.write_bytes(content)
    _raises(path, said)


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A file without permission says so."""
    path = tmp_path / "secret.csv"
    path.write_text("step,loss\n1,2\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the superuser may read everything")
    _raises(path, "permission denied")


def test_a_directory_without_logs(tmp_path: Path) -> None:
    """A directory without logs says what was looked for."""
    (tmp_path / "notes.md").write_text("nothing")
    (tmp_path / "loop").symlink_to(tmp_path)
    _raises(tmp_path, "no training log in this directory; looked for")


@pytest.mark.parametrize(
    "content",
    [
        "name,colour\nalpha,red\nbeta,blue\n",
        '{"name": "alpha"}\n{"name": "beta"}\n',
        '[{"name": "alpha"}]',
        '{"log_history": []}',
        "step\n1\n2\n3\n",
        "once upon a time\nthere was no loss\n",
    ],
)
def test_logs_without_numbers(tmp_path: Path, content: str) -> None:
    """A log that holds no measured number is refused."""
    path = tmp_path / "words.log"
    path.write_text(content)
    _raises(path, "expected|nothing was logged")


def test_a_csv_bomb_of_columns(tmp_path: Path) -> None:
    """A hundred thousand columns are no training log."""
    path = tmp_path / "bomb.csv"
    names = ",".join(f"loss_{index}" for index in range(100_000))
    path.write_text(f"{names}\n" + ",".join(["1"] * 100_000) + "\n")
    _raises(path, "columns|differently named")


def test_a_json_bomb_of_names(tmp_path: Path) -> None:
    """So are ever new names in every record."""
    path = tmp_path / "bomb.jsonl"
    path.write_text("\n".join(json.dumps({f"loss_{index}": 1.0}) for index in range(20_000)))
    _raises(path, "differently named")


@pytest.mark.parametrize("depth", [5_000, 1_000_000])
def test_deeply_nested_json(tmp_path: Path, depth: int) -> None:
    """Nesting never reaches the interpreter's stack."""
    path = tmp_path / "deep.json"
    path.write_text('{"loss": 1.0, "deep": ' + '{"a":' * depth + "1" + "}" * depth + "}")
    _raises(path, "expected")
    path.write_text("[" * depth + "]" * depth)
    _raises(path, "expected")


def test_nesting_within_reason_is_followed_to_a_bound(tmp_path: Path) -> None:
    """A hundred levels are valid JSON; what lies deeper than six is left out, and that is said."""
    path = tmp_path / "deep.jsonl"
    line = '{"step": 1, "loss": 1.0, "deep": ' + '{"a":' * 100 + "1" + "}" * 100 + "}"
    path.write_text(f"{line}\n{line}\n".replace('"step": 1', '"step": 2', 1))
    run = read_run(path)
    assert list(run.train.series) == ["loss", "step"]
    assert any("deeper" in one for one in run.remarks)


@pytest.mark.parametrize("text", ["x" * 10_000_000, "loss: 1.0 " * 1_000_000, "1," * 5_000_000])
def test_a_single_line_of_ten_megabytes(tmp_path: Path, text: str) -> None:
    """One endless line is read or refused within seconds."""
    path = tmp_path / "line.log"
    path.write_text(text)
    start = time.monotonic()
    _read_or_refuse(path)
    assert time.monotonic() - start < 15


def _read_or_refuse(path: Path) -> None:
    """Anything but a run or one line that says why not is a failure."""
    said = ""
    try:
        read_run(path)
    except ReadError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_truncated_gzip_gives_what_is_there(tmp_path: Path, cut: float) -> None:
    """What can be unpacked is read, and the damage is told."""
    text = "step,loss\n" + "".join(f"{step},{(step * 7919) % 1009 / 7}\n" for step in range(20_000))
    packed = gzip.compress(text.encode())
    path = tmp_path / "log.csv.gz"
    path.write_bytes(packed[: int(cut * len(packed))])
    run = read_run(path)
    assert 0.9 * cut * 20_000 < run.records < 20_000
    assert any("truncated" in one for one in run.remarks)
    path.write_bytes(packed)
    assert read_run(path).records == 20_000


def test_a_gzip_of_nothing_readable(tmp_path: Path) -> None:
    """A gzip header alone is refused."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"step,loss\n1,2\n")[:10])
    _raises(path, "gzip")


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    """Invalid UTF-8 is replaced, and that is said."""
    path = tmp_path / "latin.csv"
    path.write_bytes("step,perte_é,loss\n1,2,3\n2,3,4\n".encode("latin-1"))
    run = read_run(path)
    assert len(run.train) == 2
    assert any("UTF-8" in one for one in run.remarks)


BEGINNINGS = [
    b"",
    b"step,loss\n1,2\n",
    b'{"step": 1, "loss": 2}\n',
    b"[{",
    b'{"log_history": [{"step": 1, "loss": 2}',
    b"step\tloss\n",
    b"epoch loss  val_loss\n1 2 3\n",
    b"step: 1 loss: 2\n",
    zlib.compress(b"x")[:2],
    b"\x1f\x8b\x08",
    b":W&B\xe1\xbe\x00",
]

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=400))
def test_any_bytes(tmp_path: Path, beginning: bytes, rest: bytes) -> None:
    """Whatever a file holds, a run comes back or one line says why not."""
    path = tmp_path / "any.log"
    path.write_bytes(beginning + rest)
    _read_or_refuse(path)


CELL = st.sampled_from(
    ["1", "2.5", "-3e400", "nan", "inf", "", '"', "'", "loss", "step", "0.1%", "{", "}", "9" * 20]
)


@FUZZ
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=5), min_size=1, max_size=8),
    separator=st.sampled_from([",", "\t", ";", " ", "  ", ", "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_table(tmp_path: Path, rows: list[list[str]], separator: str, end: str) -> None:
    """Tables with any number of any cells never break the reader."""
    path = tmp_path / "any.csv"
    path.write_text("step,loss\n" + end.join(separator.join(row) for row in rows))
    _read_or_refuse(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["loss", "step", "mode", "epoch", "val_loss", ""]), inner)
    ),
    max_leaves=12,
)


@FUZZ
@given(records=st.lists(JSON, min_size=1, max_size=6), whole=st.booleans(), cut=st.integers(0, 20))
def test_any_json(tmp_path: Path, records: list[object], whole: bool, cut: int) -> None:
    """Any JSON, line by line or whole or cut off, never breaks the reader."""
    path = tmp_path / "any.json"
    text = json.dumps(records, indent=1) if whole else "\n".join(map(json.dumps, records))
    path.write_text(text[: len(text) - cut] or "{")
    _read_or_refuse(path)


def test_every_real_log_cut_anywhere(corpus: Callable[[str], Path], tmp_path: Path) -> None:
    """A log that is cut off in the middle is read up to there."""
    for prefix in ("04", "05", "06", "11", "17", "24", "28", "31"):
        data = corpus(prefix).read_bytes()
        path = tmp_path / f"{prefix}.log"
        path.write_bytes(data[: len(data) // 2])
        half = read_run(path)
        assert 0.3 * len(read_run(corpus(prefix)).train) < len(half.train)
