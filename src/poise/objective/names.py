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
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TermNameError(f"unknown term {name!r}; this Objective has {listed(known)}.{hint}")


def listed(names: Iterable[str]) -> str:
    """Names for a message.

    Example:
        >>> print(listed(["ce", "kl"]))
        'ce', 'kl'
    """
    return ", ".join(map(repr, names)) or "no terms"
