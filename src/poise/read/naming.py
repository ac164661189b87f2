"""What the names of a log mean: split, granularity, and what kind of quantity a column is.

Names alone decide here; what arithmetic can tell is left to `poise.read.weights.compose`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from poise.read import words
from poise.run import Kind

_SEPARATORS = r"[\s/_.:\-]+"
_SPLIT = "|".join(sorted(words.SPLITS, key=len, reverse=True))
_PREFIX = re.compile(rf"({_SPLIT}){_SEPARATORS}(?=\S)", re.IGNORECASE)
_CAMEL = re.compile(rf"((?i:{_SPLIT}))(?=[A-Z][A-Za-z])")
_SUFFIX = re.compile(rf"(?<=\S){_SEPARATORS}({_SPLIT})$", re.IGNORECASE)
_GRAIN = re.compile(r"(?<=[^\s_/.\-])[_/.\-](step|epoch)$")
_VALUE = re.compile(r"(?<=loss)[ _]value$", re.IGNORECASE)
_SYMBOL = re.compile(r"[Ll]_[A-Za-z]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_PIECE = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Name:
    """What one column name means.

    Attributes:
        label: The name as the log spells it.
        split: `train`, `val`, `test`, `eval`, or None where the name does not tell.
        base: The name without split and granularity.
        grain: `step` or `epoch` where the name says it.
        kind: What the quantity is.
        of: The term that a weight, count or gradient norm belongs to.
    """

    label: str
    split: str | None
    base: str
    grain: str | None
    kind: Kind
    of: str | None = None


def classify(
    labels: Sequence[str],
    *,
    terms: Collection[str] = (),
    totals: Collection[str] = (),
    split: str | None = None,
    kinds: Mapping[str, tuple[Kind, str | None]] | None = None,
) -> dict[str, Name]:
    """Meaning of every column name of one frame.

    Args:
        labels: The names as the log spells them; what others there are decides unclear cases.
        terms: Names that the format declares to be terms.
        totals: Names that the format declares to be totals.
        split: Split of all records where the format says it: then no name may say another.
        kinds: What the format declares columns to be and to belong to; final.

    Example:
        >>> [one.kind.value for one in classify(["step", "loss", "loss_kl", "acc"]).values()]
        ['position', 'total', 'term', 'statistic']
        >>> classify(["val/cls_loss"])["val/cls_loss"].base
        'cls_loss'
    """
    known = set(labels)
    symbols = sum(bool(_SYMBOL.match(label)) for label in labels) > 1
    told = dict.fromkeys(terms, (Kind.TERM, None)) | dict(kinds or {})
    declared = {
        label: Name(label, None, label, None, kind, of)
        for label, (kind, of) in told.items()
        if label in known
    }
    # What is declared is not looked at: a probe of 100 terms has thousands of cosines.
    found = {label: declared.get(label) or _first(label, known, split) for label in labels}
    if symbols:
        named = (one for one in labels if one not in declared)
        found |= {one: _symbol(found[one]) for one in named if _SYMBOL.match(found[one].base)}
    totals = {*totals, *(label for label, one in declared.items() if one.kind is Kind.TOTAL)}
    found = _weak_terms(found)
    found = _one_total(found, totals)
    return _with_owners(found) | {label: declared[label] for label in kinds or {} if label in found}


def split_name(label: str) -> tuple[str | None, str]:
    """Split that a name begins or ends with (or has as one of its parts), and the rest.

    Example:
        >>> split_name("train/box_loss"), split_name("val_loss"), split_name("loss/dev")
        (('train', 'box_loss'), ('val', 'loss'), ('val', 'loss'))
        >>> split_name("validity")
        (None, 'validity')
    """
    for pattern in (_PREFIX, _CAMEL):
        if (found := pattern.match(label)) and label[found.end() :].strip(" _/.:-"):
            return words.SPLITS[found[1].lower()], label[found.end() :]
    if found := _SUFFIX.search(label):
        return words.SPLITS[found[1].lower()], label[: found.start()]
    parts = label.split("/")
    for index, part in enumerate(parts):
        if len(parts) > 1 and part.lower() in words.SPLITS:
            return words.SPLITS[part.lower()], "/".join(parts[:index] + parts[index + 1 :])
    if len(parts) > 1 and (found := _PREFIX.match(parts[-1])):
        return words.SPLITS[found[1].lower()], "/".join([*parts[:-1], parts[-1][found.end() :]])
    return None, label


def is_position(label: str) -> bool:
    """True if a column says where a record stands instead of what was measured."""
    return kind_of(label) is Kind.POSITION or kind_of(split_name(label)[1]) is Kind.POSITION


@lru_cache(maxsize=65_536)
def pieces(base: str) -> tuple[str, ...]:
    """Lower-case words of a name.

    Example:
        >>> pieces("Mel PostNet_loss.0"), pieces("clsLoss"), pieces("L1")
        (('mel', 'post', 'net', 'loss', '0'), ('cls', 'loss'), ('l1',))
    """
    found: list[str] = []
    for piece in _PIECE.findall(base):
        inner = _WORD.findall(piece)
        # only a lower-case beginning or a long word shows that capitals begin words
        camel = len(inner) > 1 and any(
            len(one) > 2 and one[:1].isupper() and one[1:2].islower() for one in inner[1:]
        )
        found += [one.lower() for one in inner] if camel else [piece.lower()]
    return tuple(found)


def loss_like(base: str) -> bool:
    """True if a name says `loss` in a place where it means one."""
    return any(_says_loss(word) for word in pieces(base))


def _says_loss(word: str) -> bool:
    bare = word.rstrip("0123456789")
    return bare in ("loss", "losses") or (
        (bare.startswith("loss") or bare.endswith("loss")) and bare not in words.NOT_LOSS
    )


def _first(label: str, known: set[str], given: str | None) -> Name:
    if kind_of(label) is Kind.POSITION:
        return Name(label, None, label, None, Kind.POSITION)
    split, base = split_name(label)
    if given is not None and split is not None and (split == "train") != (given == "train"):
        split, base = None, label
    if split is not None and kind_of(base) is Kind.POSITION:
        return Name(label, split, base, None, Kind.POSITION)
    grain = None
    if found := _GRAIN.search(base):
        grain, base = found[1], base[: found.start()]
    if (given or split) not in (None, "train") and base[:4].lower() == "avg_":
        base = base[4:] or base
    base = _VALUE.sub("", base)
    kind = kind_of(base)
    if label.endswith("_unscaled") or _is_average_of(label, known):
        kind = Kind.STATISTIC
    return Name(label, split, base, grain, kind)


def _symbol(name: Name) -> Name:
    """`L_rec` stands for `loss_rec` where several names are written so."""
    return replace(name, kind=kind_of("loss" + name.base[1:]))


def _is_average_of(label: str, known: set[str]) -> bool:
    """True for a running mean that stands beside the quantity itself."""
    for mark in words.AVERAGES:
        for twin in (label.removeprefix(f"{mark}_"), label.removesuffix(f"_{mark}")):
            if twin != label and twin in known:
                return True
    return False


@lru_cache(maxsize=65_536)
def kind_of(base: str) -> Kind:
    """Kind of a quantity by its own name alone; a total-like name is a total.

    Example:
        >>> [kind_of(one).value for one in ("lr/pg0", "loss scale", "Grad_norm", "ips", "l1")]
        ['learning_rate', 'loss_scale', 'grad_norm', 'clock', 'statistic']
    """
    found = pieces(base)
    joined = " ".join(found)
    tests: Iterable[tuple[bool, Kind]] = (
        (_position(base, found, joined), Kind.POSITION),
        (_grad_norm(found, joined), Kind.GRAD_NORM),
        (joined in words.LOSS_SCALES or joined.endswith(" loss scale"), Kind.LOSS_SCALE),
        (_describes(found), Kind.STATISTIC),
        (_learning_rate(found, joined), Kind.LEARNING_RATE),
        (_total(found), Kind.TOTAL),
        (any(map(_says_loss, found)), Kind.TERM),
        (_speed(base, found), Kind.CLOCK),
        (_count(found, joined), Kind.COUNT),
        (_clock(found), Kind.CLOCK),
    )
    return next((kind for holds, kind in tests if holds), Kind.STATISTIC)


def _position(base: str, found: tuple[str, ...], joined: str) -> bool:
    if not found or joined in words.POSITIONS:
        return True
    last = " ".join(pieces(base.rsplit("/", 1)[-1]))
    return "/" in base and last in words.NESTED_POSITIONS


def _grad_norm(found: tuple[str, ...], joined: str) -> bool:
    if joined in ("grad", "gradient", "gradients") or {"gnorm", "gradnorm"} & set(found):
        return True
    return bool({"grad", "grads", "gradient", "gradients"} & set(found)) and "norm" in found


def _describes(found: tuple[str, ...]) -> bool:
    """A name that says loss but means something about losses."""
    at = next((index for index, word in enumerate(found) if _says_loss(word)), None)
    if at is None:
        return False
    return bool(words.ABOUT_AFTER & set(found[at:]) or words.ABOUT_BEFORE & set(found[:at]))


def _learning_rate(found: tuple[str, ...], joined: str) -> bool:
    if any(map(_says_loss, found)) or words.NOT_RATE & set(found):
        return False
    rate = any(one.rstrip("0123456789") == "lr" for one in found)
    return rate or "learning rate" in joined or "learningrate" in found


def _total(found: tuple[str, ...]) -> bool:
    rest = {one for one in found if one not in ("loss", "losses")}
    if len(rest) < len(found):
        return rest <= words.TOTALS
    return found in words.BARE_TOTALS or found in (("totalloss",), ("lossall",))


def _count(found: tuple[str, ...], joined: str) -> bool:
    if {"ep", "episode", "eps"} & set(found):
        return False
    return joined in words.COUNTS or bool(words.COUNT_WORDS & set(found))


def _speed(base: str, found: tuple[str, ...]) -> bool:
    if base.strip().lower().endswith(("/s", "/sec", "/second", "s/it", "s/iter")):
        return True
    return "per" in found and bool({"s", "sec", "second"} & set(found))


def _clock(found: tuple[str, ...]) -> bool:
    return found in words.BARE_CLOCKS or bool(words.CLOCK_WORDS & set(found))


def _weak_terms(found: Mapping[str, Name]) -> dict[str, Name]:
    """Names such as `kl`, `l1` or `G_GAN`, which are losses only in the right company."""
    strong = any(one.kind is Kind.TERM for one in found.values())
    total = any(one.kind is Kind.TOTAL for one in found.values())
    if strong and any(words.ACTORS & set(pieces(one.base)) for one in found.values()):
        return dict(found)
    marks = words.PURE if strong else words.PURE | words.WEAK
    lifted = [label for label, one in found.items() if _means_loss(one, marks)]
    if not strong and not total:
        lifted += [label for label, one in found.items() if _is_network(one)]
    if total and not strong and all(_only_metric(found[one].base) for one in lifted):
        qualified = {found[one].base for one in lifted if len(_bare(found[one].base)) > 1}
        lifted = [one for one in lifted if found[one].base in qualified and len(qualified) > 1]
    chosen = set(lifted)
    return {
        label: replace(one, kind=Kind.TERM) if label in chosen else one
        for label, one in found.items()
    }


def _means_loss(one: Name, marks: Collection[str]) -> bool:
    """The name is made of words for losses and of roles, and of nothing else."""
    bare = _bare(one.base)
    if one.kind is not Kind.STATISTIC or words.NOT_TERM & set(bare):
        return False
    if not any(word in marks for word in bare) or bare in (["error"], ["err"]):
        return False
    return all(word in marks or word in words.ROLES for word in bare)


def _is_network(one: Name) -> bool:
    bare = _bare(one.base)
    if one.kind is not Kind.STATISTIC or not words.NETWORKS & set(bare):
        return False
    return all(word in words.NETWORKS or word in words.ROLES for word in bare)


def _only_metric(base: str) -> bool:
    return all(word in words.METRICISH or word in words.ROLES for word in _bare(base))


def _bare(base: str) -> list[str]:
    return [word for word in pieces(base) if not word.isdigit()]


def _one_total(found: Mapping[str, Name], totals: Collection[str]) -> dict[str, Name]:
    """Keep one total; a log with one loss only has that as its total."""
    result = dict(found)
    claims = {one.base for label, one in found.items() if label in totals}
    named = {one.base for one in found.values() if one.kind is Kind.TOTAL}
    losses = {one.base for one in found.values() if one.kind is Kind.TERM}
    best = claims
    if not best and named:
        best = {max(sorted(named), key=_totalness)}
    if not best and not named and losses:
        strong = {one for one in losses if loss_like(one)}
        elbo = {one for one in losses if "elbo" in pieces(one)}
        best = elbo if len(elbo) == 1 else strong if len(strong) == 1 == len(losses) else set[str]()
    for label, one in found.items():
        if one.base in best and one.kind in (Kind.TOTAL, Kind.TERM, Kind.STATISTIC):
            result[label] = replace(one, kind=Kind.TOTAL)
        elif one.kind is Kind.TOTAL:
            result[label] = replace(one, kind=Kind.TERM)
    return result


def _totalness(base: str) -> tuple[int, int]:
    said = set(pieces(base))
    if said & words.SURE_TOTALS:
        return 3, -len(base)
    return (2 if said <= {"loss", "losses"} else 1), -len(base)


def _with_owners(found: Mapping[str, Name]) -> dict[str, Name]:
    """Find the term that a weight, count or gradient norm belongs to."""
    owners: dict[frozenset[str], str] = {}
    for one in found.values():
        if one.kind in (Kind.TERM, Kind.TOTAL):
            owners.setdefault(_essence(one.base), one.base)
    owners.pop(frozenset(), None)

    def own(one: Name) -> Name:
        said = pieces(one.base)
        marks = set(said) & words.WEIGHT_WORDS
        rest = owners.get(_essence(one.base, words.WEIGHT_WORDS))
        if one.kind is Kind.STATISTIC and marks and rest:
            return replace(one, kind=Kind.WEIGHT, of=rest)
        if one.kind is Kind.GRAD_NORM:
            return replace(one, of=owners.get(_essence(one.base, words.NORM_WORDS)))
        if one.kind is Kind.COUNT or (one.kind is Kind.STATISTIC and "count" in said):
            rest = owners.get(_essence(one.base, words.COUNT_WORDS))
            return replace(one, kind=Kind.COUNT, of=rest)
        return one

    return {label: own(one) for label, one in found.items()}


def _essence(base: str, without: Collection[str] = ()) -> frozenset[str]:
    return frozenset(
        one for one in pieces(base) if one not in ("loss", "losses") and one not in without
    )
