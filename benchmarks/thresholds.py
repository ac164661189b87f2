"""Where the thresholds of the rules stand between healthy trainings and faulty ones.

Every number of a rule, its own and those of the helpers that it calls, is divided and multiplied
by 2 and by 4, and the rule runs again over
healthy trainings (the tune half of the zoo, watched and as logs, and the made look-alikes of
`tests/doctor/made`) and over the faulty ones of the tune half of the zoo. How many healthy ones it
accuses at each factor is the distribution of its statistic in healthy trainings, in units of the
threshold. Held-out trainings are not looked at.

    python -m benchmarks.thresholds --records FOLDER [--write docs/rules] [--only RULE ...]

FOLDER is where `python -m benchmarks.zoo --keep FOLDER` left its records.
"""

import argparse
import ast
import inspect
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import numpy as np
from benchmarks.rule_pages import page
from rich.console import Console
from rich.progress import track
from tests.doctor.made.fields import FIELDS
from tests.doctor.made.log import Made, write
from tests.doctor.made.lookalikes import HEALTHY
from tests.doctor.made.noise import Maker
from zoo.observe import records

from poise.doctor import Rule, Severity
from poise.doctor.case import Case as Examined
from poise.doctor.needs import missing
from poise.doctor.rules import RULES
from poise.read import read_run
from poise.run import Run
from zoo import CASES

