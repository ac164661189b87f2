"""Text to train small language models on, without a download."""

from pathlib import Path
from pydoc_data import topics

from poise.errors import RecipeError


def read_text(path: Path | None) -> str:
    """The text of a file, or the help topics that every Python ships.

    Args:
        path: A text file in UTF-8. None: the topics of `pydoc`, in the order of their names, about
            465 thousand characters in Python 3.11; they differ a little between versions.

    Returns:
        All of it, with line ends of one character and without a byte order mark.

    Raises:
        RecipeError: The file cannot be read, is no UTF-8, or holds no text.

    Example:
        >>> text = read_text(None)
        >>> len(text) > 100_000
        True
    """
    if path is None:
        return "\n".join(topics.topics[name] for name in sorted(topics.topics))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = error.strerror or str(error)
        raise RecipeError(f"{path}: expected a text file, but it cannot be read: {why}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: expected text in UTF-8, got byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start}; convert it, for example with iconv"
        ) from error
    if not text.strip():
        raise RecipeError(f"{path}: expected text to train on, got an empty file")
    return text
