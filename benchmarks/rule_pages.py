"""The page of a rule: its own words, its numbers, and what was measured of them."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from poise.doctor import Rule

if TYPE_CHECKING:
    from benchmarks.thresholds import Count, Number

SCRIPT = "python -m benchmarks.thresholds"
READING = (
    "Each cell: the value, the faulty trainings it names with it, the healthy ones it accuses. The "
    "healthy ones along a row are the distribution of the rule's statistic where nothing is wrong, "
    "in units of the number: how far it may be moved before it accuses somebody."
)


def docstring(rule: Rule) -> tuple[str, str]:
    """Symptom and rest of what `poise explain` prints."""
    head, _, rest = inspect.cleandoc(type(rule).__doc__ or "").partition("\n\n")
    return head, rest


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}" + (f" (+{pair[1]})" if pair[1] else "")


def _value(value: float) -> str:
    return f"{value:.4g}"


def _table(sweeps: "Mapping[Number, Sequence[Count]]", asis: "Count") -> list[str]:
    """One row a number: what is named, and whom it accuses, at each of its values."""
    rows = ["| number | /4 | /2 | as it is | x2 | x4 |", "|---|---|---|---|---|---|"]
    for number, counts in sweeps.items():
        smaller, larger = counts[: len(counts) // 2], counts[len(counts) // 2 :]
        cells = [_cell(one, one.value) for one in smaller]
        cells.append(_cell(asis, number.value))
        cells += [_cell(one, one.value) for one in larger]
        rows.append(f"| `{number.name}` | {' | '.join(cells)} |")
    return rows


def _cell(one: "Count", value: float) -> str:
    return f"{_value(value)}: {_pair(one.named)}, {_pair(one.accused)}"


def _reasons(sweeps: "Mapping[Number, Sequence[Count]]") -> list[str]:
    return [
        f"- `{one.name}` = {_value(one.value)}: {one.meaning or 'see the text above.'}"
        for one in sweeps
    ]


def page(
    rule: Rule,
    sweeps: "Mapping[Number, Sequence[Count]]",
    asis: "Count",
    faults: Sequence[tuple[str, ...]],
) -> str:
    """The whole page of a rule, in Markdown.

    Args:
        rule: The rule.
        sweeps: By number of the rule and its helpers, what it finds at a quarter, half, twice and
            four times its value.
        asis: What it finds as it is.
        faults: Declared faults of every record that it could be run on.
    """
    head, rest = docstring(rule)
    healthy = sum(not one for one in faults)
    faulty = sum(rule.fault.value in one for one in faults)
    needs = "; ".join(sorted(one.value for one in rule.needs))
    lines = [f"# {rule.name}", "", f"Fault class: {rule.fault.value}. It needs {needs}.", ""]
    lines += [f"**{head}**", "", _markdown(rest), "", "## Where its numbers stand", ""]
    if sweeps:
        lines += _reasons(sweeps)
    else:
        lines.append(
            "No number of it was scaled: what it looks for is exact, or stands in the text above."
        )
    lines += [
        "",
        f"Measured by `{SCRIPT}` on the records that have what the rule needs: {faulty} of "
        f"faulty trainings that may be called {rule.fault.value}, and {healthy} of healthy ones. "
        f"As it is, it names {_pair(asis.named)} and accuses {_pair(asis.accused)}; in brackets, "
        "those with a note only. A fault may be named by another rule of its class.",
    ]
    if sweeps:
        lines += ["", READING, "", *_table(sweeps, asis)]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"(?m)^ +", "", text)
