"""What one line form means: which number is which quantity, position, or nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from poise.read.text import dialects
from poise.read.text.dialects import DEAD, S
from poise.read.text.grid import Cells, cells_of, named
from poise.read.text.tokens import MARK, Token, is_label, position_kind, tokens_of

INDENT = "\t"
"""Begins the name of a table row that stands below a `prefix`."""

_SIDE = re.compile(rf"^\s*([^\W\d][\w/.+-]*(?:,\s?[^\W\d][\w/.+-]*)+)[\s:]+{S}(?:[\s,]+{S})+\s*$")
_MAX_SLOTS = 2_000
_BARE = re.compile(r"(?:^|\t|INFO|: | - |\]|\x02)\s*$")
"""What stands in front of a list without a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the lines of one form are read.

    Attributes:
        pairs: Number of the slot and the name of every value, in line order. A slot mark inside a
            name stands for a number that belongs to the name, in the order of `name_slots`.
        positions: Number of the slot and `epoch`, `iter`, `step`, `epoch_total` or `iter_total`.
        name_slots: Slots that belong to names.
        split: Split that the line names, outside the names of its values.
        tag: What a position is of, where that is no position word: `Extract Features`.
        averaged: The line, or what follows it, is the mean over an epoch.
        bar: The line is one state of a progress bar.
        table: The line is a row of a printed table.
        ruler: The line is nothing but an edge of a table.
        prefix: The line is a table row that names a group of rows: `train/`.
        terms: Names that the dialect guarantees to be loss terms.
        unnamed: The line lists losses without names.
        event: Name of the event the line reports.
        grouped: Slots of numbers that commas divide, as in `12,500` or `0,125`.
        cells: The line is a row of numbers; a line above it has the names.
    """

    pairs: tuple[tuple[int, str], ...] = ()
    positions: tuple[tuple[int, str], ...] = ()
    name_slots: tuple[int, ...] = ()
    split: str | None = None
    tag: str = ""
    averaged: bool = False
    bar: bool = False
    table: bool = False
    ruler: bool = False
    prefix: str = ""
    terms: tuple[str, ...] = ()
    unnamed: bool = False
    event: str = ""
    grouped: tuple[tuple[int, ...], ...] = ()
    cells: Cells = ()

    @property
    def silent(self) -> bool:
        """True if lines of this form say nothing."""
        return self == Plan()

    def named(self, texts: Sequence[str]) -> "Plan":
        """The plan with the numbers of `name_slots` written into the names."""
        rest = iter(texts)
        pairs = tuple(
            (slot, re.sub(S, lambda _: next(rest, ""), name)) for slot, name in self.pairs
        )
        return replace(self, pairs=pairs, name_slots=())

    def headed(self, names: Sequence[str]) -> "Plan":
        """The plan of a row of numbers with the names above it."""
        pairs, positions = named(self.cells, names)
        taken = {name for _, name in positions}
        rest = tuple(one for one in self.positions if one[1] not in taken)
        return replace(self, pairs=pairs, positions=(*positions, *rest), cells=())


def parse(template: str, sample: Sequence[str] = ()) -> Plan:
    r"""Understand a line form.

    Args:
        template: A line with `SLOT` for every number.
        sample: The numbers of one line of this form, as printed.

    Example:
        >>> plan = parse("epoch: \x01, iter: \x01/\x01, loss: \x01 (\x01), lr0: \x01")
        >>> plan.positions
        ((0, 'epoch'), (1, 'iter'), (2, 'iter_total'))
        >>> plan.pairs
        ((3, 'loss'), (5, 'lr0'))
    """
    event = _event(template)
    if event or dialects.NOISE.search(template):
        return Plan(event=event)
    if not template.strip(dialects.EDGE) and dialects.RULER.search(template):
        return Plan(ruler=True)
    text = template.translate(dialects.WIDE)
    for form in (dialects.PREFIX, dialects.IGNORED):
        text = form.sub(lambda m: DEAD * m.group().count(S), text)
    cells, behind = cells_of(text)
    if cells:
        return _cells(cells, behind, len(MARK.findall(text)) - len(MARK.findall(behind)))
    if dialects.CONSOLE.match(text):
        return _row(text)
    if S not in text or text.count(S) > _MAX_SLOTS:
        return _section(text)
    if side := _SIDE.match(text):
        return _side(side.group(1), text.count(S))
    return _line(text, sample)


def _event(template: str) -> str:
    return next((name for name, form in dialects.EVENTS if form.search(template)), "")


def _section(text: str) -> Plan:
    """A short line without numbers that says which split follows."""
    split = _split(text)
    if split is None or len(text) > 80 or len(re.findall(r"\w+", text)) > 9:
        return Plan()
    return Plan(split=split, averaged=bool(dialects.AVERAGED.search(text)))


def _split(text: str) -> str | None:
    found = dialects.SPLIT.search(text)
    return dialects.SPLITS[found.group(1)[:2].lower()] if found else None


def _row(text: str) -> Plan:
    """A table row of a name and a number, or of a name for the rows below it."""
    cells = re.split(r"[|│┃║]", text.strip())[1:-1]
    if len(cells) != 2 or not cells[0].strip():
        return Plan()
    name = cells[0].strip()
    if not cells[1].strip() and name.endswith("/"):
        return Plan(prefix=name, table=True)
    if cells[1].strip() != S or DEAD in name:
        return Plan()
    slot = name.count(S)
    indent = INDENT if cells[0].startswith("  ") else ""
    return Plan(pairs=((slot, indent + name),), table=True, name_slots=tuple(range(slot)))


def _cells(cells: Cells, behind: str, first: int) -> Plan:
    """A row of numbers, with what the progress bar behind it says of the position."""
    if not behind:
        return Plan(cells=cells)
    positions = _numbered(_positions(tokens_of(behind), behind, bar=True)[0])
    return Plan(cells=cells, positions=tuple((first + i, n) for i, n in positions), bar=True)


def _side(names: str, count: int) -> Plan:
    """`a,b,c 1.0 2.0 3.0`."""
    words = [one.strip() for one in names.split(",")]
    if len(words) != count:
        return Plan()
    return Plan(pairs=tuple(enumerate(words)))


def _line(text: str, sample: Sequence[str]) -> Plan:
    bar = bool(dialects.BAR.search(text))
    if bar and (printed := dialects.AFTER_BAR.search(text)):
        # what is printed behind a bar is a line of its own
        bar = False
        text = text[: printed.start()].replace(S, DEAD) + text[printed.start() :]
    tokens = tokens_of(text)
    places, tag = _positions(tokens, text, bar)
    taken = {token for token, _ in places}
    averaged = bool(dialects.AVERAGED.search(text))
    values = [one for one in tokens if one not in taken and not is_label(one, text)]
    if not any(one.sep.strip() or one.average is not None for one in values):
        values = [one for one in values if len(values) > 1 or _stands_alone(one)]
    pairs: list[tuple[int, str]] = []
    unnamed = False
    for token in values:
        if token.kind == "list":
            named, inside, nameless = _listed(token, text, sample)
            unnamed |= nameless
            pairs += named
            places += inside
        else:
            slot = token.average if averaged and token.average is not None else token.slots[0]
            pairs.append((slot, token.name))
    counter = dialects.COUNTER.search(text)
    leads = counter and len(pairs) > 1 and text.startswith(pairs[0][1], counter.end())
    if counter and leads and not places:
        slot = len(MARK.findall(text[: counter.start(1)]))
        places = [(replace(values[0], kind="value", slots=(slot,)), "step")]
    pairs, spoken = _spoken_split(pairs, text)
    header = text[: min((one.start for one in values), default=len(text))]
    positions = _numbered(places)
    if bar and not pairs:
        return Plan()
    plan = Plan(
        pairs=_unique(pairs),
        positions=positions,
        split=spoken or (_split(header) if pairs or positions else _section(text).split),
        tag=tag,
        averaged=averaged,
        bar=bar,
        unnamed=unnamed,
        terms=_guaranteed(text, values),
        grouped=tuple(one.slots for one in tokens if one.kind == "grouped"),
    )
    return _with_name_slots(plan, text)


def _listed(
    token: Token, text: str, sample: Sequence[str]
) -> tuple[list[tuple[int, str]], list[tuple[Token, str]], bool]:
    """Values and positions of a list, and whether it lists losses without names."""
    if dialects.RATE.match(token.name):
        return [(token.slots[0], token.name)], [], False
    named = bool(dialects.LISTED.match(token.name))
    if not named and not _is_bare(token, text, sample):
        return [], [], False
    slots = token.slots
    places: list[tuple[Token, str]] = []
    rate: list[tuple[int, str]] = []
    # VITS and its kin append the step, a whole number, and the learning rate to their losses
    if not named and len(slots) != 3 and sample[slots[-2]].isdigit():
        places = [(replace(token, kind="value", slots=(slots[-2],)), "step")]
        rate = [(slots[-1], "lr")]
        slots = slots[:-2]
    return [(slot, f"loss_{i}") for i, slot in enumerate(slots)] + rate, places, bool(slots)


def _is_bare(token: Token, text: str, sample: Sequence[str]) -> bool:
    """A list of numbers with decimals that is all that the line says."""
    if token.name or "[" not in token.bracket:
        return False
    if text[token.end :].strip() or not _BARE.search(text[: text.rfind("[", 0, token.end)]):
        return False
    printed = [sample[slot] for slot in token.slots if slot < len(sample)]
    if len(printed) == 2 == len(token.slots):
        return printed[0].isdigit() and 0.0 <= float(printed[1]) < 0.1
    return len(printed) == len(token.slots) and any("." in one for one in printed)


def _spoken_split(
    pairs: list[tuple[int, str]], text: str
) -> tuple[list[tuple[int, str]], str | None]:
    """`val Loss: 0.5 Acc: 0.75`: the split in the first name is that of the line."""
    if len(pairs) < 2 or not text.lstrip().startswith(pairs[0][1]):
        return pairs, None
    word, _, rest = pairs[0][1].partition(" ")
    if not rest or _split(word) is None or any(_split(name) for _, name in pairs[1:]):
        return pairs, None
    return [(pairs[0][0], rest), *pairs[1:]], _split(word)


def _stands_alone(token: Token) -> bool:
    """Whether a number behind a blank is a value although its line has no other."""
    return token.kind == "list" or bool(dialects.LOSSY.search(token.name))


def _guaranteed(text: str, values: list[Token]) -> tuple[str, ...]:
    """In the dialect of pix2pix everything behind the parenthesis is a term."""
    match = dialects.ALL_TERMS.match(text)
    return tuple(one.name for one in values if match and one.start >= match.end() - 1)


def _unique(pairs: list[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The last value of a name that a line repeats."""
    last = {name: slot for slot, name in pairs}
    return tuple(sorted((slot, name) for name, slot in last.items()))


