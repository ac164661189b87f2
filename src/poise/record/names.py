"""Column names of a run record: never ambiguous, whatever the terms are called."""

from collections.abc import Iterable, Mapping

from poise.record.columns import Key
from poise.run import Kind

_KINDS = {
    "step": Kind.POSITION,
    "micro": Kind.POSITION,
    "skipped": Kind.POSITION,  # says where updates were thrown away; no value to judge
    "discarded": Kind.POSITION,
    "wall_s": Kind.CLOCK,
    "total": Kind.TOTAL,
    "terms": Kind.TERM,
    "weights": Kind.WEIGHT,
    "counts": Kind.COUNT,
    "lr": Kind.LEARNING_RATE,
    "grad_norm": Kind.GRAD_NORM,
    "grad_norm_used": Kind.GRAD_NORM,
}
_COMMON = frozenset(
    {
        "step",
        "wall_s",
        "total",
        "lr",
        "grad_norm",
        "grad_norm_used",
        "micro",
        "skipped",
        "discarded",
    }
)
_PREFIXES = ("term/", "weight/", "count/", "lr/", "log/")


def term_column(term: str) -> str:
    """Name of the column that holds a term: the term's own, unless the record needs that one.

    Example:
        >>> term_column("ce"), term_column("total"), term_column("weight/ce")
        ('ce', 'term/total', 'term/weight/ce')
    """
    return f"term/{term}" if term in _COMMON or term.startswith(_PREFIXES) else term


def column_names(keys: Iterable[Key], rates: int) -> Mapping[Key, str]:
    """Names of all columns of a run, each used once.

    Args:
        keys: What the records of all splits hold.
        rates: The largest number of learning rates in a record; a single one is called `lr`.

    Example:
        >>> keys = [("terms", "lr"), ("weights", "lr"), ("lr", "0"), ("log", "lr"), ("log", "acc")]
        >>> list(column_names(keys, 1).values())
        ['term/lr', 'weight/term/lr', 'lr', 'log/lr', 'acc']
    """
    keys = tuple(dict.fromkeys(keys))
    names = {key: _name(key, rates) for key in keys if key[0] != "log"}
    taken = frozenset(names.values())
    for key in keys:
        if key[0] == "log":
            name = key[1]
            names[key] = f"log/{name}" if name in taken or name.startswith("log/") else name
    return {key: names[key] for key in keys}


def column_kind(key: Key) -> tuple[Kind, str | None] | None:
    """What a column is and the term it belongs to; None where only its name can tell.

    Example:
        >>> column_kind(("weights", "total")), column_kind(("log", "acc"))
        ((<Kind.WEIGHT: 'weight'>, 'term/total'), None)
    """
    group, name = key
    if group not in _KINDS:
        return None
    return _KINDS[group], term_column(name) if group in ("weights", "counts") else None


def _name(key: Key, rates: int) -> str:
    group, name = key
    if group == "terms":
        return term_column(name)
    if group in ("weights", "counts"):
        return f"{group[:-1]}/{term_column(name)}"
    if group == "lr":
        return "lr" if rates == 1 else f"lr/{name}"
    return group
