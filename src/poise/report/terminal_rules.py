"""The catalogue of rules on a terminal: the answers of `poise rules` and `poise explain`."""

from collections.abc import Iterable
from inspect import cleandoc, getdoc
from itertools import groupby

from rich.console import Console

from poise.doctor.rule import Rule
from poise.report import plain
from poise.report.page import BOLD, DIM, Page


def render_rules(rules: Iterable[Rule], console: Console) -> None:
    """Prints every rule with its symptom and needs, grouped by fault class in the given order."""
    page = Page(console)
    faults = list(dict.fromkeys(one.fault for one in rules))
    ordered = sorted(rules, key=lambda one: faults.index(one.fault))
    for fault, members in groupby(ordered, lambda one: one.fault):
        page.line((fault.value, BOLD))
        for rule in members:
            page.line((rule.name, BOLD), f": {_symptom(rule)}", indent=2, hang=4)
            page.line((f"needs {_needs(rule)}", DIM), indent=6, hang=2)
    page.blank()
    page.line((f"{plain.count(len(ordered), 'rule')}; poise explain RULE tells more.", DIM))


def render_explanation(rule: Rule, console: Console) -> None:
    """Prints one rule: its docstring paragraph by paragraph, its fault class and its needs."""
    page = Page(console)
    page.line((rule.name, BOLD), f", fault {rule.fault.value}")
    for paragraph in cleandoc(getdoc(rule) or "").split("\n\n"):
        page.blank()
        lines = paragraph.split("\n")
        if any(line.startswith((" ", "-", "*", ">>>")) for line in lines):
            for line in lines:
                inner = len(line) - len(line.lstrip())
                page.line(line, hang=min(inner, 20) + 2)
        else:
            page.line(" ".join(lines))
    page.blank()
    page.line(("needs: ", BOLD), _needs(rule), hang=7)


def _symptom(rule: Rule) -> str:
    """First line of the docstring."""
    return (getdoc(rule) or "").split("\n", 1)[0]


def _needs(rule: Rule) -> str:
    return ", ".join(sorted(one.value for one in rule.needs)) or "nothing in particular"
