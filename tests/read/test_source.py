"""Opening files: compression, encodings, and what is refused (the rest is in test_bad_input)."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from poise.errors import ReadError
from poise.read import source
from poise.read.source import decode, open_source

TEXT = b"step,loss\n" + b"1,2.5\n" * 50_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """The content decides, not the name."""
    path = tmp_path / "log"
    path.write_bytes(pack(TEXT))
    found = open_source(path)
    assert found.head == TEXT[:65_536]
    assert found.read() == TEXT
    assert found.remarks == []


def test_several_gzip_members(tmp_path: Path) -> None:
    """Appended gzip files are one stream."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert open_source(path).read() == b"a\nb\n"


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compression bomb is refused before it fills the memory."""
    monkeypatch.setattr(source, "MAX_BYTES", 100_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(ReadError, match="more than"):
        open_source(path).read()


def test_the_remark_on_damage_is_made_once(tmp_path: Path) -> None:
    """Reading twice tells of a truncated archive once."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 4_000)[:-2_000])
    found = open_source(path)
    assert found.read() == found.read()
    assert len(found.remarks) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks(encoding: str) -> None:
    """Text of common Windows tools loses its mark and nothing else."""
    remarks: list[str] = []
    assert decode("perte_é".encode(encoding), remarks) == "perte_é"
    assert remarks == []


def test_replaced_bytes_are_counted() -> None:
    """How much is damaged is said."""
    remarks: list[str] = []
    assert decode(b"\xffloss\xfe", remarks) == "�loss�"
    assert remarks == ["2 bytes are not UTF-8 text and are replaced"]
