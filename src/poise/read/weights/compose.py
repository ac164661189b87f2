"""Which quantities of a log are totals, and how each total is made of its terms."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from poise.read.naming import pieces
from poise.read.weights.borrow import borrowed, generators, lifted
from poise.read.weights.fit import Fit, fit, plain
from poise.read.weights.hierarchy import SubTotal, sub_totals, twins
from poise.read.weights.normaliser import normaliser_of
from poise.read.weights.sheet import OFTEN, Sheet, held_at, sample
from poise.read.weights.spell import composition, spelled
from poise.run import Composition, Floats, Kind, Table, TermWeight

_TOTALS = 3
_WHOLE = frozenset({"vae", "cvae", "vqvae", "bvae", "ae", "autoencoder", "model", "net", "network"})
"""A loss that is called like a whole model is its total if no other loss is."""

_Kinds = dict[str, Kind]


def compose(
    tables: tuple[Table, ...], declared: Mapping[str, object]
) -> tuple[tuple[Table, ...], tuple[Composition, ...]]:
    """Find the totals of a log and how they are made of its terms.

    What the run declares comes first, then what names say, then arithmetic: a column that is the
    plain sum or mean of others is a total even if its name does not say so, and a column that
    repeats another to the last digit is the same quantity.

    Args:
        tables: All tables of a log, with the kinds that names suggest; the first is the main one.
        declared: See `poise.run.Run.declared`; `weights` is used.

    Returns:
        The tables, where sub-totals have become `Kind.TOTAL`, repeated columns and parts of other
        terms `Kind.STATISTIC`, and a statistic that makes up a total `Kind.TERM`; and the
        compositions, the main one first, none where nothing looks like a total.
    """
    kinds: _Kinds = {}
    found: tuple[Composition, ...] = ()
    weights = _weights(declared)
    for table in tables:
        sheet = sample(table)
        if sheet is None:
            continue
        with np.errstate(all="ignore"):
            learned, found = _declared(sheet, weights) if weights else _inferred(sheet)
        kinds = learned | kinds
        if found:
            break
    return tuple(_renamed(one, kinds) for one in tables) if kinds else tables, found


def _weights(declared: Mapping[str, object]) -> dict[str, float]:
    """Declared weights by term; what is no number is passed over."""
    given = declared.get("weights")
    if not isinstance(given, Mapping):
        return {}
    return {str(name): float(one) for name, one in given.items() if isinstance(one, (int, float))}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- declared values are untyped JSON


def _renamed(table: Table, kinds: _Kinds) -> Table:
    """The table with new kinds for the series whose names are listed."""
    swap = (Kind.TOTAL, Kind.TERM, Kind.STATISTIC, Kind.COUNT)
    series = {
        name: replace(one, kind=kinds[name]) if name in kinds and one.kind in swap else one
        for name, one in table.series.items()
    }
    return replace(table, series=series)


# Declared and logged weights.


def _factors(sheet: Sheet) -> dict[str, Floats]:
    """Logged weights per sampled record, by term."""
    weights = [one for one in sheet.table.of_kind(Kind.WEIGHT) if len(one)]
    owned = ((one.of, one) for one in weights if one.of is not None and one.of in sheet.columns)
    return {name: held_at(one, sheet.rows) for name, one in owned}


def _declared(sheet: Sheet, weights: dict[str, float]) -> tuple[_Kinds, tuple[Composition, ...]]:
    """The composition that the run declares, checked on the values."""
    totals, terms = sheet.named(Kind.TOTAL), sheet.named(Kind.TERM)
    if not totals or not terms:
        return {}, ()
    factors = _factors(sheet)
    for name in terms:
        if name not in factors and name in weights:
            factors[name] = np.full(len(sheet.rows), weights[name])
    known = [name for name in terms if name in factors]
    grid = sheet.grid(known) * np.column_stack([factors[name] for name in known] or [sheet.rows])
    checked = plain(sheet.columns[totals[0]], np.nan_to_num(grid, nan=0.0, posinf=np.nan))
    return {}, (_logged(totals[0], terms, factors, checked),)


def _logged(
    total: str, terms: list[str], factors: Mapping[str, Floats], checked: Fit
) -> Composition:
    last = {name: float(one[-1]) for name, one in factors.items()}
    entries = tuple(
        TermWeight(name=one, weight=last.get(one), source="declared" if one in last else "unknown")
        for one in terms
    )
    moving = [name for name in terms if name in factors and np.ptp(factors[name]) > 0]
    why = "The run declares its weights"
    if moving:
        why += f"; they change during the run ({', '.join(moving[:3])}), the last ones are given"
    if not checked.exact:
        why += "; with them the terms do not add up to the total"
    return composition(total, entries, replace(checked, why=why + "."))


# Weights from names and arithmetic.


def _inferred(sheet: Sheet) -> tuple[_Kinds, tuple[Composition, ...]]:
    totals, terms = sheet.named(Kind.TOTAL), sheet.named(Kind.TERM)
    kinds: _Kinds = {}
    if not totals and len(whole := [one for one in terms if _is_whole(one)]) == 1:
        totals, terms = whole, [one for one in terms if one not in whole]
        kinds[whole[0]] = Kind.TOTAL
    logged = _by_logged_weights(sheet, totals, terms)
    if logged is not None:
        return kinds, (logged,)
    simple = _fitted(sheet, totals[0], terms) if totals else None
    if simple is not None and simple.exact and all(one.weight for one in simple.terms):
        return kinds, (simple,)
    same = twins({name: sheet.columns[name] for name in terms})
    kinds |= dict.fromkeys(same, Kind.STATISTIC)
    terms = [name for name in terms if name not in same]
    subs, general = _shortest(_sub_totals(sheet, terms), same)
    kinds |= general
    alone = _single(same, subs)
    kinds |= dict.fromkeys(alone, Kind.TOTAL)
    leaves = [name for name in terms if name not in kinds]
    found = [_main(sheet, one, leaves, subs) for one in totals[:_TOTALS]]
    if found and _unexplained(sheet, found[0]):
        total = found[0].total
        better = borrowed(sheet, total, leaves) or lifted(sheet, total)
        better = better or _normalised(sheet, total, leaves)
        if better is not None:
            kinds |= {one.name: Kind.TERM for one in better.terms}
            found = [better]
    if not found and not subs:
        found = generators(sheet, leaves)
        for one in found:
            kinds |= {one.total: Kind.TOTAL} | {term.name: Kind.TERM for term in one.terms}
    found += [_alone(sheet, name, owner) for name, owner in alone.items()]
    found += [_partial(sheet, one, subs) for one in subs]
    kinds |= _parts(leaves, found)
    return kinds, tuple(_without(one, kinds) for one in _ordered(found, named=bool(totals)))


def _by_logged_weights(sheet: Sheet, totals: list[str], terms: list[str]) -> Composition | None:
    """The composition with the weights that the log holds, if these reproduce the total."""
    factors = {name: one for name, one in _factors(sheet).items() if name in terms}
    if not totals or not factors:
        return None
    ones = np.ones(len(sheet.rows))
    grid = sheet.grid(terms) * np.column_stack([factors.get(name, ones) for name in terms])
    checked = plain(sheet.columns[totals[0]], grid)
    if not checked.exact:
        return None
    every = {name: factors.get(name, ones) for name in terms}
    return _logged(totals[0], terms, every, checked)


def _sub_totals(sheet: Sheet, terms: list[str]) -> tuple[SubTotal, ...]:
    often = [one for one in terms if np.mean(np.isfinite(sheet.columns[one])) >= OFTEN]
    if len(often) < 3:
        return ()
    grid = sheet.grid(often)
    whole = np.flatnonzero(np.all(np.abs(grid) < 1e100, axis=1))
    # A relation that holds shows on far fewer records than weights need.
    few = whole[np.linspace(0, len(whole) - 1, min(len(whole), 600)).astype(np.int64)]
    return sub_totals({name: sheet.columns[name][few] for name in often})


def _shortest(
    subs: tuple[SubTotal, ...], same: Mapping[str, str]
) -> tuple[tuple[SubTotal, ...], _Kinds]:
    """Sub-totals under the most general of their names: `dist` instead of `dist_merged`."""
    best: dict[str, str] = {}
    kinds: _Kinds = {}
    for one in subs:
        names = [one.name, *(name for name, owner in same.items() if owner == one.name)]
        best[one.name] = min(names, key=lambda name: len(pieces(name)))
        kinds |= dict.fromkeys(names, Kind.STATISTIC) | {best[one.name]: Kind.TOTAL}
    renamed = (
        replace(one, name=best[one.name], parts=tuple(best.get(part, part) for part in one.parts))
        for one in subs
    )
    return tuple(renamed), kinds


def _single(same: Mapping[str, str], subs: Iterable[SubTotal]) -> dict[str, str]:
    """Twins that are totals of one term, and that term: they are called like another total.

    `loss_0` repeats `loss_disc`, and `loss_1` is the sum of other terms.
    """
    stems, summed = {_stem(one.name) for one in subs}, {one.name for one in subs}
    return {
        name: owner
        for name, owner in same.items()
        if name not in summed and _stem(name) in stems and _stem(owner) != _stem(name)
    }


def _stem(name: str) -> tuple[str, ...]:
    """Words of a name without its numbers."""
    return tuple(one for one in pieces(name) if not one.isdigit())


def _main(sheet: Sheet, total: str, leaves: list[str], subs: tuple[SubTotal, ...]) -> Composition:
    """A total on the leaves, or, if that is not exact, on sub-totals in place of their parts."""
    found = _fitted(sheet, total, leaves)
    if found.exact or not subs:
        return found
    inside = {part for one in subs for part in one.parts}
    names = [one for one in (*leaves, *(one.name for one in subs)) if one not in inside]
    other = _fitted(sheet, total, names)
    return other if other.exact or not other.residual >= found.residual else found


def _fitted(sheet: Sheet, total: str, terms: list[str]) -> Composition:
    """The total fitted on the terms: with silent terms as zeros if that is exact."""
    goal, grid = sheet.columns[total], sheet.grid(terms)
    silent = np.isnan(grid)
    # A logged NaN is not silence, but no record of either kind can be fitted.
    whole = np.isfinite(goal)
    first: Fit | None = None
    if silent.any():
        first = fit(goal, np.where(silent, 0.0, grid))
        if first.exact:
            return spelled(total, terms, first, terms)
    often = np.mean(~silent[whole], axis=0) >= 0.5 if whole.any() else np.zeros(len(terms)) > 0
    kept = [name for name, one in zip(terms, often.tolist(), strict=True) if one]
    found = fit(goal, grid)
    if not found.exact and len(kept) < len(terms):
        again = fit(goal, sheet.grid(kept))
        if again.exact or not found.records:
            return spelled(total, kept, again, terms)
    return spelled(total, terms, found, terms)


def _is_whole(name: str) -> bool:
    words = {one for one in pieces(name) if one not in ("loss", "losses")}
    return bool(words) and words <= _WHOLE


def _unexplained(sheet: Sheet, found: Composition) -> bool:
    """True if more is missing than a scatter around zero."""
    goal = sheet.columns[found.total]
    goal = goal[np.isfinite(goal)]
    size = float(np.median(np.abs(goal))) if len(goal) else 0.0
    central = abs(found.remainder) <= max(0.4 * found.residual, 0.03) * size
    return not found.exact and not (central and found.residual <= 0.25)


def _normalised(sheet: Sheet, total: str, terms: list[str]) -> Composition | None:
    """A total of terms that are each divided by their running mean: none has a constant weight."""
    found = normaliser_of(sheet.table, total, terms)
    if found is None:
        return None
    parts = ", ".join(f"{name} {w:.2g}" for name, w in zip(terms, found.weights, strict=True))
    unknown = Fit(
        weights=(None,) * len(terms),
        residual=float("nan"),
        tolerance=found.rest,
        exact=False,
        remainder=0.0,
        records=len(sheet.rows),
        why="Each term is divided by the running mean of its own value "
        f"(decay {found.decay:g}) and then weighted: {parts}. No term has a constant weight.",
    )
    entries = tuple(TermWeight(name=one, weight=None, source="unknown") for one in terms)
    return composition(total, entries, unknown)


def _alone(sheet: Sheet, name: str, owner: str) -> Composition:
    entry = TermWeight(name=owner, weight=1.0, source="fitted")
    return Composition(
        total=name,
        terms=(entry,),
        residual=0.0,
        tolerance=0.0,
        exact=True,
        remainder=0.0,
        records=len(sheet.rows),
        why=f"It repeats {owner} to the last digit.",
    )


def _partial(sheet: Sheet, one: SubTotal, subs: Iterable[SubTotal]) -> Composition:
    """A sub-total on its leaves, or on its parts where the leaves do not explain it as well."""
    below = {two.name: two.parts for two in subs}
    leaves = list(one.parts)
    for _ in range(len(below)):
        leaves = [leaf for part in leaves for leaf in below.get(part, (part,))]
    direct = spelled(one.name, list(one.parts), one.found, list(one.parts))
    leaves = list(dict.fromkeys(leaves))
    if tuple(leaves) == one.parts or one.name in leaves:
        return direct
    found = _fitted(sheet, one.name, leaves)
    good = found.exact or (not one.found.exact and not _unexplained(sheet, found))
    return found if good else direct


def _ordered(found: list[Composition], *, named: bool) -> list[Composition]:
    """The total that names say first; else the widest one that is no part of another."""
    if named or not found:
        return found
    parts = {one.name for total in found for one in total.terms}
    return sorted(found, key=lambda one: (one.total in parts, -len(one.terms)))


def _parts(leaves: list[str], found: list[Composition]) -> _Kinds:
    """Terms outside every total that are pieces of a term inside one, as their names say."""
    inside = {
        one.name
        for total in found
        if total.exact
        for one in total.terms
        if one.weight not in (None, 0)
    }
    return {
        name: Kind.STATISTIC
        for name in leaves
        if name not in inside and any(_piece_of(name, owner) for owner in inside)
    }


def _piece_of(name: str, owner: str) -> bool:
    longer, shorter = pieces(name), pieces(owner)
    return (
        len(longer) > len(shorter)
        and longer[: len(shorter)] == shorter
        and (longer[-1].isdigit() or longer[-1] in ("real", "fake"))
    )


def _without(one: Composition, kinds: _Kinds) -> Composition:
    terms = tuple(term for term in one.terms if kinds.get(term.name) is not Kind.STATISTIC)
    return replace(one, terms=terms)
