"""Columns that repeat or sum up others: twins and sub-totals, found without knowing a total."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from poise.read.naming import pieces
from poise.read.weights.fit import Fit, fit
from poise.read.weights.resolution import quantum
from poise.run import Floats

_SINGLE = 1e-7
_TRIES = 16
"""Columns that are tried as sums of others, at most; a fit takes some milliseconds."""
_MANY = 1_000
"""Among more columns no sums are sought: every name would have to be compared with every other."""
_NEAR = 0.02
"""Scatter up to which a column may be the mean of others that its name announces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubTotal:
    """A column that is the sum or mean of others.

    Attributes:
        name: The column.
        parts: What it is made of.
        found: The fit of the column on its parts.
    """

    name: str
    parts: tuple[str, ...]
    found: Fit


def twins(columns: Mapping[str, Floats]) -> dict[str, str]:
    """Columns equal to the last digit to an earlier one, by the name of that one.

    A column that takes fewer than four different values is nobody's twin.

    Args:
        columns: Values on common records, each of shape (n,), NaN where a record is silent.

    Example:
        >>> a = np.array([1.0, 2.0, 3.0, 4.0])
        >>> twins({"a": a, "b": a + 1, "c": a.copy()})
        {'c': 'a'}
    """
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for name, values in columns.items():
        if len(np.unique(values[np.isfinite(values)])) < 4:
            continue
        # Adding zero makes one zero of the two.
        owner = first.setdefault((values + 0.0).tobytes(), name)
        if owner != name:
            found[name] = owner
    return found


def sub_totals(columns: Mapping[str, Floats]) -> tuple[SubTotal, ...]:
    """Columns that are the plain sum or mean of two or more others.

    Exact relations are found by arithmetic alone. A relation that holds only up to a small
    scatter, as between medians, counts where the names announce it: `dist_cls` is the mean of
    `dist_cls_cos` and `dist_cls_sl1`.

    Args:
        columns: Values on common records, each of shape (n,), all finite. No twins.

    Returns:
        In the order they were found; parts come before the columns that they make up.
    """
    names = sorted(columns, key=_leafness)
    with np.errstate(all="ignore"):
        found = _exact(names, columns)
    taken = {one.name for one in found}
    return (*found, *(one for one in _named(names, columns) if one.name not in taken))


def _leafness(name: str) -> int:
    """Negative number of words of a name that are not numbers: parts have longer names."""
    return -sum(not one.isdigit() for one in pieces(name))


def _exact(names: Sequence[str], columns: Mapping[str, Floats]) -> list[SubTotal]:
    found: list[SubTotal] = []
    if len(names) < 3:
        return found
    grid = np.column_stack([columns[name] for name in names])
    if len(grid) < len(names) + 2:
        return found
    basis = list(names)
    for name in [names[index] for index in _dependent(grid)][:_TRIES]:
        made = {one.name for one in found}
        # Leaves that come later may belong to it as well when names say nothing about the order.
        before = basis[: basis.index(name)]
        one = _relation(name, [part for part in before if part not in made], columns)
        if one is not None and one.name not in made:
            found.append(one)
    return found


def _dependent(grid: Floats) -> list[int]:
    """Columns that earlier columns determine up to rounding."""
    steps = np.column_stack([quantum(column) for column in grid.T])
    noise = np.hypot(steps / np.sqrt(12.0), _SINGLE * np.abs(grid))
    deviation = np.sqrt((noise**2).sum(axis=1)) + 1e-300
    unit = np.sqrt(((noise / deviation[:, None]) ** 2).sum(axis=0))
    live = unit > 0
    scaled = grid / deviation[:, None] / np.where(live, unit, 1.0)
    factor = np.abs(np.diagonal(np.linalg.qr(scaled)[1]))
    size = np.linalg.norm(scaled, axis=0)
    return np.flatnonzero(live & (size > 100.0) & (factor < 30.0)).tolist()


def _relation(name: str, others: list[str], columns: Mapping[str, Floats]) -> SubTotal | None:
    """The sum or mean that a dependent column takes part in, whichever member is the sum."""
    if len(others) < 2:
        return None
    found = fit(columns[name], np.column_stack([columns[one] for one in others]))
    pairs = zip(others, found.weights, strict=True)
    members = [one for one, weight in pairs if weight is not None and weight != 0]
    if not found.exact or len(members) < 2:
        return None
    for whole in (name, *members):
        parts = [one for one in (*members, name) if one != whole]
        checked = fit(columns[whole], np.column_stack([columns[one] for one in parts]))
        if checked.exact and _equal(checked):
            return SubTotal(name=whole, parts=tuple(parts), found=checked)
    return None


def _equal(found: Fit) -> bool:
    """True for a plain sum or mean."""
    values = {one for one in found.weights if one is not None}
    whole = None not in found.weights and len(values) == 1
    return whole and values <= {1.0, 1.0 / len(found.weights)}


def _named(names: Sequence[str], columns: Mapping[str, Floats]) -> list[SubTotal]:
    """Sums and means that names announce, exact or up to a small scatter."""
    if len(names) > _MANY:
        return []
    words = {name: frozenset(pieces(name)) for name in names}
    found: list[SubTotal] = []
    for name in names:
        below = [one for one in names if words[one] > words[name]]
        parts = [one for one in below if not any(words[one] > words[other] for other in below)]
        extra = [words[one] - words[name] for one in parts]
        if len(parts) < 2 or any(word.isdigit() for words_ in extra for word in words_):
            continue
        checked = fit(columns[name], np.column_stack([columns[one] for one in parts]))
        if _equal(checked) and (checked.exact or _scatters(checked)):
            found.append(SubTotal(name=name, parts=tuple(parts), found=checked))
    return found


def _scatters(found: Fit) -> bool:
    return found.residual <= _NEAR and abs(found.remainder) <= found.residual
