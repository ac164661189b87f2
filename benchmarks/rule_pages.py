"""The page of a rule: its own words, its numbers, and what was measured of them."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from poise.doctor import Rule

if TYPE_CHECKING:
    from benchmarks.thresholds import Count, Number

SCRIPT = "python -m benchmarks.thresholds"


def docstring(rule: Rule) -> tuple[str, str]:
    """Symptom and rest of what `poise explain` prints."""
    head, _, rest = inspect.cleandoc(type(rule).__doc__ or "").partition("\n\n")
    return head, rest


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}" + (f" (+{pair[1]})" if pair[1] else "")


def _value(value: float) -> str:
    return f"{value:.4g}"


def _table(sweeps: "Mapping[Number, Sequence[Count]]", asis: "Count") -> list[str]:
    rows = ["| number | value | faulty: named | healthy: accused |", "|---|---|---|---|"]
    rows.append(f"| as it is | | {_pair(asis.named)} | {_pair(asis.accused)} |")
    for number, counts in sweeps.items():
        for factor, one in zip(("/2", "x2"), counts, strict=True):
            told = f"{_value(one.value)} | {_pair(one.named)} | {_pair(one.accused)} |"
            rows.append(f"| `{number.name}` {factor} | {told}")
    return rows


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
        sweeps: By number of the rule, what it finds with the number halved and doubled.
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
        lines += ["", *_table(sweeps, asis)]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"(?m)^ +", "", text)
