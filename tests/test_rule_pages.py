"""Every rule has its page in docs/rules, and the page speaks of that rule."""

from pathlib import Path

import pytest
from benchmarks.rule_pages import docstring

from poise.doctor import Rule
from poise.doctor.rules import RULES

PAGES = Path(__file__).parents[1] / "docs" / "rules"


def test_pages_and_rules_agree() -> None:
    """One page for every rule, and none for a rule that is gone."""
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == {one.name for one in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.name)
def test_a_page_speaks_of_its_rule(rule: Rule) -> None:
    """Name, class and symptom are those of the code: a page that lags behind is written anew."""
    text = (PAGES / f"{rule.name}.md").read_text()
    assert text.startswith(f"# {rule.name}\n")
    assert f"Fault class: {rule.fault.value}." in text
    head, rest = docstring(rule)
    assert head in text
    assert all(" ".join(line.split()) in text for line in rest.splitlines())
