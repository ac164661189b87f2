"""The terminal report reads well anywhere and interprets nothing."""

import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.doctor.case import Case
from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Evidence, Fault, Finding, Severity
from poise.doctor.rule import Need
from poise.report.terminal import render, render_explanation, render_rules, render_run
from poise.run import Composition, Event, Kind, Run, TermWeight
from tests.report.builders import HOSTILE, finding, healthy, hostile, sick, sick_run, table
from tests.report.golden import compare


def _plain(width: int, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    return Console(file=file, width=width, color_system=None, force_terminal=False), raw


def _shown(diagnosis: Diagnosis, width: int = 80) -> str:
    console, raw = _plain(width)
    render(diagnosis, console)
    return raw.getvalue().decode()


def _read(diagnosis: Diagnosis, width: int = 80) -> str:
    console, raw = _plain(width)
    render_run(diagnosis.run, console)
    return raw.getvalue().decode()


@pytest.mark.parametrize("width", [80, 100])
def test_golden_diagnosis(width: int) -> None:
    """A run with an error, a folded chain, a note, things passed and not checked."""
    compare(f"sick_{width}.txt", _shown(sick(), width))


def test_golden_healthy() -> None:
    """A healthy run gets a clear positive line."""
    compare("healthy_80.txt", _shown(healthy()))


@pytest.mark.parametrize("width", [80, 100])
def test_golden_reading(width: int) -> None:
    """What `poise read` prints."""
    compare(f"read_{width}.txt", _read(sick(), width))


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_lines_fit_and_end_clean(width: int) -> None:
    """No line of a diagnosis is wider than the terminal or ends in blanks."""
    for diagnosis in (sick(), hostile()):
        for line in _shown(diagnosis, width).split("\n"):
            assert cell_len(line) <= width
            assert line == line.rstrip()


def test_colour_changes_no_word() -> None:
    """With colour the same words come in the same places, so colour carries no meaning alone."""
    file = io.StringIO()
    render(sick(), Console(file=file, width=80, color_system="truecolor", force_terminal=True))
    assert "\x1b[" in file.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()) == _shown(sick())


def test_nothing_hostile_reaches_the_terminal() -> None:
    """No control, format or direction character from a log is printed raw."""
    for text in (_shown(hostile()), _read(hostile())):
        assert all(one.isprintable() for one in text.replace("\n", ""))
        assert "[red]markup[/red] :smile:" in text
    assert r"\x1b[31mred" in _shown(hostile())


def test_long_names_are_shortened_everywhere_but_in_commands() -> None:
    """A name of 300 characters takes one line; only `verify`, which is run, has it whole."""
    shown = _shown(hostile(), 100)
    long = HOSTILE[6]
    assert "long_long_long_long...ng_long_long_long_ is bad" in shown
    assert shown.replace("\n", "").replace(" ", "").count(long) == 1


def test_a_narrow_encoding_gets_escapes() -> None:
    """An ASCII pipe shows escapes instead of failing."""
    console, raw = _plain(80, encoding="ascii")
    render(hostile(), console)
    render_run(hostile().run, console)
    assert rb"emoji \U0001f600" in raw.getvalue()


def test_only_notes_is_still_healthy() -> None:
    """A run with nothing but a note says so first."""
    only = Diagnosis(
        run=sick_run(),
        findings=(finding(severity=Severity.NOTE),),
        not_checked=(),
        passed=("lr-zero",),
    )
    assert "healthy: nothing worse than 1 note" in _shown(only)


def test_nothing_checked_is_not_called_healthy() -> None:
    """A log on which no rule could run is not diagnosed."""
    none = Diagnosis(run=sick_run(), findings=(), not_checked=sick().not_checked, passed=())
    assert "healthy" not in _shown(none)
    assert "not diagnosed: no rule could run" in _shown(none)


def test_further_evidence_is_counted() -> None:
    """The fourth fact and on are counted, not printed."""
    facts = tuple(
        Evidence(text=f"fact {k}", series="loss", steps=(0, 1), value=1.0) for k in range(5)
    )
    many = Diagnosis(run=sick_run(), findings=(finding(evidence=facts),), not_checked=(), passed=())
    shown = _shown(many)
    assert "fact 2" in shown
    assert "fact 3" not in shown
    assert "and 2 more facts" in shown


def test_an_empty_run_is_rendered() -> None:
    """A run without any table or record prints, and does not fail."""
    run = hostile().run
    empty = type(run)(path=run.path, format="csv", tables=())
    nothing = Diagnosis(run=empty, findings=(), not_checked=(), passed=())
    assert "0 records" in _shown(nothing)
    assert "0 records" in _read(nothing)


