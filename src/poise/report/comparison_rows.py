"""Words and rows of a comparison: the terminal and the HTML page show the same."""

import math
from collections.abc import Iterator, Mapping, Sequence

from poise.comparing.comparison import Change, Comparison, Pair, Verdict
from poise.comparing.judge import WORDS
from poise.doctor.finding import Finding
from poise.report import plain
from poise.report.measured import place_words

Row = tuple[str, ...]

HEAD: Row = ("", "before", "after", "change [95% interval]", "verdict")
MOVED = 8
"""Modules named in the table of motion."""


def verdict(one: Comparison) -> str:
    """What happened and to what, in a few words.

    Example: `countdown better; no effect seen in 3 others`.
    """
    counted = [each for each in one.changes if each.counts]
    parts = [
        f"{plain.listed([_named(each) for each in found], most=4)} {word.value}"
        for word in (Verdict.BETTER, Verdict.WORSE, Verdict.RESCALED)
        if (found := [each for each in counted if each.verdict is word])
    ]
    still = sum(each.verdict is Verdict.NO_EFFECT for each in counted)
    if still:
        others = f"{still} other" + "s" * (still > 1) if parts else f"{still} that count"
        parts.append(f"no effect seen in {others}")
    return "; ".join(parts)


def _named(one: Change) -> str:
    return one.name if one.split == "train" else f"{one.name} ({one.split})"


def splits(one: Comparison) -> tuple[str, ...]:
    """The splits that were compared, the training first."""
    return tuple(dict.fromkeys(each.split for each in one.changes))


def rows(changes: Sequence[Change]) -> list[Row]:
    """A heading and a row a quantity."""
    return [HEAD, *(_row(one) for one in changes)]


def _row(one: Change) -> Row:
    word = one.verdict.value
    if one.factor is not None:
        word += f" x{plain.brief(one.factor)}"
    if not math.isfinite(one.difference):
        return (plain.name(one.name, 20), "", "", "", word)
    return (
        plain.name(one.name, 20),
        plain.brief(one.before),
        plain.brief(one.after),
        f"{signed(one.difference)} [{signed(one.low, 2)}, {signed(one.high, 2)}]",
        word,
    )


def signed(value: float, digits: int = 3) -> str:
    """A difference in a few digits, always with its sign.

    Example:
        >>> signed(0.0512), signed(-2.0), signed(-123.4, 2)
        ('+0.0512', '-2', '-120')
    """
    rounded = float(f"{value:.{digits}g}") if math.isfinite(value) else value
    return f"{'' if value < 0 else '+'}{plain.brief(rounded)}"


def window(one: Comparison, split: str) -> str:
    """Over what the means of a split were taken."""
    inside = [each for each in one.changes if each.split == split]
    first = min(each.steps[0] for each in inside)
    last = max(each.steps[1] for each in inside)
    return f"{plain.name(split)}, means over {plain.span((first, last))}"


def reasons(one: Comparison) -> Iterator[tuple[str, str]]:
    """Why each verdict was given, quantities with the same reason together."""
    found: dict[str, list[str]] = {}
    for each in one.changes:
        plain_case = each.verdict is Verdict.NO_EFFECT and each.why in WORDS.values()
        if not plain_case and each.kind != "total":
            found.setdefault(each.why, []).append(_named(each))
    for why, names in found.items():
        yield plain.listed(names, most=4), plain.plain(why)


def places(one: Comparison) -> str:
    """Where gradient shares were measured, in words; empty if nowhere."""
    return place_words(one.after[0].run, one.shares_at) if one.shares_at else ""


def measured(one: Comparison) -> list[Row]:
    """Gradient shares and step responses by term, before -> after; empty if not measured."""
    names = dict.fromkeys((*one.gradient_shares, *one.responses))
    if not names:
        return []
    columns = [
        (title, pairs)
        for title, pairs in (("gradient share", one.gradient_shares), ("response", one.responses))
        if pairs
    ]
    only = dict.fromkeys(one.only_before, "BEFORE") | dict.fromkeys(one.only_after, "AFTER")
    return [
        ("term", *(title for title, _ in columns)),
        *(
            (
                plain.name(name, 20),
                *(arrow(pairs, name, only.get(name, "")) for _, pairs in columns),
            )
            for name in names
        ),
    ]


def motion(one: Comparison) -> str:
    """How far modules move in an optimizer step, before -> after; empty if not measured."""
    pairs = one.motion.values()
    before, after = [each.before for each in pairs], [each.after for each in pairs]
    both = any(each is not None for each in before) and any(each is not None for each in after)
    parts: list[str] = []
    for name, pair in one.motion.items():
        # Motion is measured of all modules that train, so what a side lacks it does not have.
        only = "BEFORE" if pair.after is None else "AFTER" if pair.before is None else ""
        parts.append(f"{plain.name(name)} {arrow(one.motion, name, only if both else '')}")
    more = f" and {len(parts) - MOVED} more" if len(parts) > MOVED else ""
    return ", ".join(parts[:MOVED]) + more


def arrow(pairs: Mapping[str, Pair], name: str, only: str = "") -> str:
    """Both medians as percentages; empty where neither side has one.

    Args:
        pairs: By name.
        name: Whose.
        only: The side that alone has it, in words; empty where both have it.

    Example:
        >>> arrow({"ce": Pair(before=0.5, after=0.25)}, "ce")
        '50% -> 25%'
        >>> arrow({"ce": Pair(before=0.5, after=None)}, "ce")
        '50% -> not measured'
        >>> arrow({"ce": Pair(before=0.5, after=None)}, "ce", "BEFORE")
        '50% (only in BEFORE)'
    """
    one = pairs.get(name, Pair(before=None, after=None))
    known = [plain.percent(each) for each in (one.before, one.after) if each is not None]
    if not known:
        return ""
    if only and len(known) == 1:
        return f"{known[0]} (only in {only})"
    both = (one.before, one.after)
    return " -> ".join("not measured" if each is None else plain.percent(each) for each in both)


def findings(one: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Findings that are gone, new and kept: a heading and a line each."""
    groups = (
        ("gone", one.findings_gone),
        ("new", one.findings_new),
        ("kept", one.findings_kept),
    )
    for word, found in groups:
        yield word, [finding(each) for each in found]


def finding(one: Finding) -> str:
    """A finding in one line."""
    named = f" in {plain.listed(one.terms, most=3)}" if one.terms else ""
    return f"{one.severity.value}: {one.fault.value}{named} [{one.rule}]"


def only(one: Comparison) -> str:
    """Terms of one side only, in words; empty if there are none."""
    parts = [
        f"only {word}: {plain.listed(names)}"
        for word, names in (("before", one.only_before), ("after", one.only_after))
        if names
    ]
    return "; ".join(parts)