def _with_name_slots(plan: Plan, text: str) -> Plan:
    """Find which slots are inside names: those between the previous value and the name's own."""
    slots: list[int] = []
    for slot, name in plan.pairs:
        inside = name.count(S)
        if inside:
            places = [m.start() for m in MARK.finditer(text)]
            at = text.rfind(name, 0, places[slot])
            first = sum(place < at for place in places)
            slots += range(first, first + inside)
    return replace(plan, name_slots=tuple(slots))


def _positions(tokens: list[Token], text: str, bar: bool) -> tuple[list[tuple[Token, str]], str]:
    """The tokens that say where the line stands, and what a fraction without that word is of."""
    found: list[tuple[Token, str]] = []
    tag = ""
    dated = any(position_kind(token) == "epoch" for token in tokens)
    for token in tokens:
        kind = position_kind(token)
        if kind:
            found.append((token, kind))
        elif _is_epoch_pair(token, tokens):
            found.append((token, "epoch"))
        elif token.kind == "fraction" and (bar or _is_counter(token, text, dated)):
            found.append((token, "iter"))
            named = token.name and token.sep.strip() and not _split(token.name)
            tag = token.name if named and not found[:-1] else tag
    return found, tag


def _is_epoch_pair(token: Token, tokens: list[Token]) -> bool:
    """The first of `[1/25][10/600]`."""
    pair = tokens[:2]
    return (
        len(pair) == 2
        and token is pair[0]
        and all(one.kind == "fraction" and not one.name and "[" in one.bracket for one in pair)
    )


def _is_counter(token: Token, text: str, dated: bool) -> bool:
    """A fraction without a position word that counts iterations all the same."""
    if "[" in token.bracket:
        return True
    if not text[: token.start].strip():
        word = token.name.isalpha() and not token.sep.strip()
        return not token.name or (word and not dialects.SCORED.search(token.name))
    return dated and not any(char.isalpha() for char in token.name)


def _numbered(places: list[tuple[Token, str]]) -> tuple[tuple[int, str], ...]:
    """Slots by position; among several steps the one of the whole training keeps the name."""
    whole = any(kind.endswith("!") for _, kind in places)
    slots: dict[str, int] = {}
    for token, kind in places:
        name = "iter" if whole and kind == "step" else kind.rstrip("!")
        if name in slots:
            if name != "epoch" or token.kind != "fraction" or "iter" in slots:
                continue
            name = "iter"
        slots[name] = token.slots[0]
        if len(token.slots) == 2:
            slots[name + "_total"] = token.slots[1]
    return tuple((slot, name) for name, slot in slots.items())