FACTORS = (0.25, 0.5, 2.0, 4.0)
WORDING = ("poise.doctor.series", "poise.doctor.proofs", "poise.doctor.measured")
"""Modules whose numbers only say how something is written."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a training whose verdict is known."""

    examined: Examined
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a rule compares with: its name, value, what is said of it, and who holds it."""

    name: str
    value: float
    meaning: str
    homes: tuple[ModuleType, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """At one factor: trainings with a warning or error, and with a note only."""

    value: float
    named: tuple[int, int]
    accused: tuple[int, int]


def population(folder: Path) -> list[Record]:
    """The tune half of the zoo, each training watched and as a log, and the made look-alikes."""
    found: list[Record] = []
    for case in track([one for one in CASES if one.tune], "reading the zoo"):
        run, log, _ = records(case, folder / case.name)
        found += [Record(Examined(read_run(path)), case.faults) for path in (run, log)]
    with tempfile.TemporaryDirectory() as name:
        for made in track([*HEALTHY.values(), *FIELDS.values()], "making look-alikes"):
            found.append(Record(Examined(_made(made, Path(name))), ()))
    return found


def _made(made: Made, folder: Path) -> Run:
    """One made-up healthy training, read back from its log."""
    maker = Maker(np.random.default_rng([*made.__name__.encode()]))
    columns = {"step": maker.at, **made(maker)}
    return read_run(write(columns, folder / f"{made.__name__}.csv", "{:.5g}"))


@cache
def _functions(module: ModuleType) -> dict[str, ast.AST]:
    tree = ast.parse(inspect.getsource(module))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {one.name: one for one in tree.body if isinstance(one, kinds)}


def _used(module: ModuleType, name: str) -> dict[str, set[ModuleType]]:
    """Names in capitals that a class uses, and the modules in which it does.

    Functions are followed, into other modules of the doctor as well; other rules are not.
    """
    todo, seen = [(module, name)], set[tuple[ModuleType, str]]()
    found: dict[str, set[ModuleType]] = {}
    while todo:
        home, one = todo.pop()
        if (home, one) in seen:
            continue
        seen.add((home, one))
        if one.isupper():
            found.setdefault(one, set()).add(home)
        body = _functions(home).get(one)
        if body is not None:
            todo += [(home, node.id) for node in ast.walk(body) if isinstance(node, ast.Name)]
        elif one in _imports(home):
            todo.append((import_module(_imports(home)[one]), one))
    return found


@cache
def _imports(module: ModuleType) -> dict[str, str]:
    """Modules of the doctor that helpers and numbers of another one come from, by name."""
    tree = ast.parse(inspect.getsource(module)).body
    found = [one for one in tree if isinstance(one, ast.ImportFrom) and one.module]
    return {
        alias.name: str(one.module)
        for one in found
        if str(one.module).startswith("poise.doctor") and one.module not in WORDING
        for alias in one.names
        if alias.name.islower() or alias.name.isupper()
    }


@cache
def _meanings(module: ModuleType) -> dict[str, str]:
    """What stands under each constant of a module."""
    told: dict[str, str] = {}
    for one, after in pairwise(ast.parse(inspect.getsource(module)).body):
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            text = ast.literal_eval(after.value) if _literal(after) else ""
            told[one.targets[0].id] = " ".join(str(text).split())
    return told


def _literal(node: ast.stmt) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _meaning(module: ModuleType, name: str) -> str:
    """The same, of a constant that may be imported from another module."""
    for one in ast.parse(inspect.getsource(module)).body:
        if isinstance(one, ast.ImportFrom) and name in {alias.name for alias in one.names}:
            return _meaning(import_module(one.module or ""), name)
    return _meanings(module).get(name, "")


def numbers(rule: Rule) -> list[Number]:
    """The numbers that a rule and its helpers use, by name."""
    module = inspect.getmodule(type(rule))
    assert module is not None  # it is a class of a file
    found: dict[tuple[str, float], set[ModuleType]] = {}
    for name, homes in _used(module, type(rule).__name__).items():
        for home in homes:
            value = vars(home).get(name)
            if type(value) in (int, float):
                found.setdefault((name, value), set()).add(home)
    return [
        Number(name, value, _meaning(min(homes, key=str), name), tuple(homes))
        for (name, value), homes in sorted(found.items(), key=lambda one: one[0])
    ]


def scaled(value: float, factor: float) -> float:
    """A number times a factor; a share above 0.5 keeps its distance to 1 instead, times it.

    Counts stay counts, at least 1.
    """
    if isinstance(value, int):
        return max(1, round(value * factor))
    return 1 - (1 - value) * factor if 0.5 < value < 1 else value * factor


def _verdicts(rule: Rule, population: Sequence[Record]) -> Iterator[tuple[Record, bool, bool]]:
    for one in population:
        findings = list(rule.check(one.examined))
        loud = any(found.severity is not Severity.NOTE for found in findings)
        yield one, loud, bool(findings) and not loud


def count(rule: Rule, population: Sequence[Record], value: float) -> Count:
    """How many faulty trainings of its fault a rule names, and how many healthy ones it accuses."""
    named, accused = [0, 0], [0, 0]
    for one, loud, note in _verdicts(rule, population):
        if not one.faults or rule.fault.value in one.faults:
            where = named if one.faults else accused
            where[0] += loud
            where[1] += note
    return Count(value, (named[0], named[1]), (accused[0], accused[1]))


def sweep(rule: Rule, number: Number, population: Sequence[Record]) -> list[Count]:
    """The counts of a rule with one of its numbers at each of the factors."""
    counts: list[Count] = []
    for factor in FACTORS:
        value = scaled(number.value, factor)
        try:
            for home in number.homes:
                setattr(home, number.name, value)
            counts.append(count(rule, population, value))
        finally:
            for home in number.homes:
                setattr(home, number.name, number.value)
    return counts


def main() -> None:
    """Measures and prints, or writes the pages of the rules."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=Path, required=True, help="records of the zoo")
    parser.add_argument("--write", type=Path, help="folder of the pages")
    parser.add_argument("--only", nargs="+", default=[], metavar="RULE")
    options = parser.parse_args()
    everything = population(options.records)
    rules = [one for one in RULES if not options.only or one.name in options.only]
    for rule in track(rules, "scaling thresholds"):
        fit = [one for one in everything if not missing(one.examined, rule.needs)]
        sweeps = {one: sweep(rule, one, fit) for one in numbers(rule)}
        text = page(rule, sweeps, count(rule, fit, 0.0), [one.faults for one in fit])
        if options.write is None:
            Console(width=110).print(text, markup=False, highlight=False)
        else:
            (options.write / f"{rule.name}.md").write_text(text)


if __name__ == "__main__":
    main()
