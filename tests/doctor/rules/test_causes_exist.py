"""A finding may only name causes that exist."""

import re
from pathlib import Path

import poise.doctor.rules as package
from tests.doctor.rules_of import all_rules


def test_every_cause_is_the_name_of_a_rule() -> None:
    """A misspelt name would silently never be linked."""
    names = {one.name for one in all_rules()}
    source = "".join(one.read_text() for one in Path(package.__path__[0]).glob("*.py"))
    tuples = re.findall(r"caused_by=\(([^)]*)\)", source)
    causes = {name for one in tuples for name in re.findall(r'"([a-z-]+)"', one)}
    assert causes
    assert causes <= names
