"""Names of the terms of a balancer: checked when it is made and with every batch."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from poise.errors import BalanceError, TermNameError


def named(who: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names of the terms, all different and not none.

    Raises:
        TermNameError: They are no different texts, or none.

    Example:
        >>> named("Balancer", ["ce", "kl"])
        ('ce', 'kl')
    """
    found = tuple(names) if isinstance(names, Iterable) else ()  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
    texts = not isinstance(names, str) and all(isinstance(one, str) for one in found)  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
    if texts and found and len(set(found)) == len(found):
        return found
    raise TermNameError(
        f"{who}: expected the names of the terms, all different, got {names!r:.60}; pass a list of "
        "str"
    )


def numbered(who: str, given: Mapping[str, float]) -> dict[str, float]:
    """A number by term, in the order given.

    Raises:
        BalanceError: It is no mapping, or something in it is no number.
        TermNameError: The names are no texts, or none.

    Example:
        >>> numbered("Fixed", {"ce": 1, "kl": 0.5})
        {'ce': 1.0, 'kl': 0.5}
    """
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
        raise BalanceError(
            f"{who}: expected a number for each term, as {{'ce': 1.0, 'kl': 0.5}}, got "
            f"{given!r:.60}; pass a dict"
        )
    named(who, given)
    found: dict[str, float] = {}
    for name, one in given.items():
        try:
            found[name] = float("none" if isinstance(one, str) else one)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise BalanceError(
                f"{who}: expected a number for term {name!r}, got {one!r:.60}; pass a float"
            ) from error
    return found


def mapped(who: str, terms: Mapping[str, object]) -> None:
    """Refuses terms that are no mapping by name.

    Raises:
        TermNameError: They are something else.

    Example:
        >>> mapped("Balancer", {"ce": 1.0})
    """
    if not isinstance(terms, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users pass anything
        raise TermNameError(
            f"{who}: expected the terms by name, as {{'ce': loss}}, got a {type(terms).__name__}; "
            "pass a dict"
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
