"""A file to be read: opened safely, decompressed, and looked at before it is parsed."""

import bz2
import gzip
import lzma
import stat
import zlib
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from poise.errors import ReadError

HEAD = 65_536
"""Bytes that readers look at to recognise a format."""

MAX_BYTES = 4 << 30
"""More decompressed bytes than this are refused."""

_BLOCK = 1 << 22

_JUNK: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint is one too)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"(\xb5/\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"RIFF", "a media file"),
    (b"OggS", "a media file"),
    (b"ID3", "a media file"),
)

_NOT_FILES = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One readable regular file.

    Attributes:
        path: Where it is.
        head: Its first 65,536 bytes, decompressed.
        packing: `gzip`, `bzip2`, `xz`, or the empty string for a plain file.
        remarks: What had to be skipped; grows while `read` runs.
    """

    path: Path
    head: bytes
    packing: str = ""
    remarks: list[str] = field(default_factory=list[str])

    def read(self) -> bytes:
        """All bytes, decompressed; of a truncated archive those that are there.

        Raises:
            ReadError: The file cannot be read or has more than `MAX_BYTES`.
        """
        blocks, cut = _blocks(self.path, self.packing, MAX_BYTES)
        if cut and cut not in self.remarks:
            self.remarks.append(cut)
        return blocks

    def text(self) -> str:
        """`read`, as text without a byte order mark; bytes that are not UTF-8 are replaced."""
        return decode(self.read(), self.remarks)


def decode(data: bytes, remarks: list[str]) -> str:
    r"""Bytes as text without a byte order mark.

    Bytes that are not text in the encoding are replaced, which becomes a remark.

    Example:
        >>> remarks: list[str] = []
        >>> decode(b"loss\xff", remarks), remarks
        ('loss�', ['1 byte is not UTF-8 text and is replaced'])
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace").removeprefix("\ufeff")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
    count = text.count("\ufffd")
    verb = "byte is" if count == 1 else "bytes are"
    remarks.append(f"{count} {verb} not UTF-8 text and {'is' if count == 1 else 'are'} replaced")
    return text


def open_source(path: Path) -> Source:
    """Look at a file without ever blocking on it.

    Raises:
        ReadError: It is missing, empty, not a regular file, not permitted, or plainly no log.
    """
    _check_kind(path)
    start, _ = _blocks(path, "", 16)
    if not start:
        raise ReadError(f"{path}: the file is empty; expected a training log")
    packing = _packing(start)
    head, cut = _blocks(path, packing, HEAD)
    if not head:
        why = "nothing can be unpacked from it" if cut else "it holds nothing"
        raise ReadError(f"{path}: taken for {packing}, and {why}; expected a training log")
    return Source(path=path, head=head, packing=packing)


def refuse_junk(source: Source) -> None:
    """Raise for what is plainly no text log; readers of binary formats are asked before.

    Raises:
        ReadError: Names what the file was taken for.
    """
    taken_for = _taken_for(source.head)
    if taken_for:
        raise ReadError(
            f"{source.path}: this is {taken_for}, not a training log; expected a text, CSV, JSON, "
            "TensorBoard or W&B log, or a run directory"
        )


def _taken_for(head: bytes) -> str:
    for magic, name in _JUNK:
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ""
    # tabs, line ends, form feeds, backspaces and escapes occur in terminal dumps
    control = sum(head.count(bytes([code])) for code in range(32) if code not in b"\t\n\r\f\b\x1b")
    return "binary data" if control > 0.02 * len(head) else ""


def _check_kind(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ReadError(f"{path}: no such file or directory; check the path") from None
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: cannot be looked at ({_why(error)}); check the path") from None
    for test, name in _NOT_FILES:
        if test(mode):
            raise ReadError(f"{path}: this is {name}; expected a file or a directory")
    if stat.S_ISDIR(mode):
        raise ReadError(f"{path}: this is a directory; expected a file")


def _packing(start: bytes) -> str:
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"BZh"):
        return "bzip2"
    return "xz" if start.startswith(b"\xfd7zXZ\x00") else ""


def _open(path: Path, packing: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | BufferedReader:
    if packing == "gzip":
        return gzip.open(path, "rb")
    if packing == "bzip2":
        return bz2.open(path, "rb")
    if packing == "xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def _blocks(path: Path, packing: str, limit: int) -> tuple[bytes, str]:
    """Up to `limit` bytes, and a remark if an archive ends early."""
    taken: list[bytes] = []
    size = 0
    cut = ""
    try:
        with _open(path, packing) as file:
            # read1 gives what there is before a damaged place; read would lose it
            while size <= limit and (block := file.read1(_BLOCK)):
                taken.append(block)
                size += len(block)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if not packing or isinstance(error, PermissionError):
            raise ReadError(f"{path}: cannot be read ({_why(error)})") from None
        cut = f"the {packing} archive is truncated or damaged after {size:,} unpacked bytes"
    if limit == MAX_BYTES and size > limit:
        raise ReadError(f"{path}: more than {MAX_BYTES >> 30} GB; cut out the part that matters")
    whole = taken[0] if len(taken) == 1 else b"".join(taken)
    return whole[:limit], cut


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