def test_representations_fit_one_screen() -> None:
    """A run, its tables and a diagnosis name what they hold, and print no array."""
    one = sick()
    for what in (one, one.run, one.run.train, one.run.train.series["kinetic"], hostile()):
        assert len(repr(what).splitlines()) <= 24
        assert "array" not in repr(what)
    assert "error nonfinite (kinetic) [first-nonfinite]," in repr(one)
    assert repr(one.run).splitlines()[1] == (
        "  Table('train' by 'step', 600 records, step: 0 to 5490, 8 series),"
    )
    assert (
        repr(one.run.train.series["quality"])
        == "Series('quality', term, 600 values: 2.2 to 0.2168)"
    )
    many = Diagnosis(run=one.run, findings=one.findings * 9, not_checked=(), passed=())
    assert "and 25 more" in repr(many)
    empty = table({"a": (Kind.TERM, np.empty(0))})
    assert repr(empty) == "Table('train' by 'step', 0 records, step: none, 1 series)"
    assert repr(empty.series["a"]) == "Series('a', term, 0 values)"
    wide = Run(path=one.run.path, format="csv", tables=(empty,) * 14)
    assert "and 2 more," in repr(wide)


def test_a_column_is_no_term_and_prose_is_no_command() -> None:
    """A rate is called a column; a sentence under `verify` is wrapped as one."""
    frozen = finding(
        fault=Fault.FROZEN, terms=("lr",), verify="The rate must rise at the next step."
    )
    shown = _shown(Diagnosis(run=sick_run(), findings=(frozen,), not_checked=(), passed=()))
    assert "frozen (column lr), steps" in shown
    assert "  verify:   The rate must rise at the next step." in shown


def test_an_event_without_words_ends_with_its_step() -> None:
    """No colon leads nowhere."""
    run = sick_run()
    bare = Run(
        path=run.path,
        format="poise",
        tables=run.tables,
        events=(
            Event(name="restart", step=200, text=""),
            Event(name="stage", step=None, text=" "),
        ),
    )
    shown = _read(Diagnosis(run=bare, findings=(), not_checked=(), passed=()))
    assert "  - step 200\n" in shown
    assert "  - no text\n" in shown


class _Zero:
    """The rate is 0.

    Long lines of a paragraph
    are joined.

    - one
    - two
    """

    name = "lr-zero"
    fault = Fault.FROZEN
    needs = frozenset({Need.LEARNING_RATE, Need.HISTORY})

    def check(self, case: Case) -> tuple[Finding, ...]:
        """Finds nothing."""
        return ()


def test_rules_and_explanation() -> None:
    """The catalogue groups by fault; the explanation keeps paragraphs and lists."""
    console, raw = _plain(80)
    render_rules((_Zero(),), console)
    render_explanation(_Zero(), console)
    assert raw.getvalue().decode() == (
        "frozen\n  lr-zero: The rate is 0.\n"
        "      needs 20 or more training records, logged learning rates\n\n"
        "1 rule; poise explain RULE tells more.\n"
        "lr-zero, fault frozen\n\nThe rate is 0.\n\nLong lines of a paragraph are joined.\n\n"
        "- one\n- two\n\nneeds: 20 or more training records, logged learning rates\n"
    )


def test_a_total_that_is_not_explained() -> None:
    """A remainder, terms outside the total, many terms and unknown weights are all said."""
    names = [f"term_{k}" for k in range(14)]
    columns = {name: (Kind.TERM, np.full(3, np.nan)) for name in names}
    columns |= {name: (Kind.TERM, np.ones(3)) for name in names[:3]}
    composition = Composition(
        total="loss",
        terms=(
            TermWeight(name="term_0", weight=None, source="unknown"),
            TermWeight(name="term_1", weight=0.0, source="fitted"),
            *(TermWeight(name=one, weight=1.0, source="fitted") for one in names[2:]),
        ),
        residual=0.25,
        tolerance=1e-6,
        exact=False,
        remainder=0.5,
        records=3,
        why="Guessed.",
    )
    run = Run(
        path=sick_run().path,
        format="csv",
        tables=(table(columns), table({"lr": (Kind.LEARNING_RATE, np.ones(2))}, split="val")),
        compositions=(composition,),
        events=tuple(Event(name="overflow", step=None, text="skipped") for _ in range(5)),
    )
    shown = _read(Diagnosis(run=run, findings=(), not_checked=(), passed=()))
    for words in (
        "loss = ? term_0 + term_2",
        "+ 1 more",
        "Not in the total: term_1.",
        "not exact, for printing and",
        "unexplained 0.5",
        "and 2 more",
        "unknown weights count as 1",
        "NaN",
    ):
        assert words in shown
