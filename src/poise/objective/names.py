"""Messages about names of terms."""

from collections.abc import Iterable
from difflib import get_close_matches

from poise.errors import TermNameError


def unknown(name: object, known: Iterable[str]) -> TermNameError:
    """The error for a name that no term has, with the nearest one.

    Example:
        >>> print(unknown("kl_div", ["ce", "kl"]))
        unknown term 'kl_div'; this Objective has 'ce', 'kl'. Did you mean 'kl'?
    """
    known = tuple(known)
    return TermNameError(
        f"unknown term {name!r}; this Objective has {listed(known)}.{meant(name, known)}"
    )


def meant(given: object, known: Iterable[str]) -> str:
    """The nearest of the known words as a question that ends a message; empty if none is near.

    Example:
        >>> meant("regularizer", ["task", "regulariser"])
        " Did you mean 'regulariser'?"
    """
    near = get_close_matches(str(given), tuple(known), n=1, cutoff=0.5)
    return f" Did you mean {str(near[0])!r}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names for a message.

    Example:
        >>> print(listed(["ce", "kl"]))
        'ce', 'kl'
    """
    return ", ".join(map(repr, names)) or "no terms"
