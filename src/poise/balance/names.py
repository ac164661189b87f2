"""Names of the terms of a balancer: checked when it is made and with every batch."""

from collections.abc import Iterable
from difflib import get_close_matches

from poise.errors import TermNameError


def named(who: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names of the terms, all different and not none.

    Raises:
        TermNameError: They are no different texts, or none.

    Example:
        >>> named("Balancer", ["ce", "kl"])
        ('ce', 'kl')
    """
    found = tuple(names)
    texts = not isinstance(names, str) and all(isinstance(one, str) for one in found)  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
    if texts and found and len(set(found)) == len(found):
        return found
    raise TermNameError(
        f"{who}: expected the names of the terms, all different, got {names!r:.60}; pass a list of "
        "str"
    )


def known(who: str, given: Iterable[object], names: Iterable[str]) -> None:
    """Refuses names that no term has, and tells the nearest one.

    Raises:
        TermNameError: A name is unknown.

    Example:
        >>> known("Balancer", ["ce"], ["ce", "kl"])
    """
    names = tuple(names)
    for name in given:
        if name not in names:
            near = get_close_matches(str(name), names, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            has = ", ".join(map(repr, names))
            raise TermNameError(f"unknown term {name!r}; this {who} has {has}.{hint}")
