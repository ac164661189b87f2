"""What is expected of a run, and the values that it is held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import cast

import numpy as np
from numpy.typing import NDArray

from poise.errors import ExpectationError
from poise.record import Expect
from poise.record.expect import TRAIN
from poise.run import Floats, Ints, Run, Table


@dataclass(frozen=True, kw_only=True)
class Held:
    """One expectation and the values that it speaks of.

    Attributes:
        expect: The expectation.
        steps: Step of every value of the series that is not NaN, shape (n,).
        values: These values, shape (n,).
        inside: Which of them lie where the expectation begins to hold and before it ends, (n,).
        planned: True if shares were taken of the declared steps, False if of the recorded ones.
    """

    expect: Expect
    steps: Ints
    values: Floats
    inside: NDArray[np.bool_]
    planned: bool


def with_expectations(run: Run, expected: Sequence[Expect | str]) -> Run:
    """The run as if it had declared these, too.

    Raises:
        ExpectationError: One is spelled wrongly, or names what the run does not have.

    Example:
        >>> run = Run(path="log", format="made", tables=())
        >>> with_expectations(run, ["kd<5"]).declared
        Traceback (most recent call last):
        ...
        poise.errors.ExpectationError: expectation 'kd<5': expected a series of 'train', got 'kd'; \
the run has no series at all there
    """
    found = [Expect.parse(one) if isinstance(one, str) else one for one in expected]
    for one in found:
        if _table(run, one) is None:
            raise ExpectationError(
                f"expectation '{one}': expected a series of '{one.split}', got '{one.name}'; "
                f"{_nearest(run, one)}"
            )
    told = [*_declared(run), *(one.as_record() for one in found)]
    return replace(run, declared={**run.declared, "expect": told}) if found else run


def held(run: Run) -> Iterator[Held]:
    """Every expectation of a run that there are values for."""
    return (one for one in _each(run) if isinstance(one, Held))


def unheld(run: Run) -> tuple[str, ...]:
    """What is lacking for the other expectations, in words."""
    return tuple(one for one in _each(run) if isinstance(one, str))


def _declared(run: Run) -> Sequence[object]:
    told = run.declared.get("expect")
    return cast(Sequence[object], told) if isinstance(told, (list, tuple)) else ()


def _each(run: Run) -> Iterator[Held | str]:
    for record in _declared(run):
        try:
            expect = Expect.of_record(record)
        except ExpectationError:
            yield f"an expectation that can be read in place of {record!r:.60}"
        else:
            yield _hold(run, expect)


def _hold(run: Run, expect: Expect) -> Held | str:
    table = _table(run, expect)
    if table is None:
        said = f"a series '{expect.name}' of '{expect.split}' ({_nearest(run, expect)})"
        return f"{said} for the expectation '{expect}'"
    series = table.series[expect.name]
    known = ~np.isnan(series.values)
    steps, values = table.steps_of(series)[known], series.values[known]
    begin, end, planned = _range(run, table)
    share = (steps - begin) / max(end - begin, 1)
    inside = share >= expect.after
    if expect.until < 1:
        inside &= share <= expect.until
    if not inside.any():
        return f"values of '{expect.name}' in the part that the expectation '{expect}' speaks of"
    return Held(expect=expect, steps=steps, values=values, inside=inside, planned=planned)


def _range(run: Run, table: Table) -> tuple[int, int, bool]:
    """First and last step that shares of the training are taken of, and whether it is declared.

    A table that counts in something else than the training table (epochs, rows) has its own range.
    """
    planned = run.declared.get("total_steps")
    same = table.step_name == run.train.step_name
    if same and isinstance(planned, int) and planned > 1:
        return 0, planned - 1, True
    steps = (run.train if same else table).steps
    return int(steps.min()), int(steps.max()), False


def _tables(run: Run, split: str) -> list[Table]:
    wanted = run.train.split if split == TRAIN and run.tables else split
    return [one for one in run.tables if one.split == wanted]


def _table(run: Run, expect: Expect) -> Table | None:
    tables = _tables(run, expect.split)
    return next((one for one in tables if expect.name in one.series), None)


def _nearest(run: Run, expect: Expect) -> str:
    """What may have been meant: the same name in another split, or the nearest of this one."""
    other = next((one.split for one in run.tables if expect.name in one.series), None)
    if other is not None:
        return f"there is '{expect.name}' in '{other}'"
    names = list(dict.fromkeys(name for one in _tables(run, expect.split) for name in one.series))
    if not names:
        splits = list(dict.fromkeys(one.split for one in run.tables))
        there = f"; its splits are {', '.join(map(repr, splits))}" if splits else ""
        return f"the run has no series at all there{there}"
    close = get_close_matches(expect.name, names, 1, 0.0)
    return f"the nearest is '{close[0]}'"
