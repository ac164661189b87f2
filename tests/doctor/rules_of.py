"""Rules found by looking at the modules, so that none escapes the tests by not being listed."""

import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import poise.doctor.rules as package
from poise.doctor.case import Case
from poise.doctor.finding import Finding
from poise.doctor.needs import missing
from poise.doctor.rule import Rule
from poise.run import Run


def _classes() -> Iterator[type]:
    for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = import_module(one.name)
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == one.name and hasattr(found, "check"):
                yield found


@cache
def all_rules() -> tuple[Rule, ...]:
    """One instance of every rule class."""
    return tuple(one() for one in _classes())


def found_by(rule: Rule, run: Run) -> list[Finding]:
    """What a rule finds in a run that must have all that the rule needs."""
    case = Case(run)
    lacking = missing(case, rule.needs)
    assert not lacking, f"{rule.name} cannot run: needs {lacking}"
    return list(rule.check(case))
