"""All lines of a log by form, with their numbers taken out; and what the log says in words."""

import re
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from poise.read.text import dialects
from poise.read.text.grid import Heads
from poise.read.text.lines import NUMBER, numbers, templates, texts, ungrouped
from poise.read.text.plan import INDENT, Plan, parse
from poise.read.text.records import Form
from poise.run import Floats, Ints

MAX_EVENTS = 1_000
"""Events of one name that are kept."""

_MAX_FORMS = 4_000  # new forms of a piece that are all looked at
_MAX_RARE = 1_000  # and of those that occur once, if there are more
_MAX_VARIANTS = 200  # numbers inside names that make names of their own
_TEXT = 300
_TRACE = 40  # lines between the last frame of a traceback and its error
_NUMBER = re.compile(NUMBER.replace("(?-u:\\b)", "\\b"), re.ASCII)
_FRAME = re.compile(r'File "(?:[^"]*[/\\])?([^"/\\]+)", line (\d+), in (\S+)')


_Found = tuple[str, Plan, Ints]
"""A form, its plan, and the indices of its lines."""


@dataclass(slots=True)
class Said:
    """One event: number of its line, name, text."""

    line: int
    name: str
    text: str


@dataclass(slots=True)
class Scan:
    """What has been taken out of the lines so far.

    Attributes:
        forms: By template, numbers inside its names, and table prefix.
        said: Events in order of lines within a name.
        counts: How many events of each name there were, kept or not.
        skipped: Lines that were not looked at because their form occurs once among too many.
        decimal: Numbers that were read with a decimal comma.
        seen: Lines so far.
    """

    forms: dict[tuple[str, ...], Form] = field(default_factory=dict[tuple[str, ...], Form])
    said: list[Said] = field(default_factory=list[Said])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    skipped: int = 0
    decimal: int = 0
    seen: int = 0
    _plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    _prefix: str = ""
    _heads: Heads = field(default_factory=Heads)

    def add(self, lines: pl.Series) -> None:
        """Take in the next lines of the log."""
        found = self._headed(lines, self._understood(lines))
        events = [(plan.event, rows) for _, plan, rows in found if plan.event]
        if events:
            self._hear(lines, events)
        self._collect(lines, [one for one in found if not one[1].event])
        self.seen += len(lines)

    def _understood(self, lines: pl.Series) -> list[_Found]:
        """Every form that says something, with its plan and the indices of its lines."""
        forms = templates(lines).filter(pl.col("template").str.contains(dialects.INTEREST))
        if len(forms) > _MAX_FORMS:
            once = pl.col("rows").list.len() == 1
            rare = forms.filter(once).filter(pl.col("template").is_in(list(self._plans)).not_())
            drop = rare["template"][_MAX_RARE:]
            self.skipped += len(drop)
            forms = forms.filter(pl.col("template").is_in(drop.implode()).not_())
        found: list[_Found] = []
        for template, rows in zip(forms["template"], forms["rows"], strict=True):
            plan = self._plans.get(template)
            if plan is None:
                plan = parse(template, _NUMBER.findall(lines[rows[0]]))
                self._plans[template] = plan
            if not plan.silent:
                found.append((template, plan, rows.to_numpy().astype(np.int64)))
        return found

    def _headed(self, lines: pl.Series, found: list[_Found]) -> list[_Found]:
        """Rows of numbers get the names that stand above them, or are left out."""
        rows = [one for one in found if one[1].cells]
        if not rows:
            return found
        heads = self._heads.of(lines, [(len(plan.cells), some) for _, plan, some in rows])
        headed = [one for one in found if not one[1].cells]
        for (template, plan, some), (names, which) in zip(rows, heads, strict=True):
            if len(names) > _MAX_VARIANTS:
                self.skipped += len(some)
                continue
            for i, key in enumerate(names):
                if key and len(mine := some[which == i]):
                    headed.append(("\t".join((template, *key)), plan.headed(key), mine))
        return headed

    def _collect(self, lines: pl.Series, found: list[_Found]) -> None:
        valued = [rows for _, plan, rows in found if plan.pairs or plan.positions]
        every = np.sort(np.concatenate(valued)) if valued else np.empty(0, np.int64)
        flat, starts = numbers(lines.gather(every))
        prefixes = self._prefixes(found)
        for template, plan, rows in found:
            slots = np.array([slot for slot, _ in (*plan.positions, *plan.pairs)], np.int64)
            values = np.empty((len(rows), 0))
            if len(slots):
                values = flat[starts[np.searchsorted(every, rows)][:, None] + slots]
                self._ungroup(lines, plan, rows, values)
            for key, named, some in self._variants(lines, plan, rows, prefixes):
                form = self.forms.setdefault((template, *key), Form(named))
                form.lines.append(rows[some] + self.seen)
                form.values.append(values[some])

    def _ungroup(self, lines: pl.Series, plan: Plan, rows: Ints, values: Floats) -> None:
        """Write what numbers with commas in them mean over their first parts."""
        spelled = [*plan.positions, *plan.pairs]
        for place, (slot, name) in enumerate(spelled):
            parts = next((one for one in plan.grouped if one[0] == slot), None)
            if parts is not None:
                lossy = bool(dialects.LOSSY.search(name))
                found, decimal = ungrouped(texts(lines.gather(rows), parts), lossy=lossy)
                self.decimal += decimal * len(rows)
                if found is not None:
                    values[:, place] = found

    def _prefixes(self, found: list[_Found]) -> tuple[Ints, list[str]]:
        """Where a row names the group of the rows below it, and the names."""
        named = sorted(
            (int(row), plan.prefix) for _, plan, rows in found if plan.prefix for row in rows
        )
        at = np.array([-1, *(row for row, _ in named)])
        names = [self._prefix, *(name for _, name in named)]
        self._prefix = names[-1]
        return at, names

    def _variants(
        self, lines: pl.Series, plan: Plan, rows: Ints, prefixes: tuple[Ints, list[str]]
    ) -> list[tuple[tuple[str, ...], Plan, np.ndarray | slice]]:
        """The plan once for every set of names that its lines spell."""
        if plan.table and plan.pairs and plan.pairs[0][1].startswith(INDENT):
            at, names = prefixes
            above = np.searchsorted(at, rows, side="right") - 1
            keys: list[tuple[str, ...]] = [(names[int(i)],) for i in above]
        elif plan.name_slots:
            keys = texts(lines.gather(rows), plan.name_slots)
        else:
            return [((), plan, slice(None))]
        distinct = list(dict.fromkeys(keys))
        if len(distinct) > _MAX_VARIANTS:
            self.skipped += len(rows)
            return []
        index = {key: i for i, key in enumerate(distinct)}
        which = np.array([index[key] for key in keys])
        return [(key, _named(plan, key), which == i) for key, i in index.items()]

    def _hear(self, lines: pl.Series, events: list[tuple[str, Ints]]) -> None:
        frames = np.sort(
            np.concatenate([np.empty(0, np.int64), *(r for n, r in events if n == "frame")])
        )
        for name, rows in events:
            if name == "frame":
                continue
            self._tell(lines, name, rows, frames)

    def _tell(self, lines: pl.Series, name: str, rows: Ints, frames: Ints) -> None:
        """Keep what lines of one form say, up to `MAX_EVENTS` of each name."""
        room = max(0, MAX_EVENTS - self.counts.get(name, 0))
        if name == "crash":
            told = ((row, _crash(lines, row, frames)) for row in rows.tolist())
            said = [(row, text) for row, text in told if text]
        else:
            said = [(row, lines[row].strip()) for row in rows[:room].tolist()]
        self.counts[name] = self.counts.get(name, 0) + max(
            len(said), len(rows) if name != "crash" else 0
        )
        self.said += [Said(row + self.seen, name, text[:_TEXT]) for row, text in said[:room]]


def _named(plan: Plan, key: tuple[str, ...]) -> Plan:
    if plan.name_slots:
        return plan.named(key)
    pairs = tuple((slot, key[0] + name.lstrip(INDENT)) for slot, name in plan.pairs)
    return replace(plan, pairs=pairs)


def _crash(lines: pl.Series, row: int, frames: Ints) -> str:
    """The error with the innermost place of its traceback; empty if there is no traceback."""
    before = int(np.searchsorted(frames, row)) - 1
    if before < 0 or row - frames[before] > _TRACE:
        return ""
    error = lines[row].strip()
    place = _FRAME.search(lines[int(frames[before])])
    return f"{error} ({place[1]}, line {place[2]}, in {place[3]})" if place else error
