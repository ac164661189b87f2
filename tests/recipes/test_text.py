"""The text that the language model recipes train on."""

import re
from pathlib import Path
from pydoc_data import topics

import pytest

from poise.errors import RecipeError
from poise.recipes.text import read_text


def test_without_a_file_it_is_the_topics_of_pydoc_in_order() -> None:
    """The same text on every machine with this Python: all topics, sorted by name."""
    text = read_text(None)
    assert text == "\n".join(one for _, one in sorted(topics.topics.items()))
    assert text == read_text(None)


def test_a_file_is_read_as_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    """A byte order mark and Windows line ends are no part of the text."""
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffGrüße\r\nzwei".encode())
    assert read_text(path) == "Grüße\nzwei"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message names the file and what the system said of it."""
    path = tmp_path / "none.txt"
    with pytest.raises(RecipeError, match=re.escape(f"{path}: expected a text file")):
        read_text(path)


def test_a_directory_is_no_text(tmp_path: Path) -> None:
    """A directory is refused with one line, not with a traceback of the system's."""
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_other_encodings_are_refused_with_the_place(tmp_path: Path) -> None:
    """Latin-1 is not guessed at: the byte and its offset are told."""
    path = tmp_path / "latin.txt"
    path.write_bytes("ab ü".encode("latin-1"))
    with pytest.raises(RecipeError, match="got byte 0xfc at offset 3"):
        read_text(path)


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    """White space alone trains nothing."""
    path = tmp_path / "empty.txt"
    path.write_text(content)
    with pytest.raises(RecipeError, match="expected text to train on, got an empty file"):
        read_text(path)
