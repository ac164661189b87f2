"""Small trainings, faulty and healthy, of which it is known what is wrong: docs/zoo.md."""

import pkgutil
from importlib import import_module

import zoo.faulty
import zoo.healthy
from zoo.case import Case

CASES: tuple[Case, ...] = tuple(
    case
    for package in (zoo.faulty, zoo.healthy)
    for module in sorted(one.name for one in pkgutil.iter_modules(package.__path__))
    for case in vars(import_module(f"{package.__name__}.{module}")).values()
    if isinstance(case, Case)
)
"""Every training of the zoo, in the order in which they are written down."""

FIRST: tuple[Case, ...] = tuple(one for one in CASES if not one.blind)
"""The first set alone: what tools of others are measured on; the blind ones are for our rules."""
