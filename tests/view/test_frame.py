"""The picture of a growing run."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from poise.record.schema import SCHEMA
from poise.view.frame import FINDINGS, Examined, frame
from poise.view.growing import Growing
from poise.view.terms import TERMS
from tests.report.builders import HOSTILE, finding, healthy, sick


def shown(
    run: Growing,
    *,
    recording: bool | None = True,
    examined: Examined | None = None,
    width: int = 100,
    encoding: str = "utf-8",
) -> str:
    """The picture as text."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, color_system=None)
    console.print(frame(run, "runs/jade", recording, examined or Examined(), console))
    file.flush()
    return raw.getvalue().decode(encoding)


def grown(names: tuple[str, ...] = ("a", "b"), **header: object) -> Growing:
    """Forty steps of falling terms, probed and evaluated."""
    run = Growing()
    weights = dict.fromkeys(names, 0.5)
    known = {"kind": "header", "schema": SCHEMA, "terms": list(names), "weights": weights}
    run.take([known | header])
    for at in range(40):
        terms = dict.fromkeys(names, 8.0 - at / 5)
        data = {"wall_s": at / 4, "total": 1.0, "terms": terms, "lr": [3e-4], "grad_norm": 2.0}
        run.take([{"kind": "step", "step": at, "micro": at} | data])
    norms = {name: index for index, name in enumerate(names)}
    run.take([{"kind": "probe", "step": 30, "where": "shared", "norms": norms}])
    run.take([{"kind": "eval", "split": "dev", "step": 39, "total": 1.25, "terms": {"a": 2.5}}])
    run.take([{"kind": "event", "step": 20, "name": "stage", "text": "unfrozen"}])
    return run


def test_everything_is_there() -> None:
    """Progress, pace, total, rates, terms with shares, evaluation, event."""
    text = shown(grown(total_steps=400))
    assert "runs/jade  40 training records, recording" in text
    assert "step 39 of 400  4 steps/s  90 s left" in text
    assert "learning rate 0.0003, 40 micro-batches" in text
    assert "gradient %: shared, step 30" in text
    (row,) = (line for line in text.splitlines() if line.startswith("b "))
    assert row.split()[:3] == ["b", "0.5", "2.1"]
    assert "█" in row
    assert row.split()[-2:] == ["50%", "100%"]
    assert "dev step 39: total 1.25, a 2.5" in text
    assert "event step 20: stage unfrozen" in text


def test_what_is_unknown_is_not_shown() -> None:
    """No bar without an end, no time left once closed, no gradient shares without a probe."""
    assert "left" not in shown(grown(total_steps=400), recording=False)
    assert ", closed" in shown(grown(), recording=False)
    assert " of " not in shown(grown()).split("\n")[1]
    empty = shown(Growing(), recording=None)
    assert "waiting for the record" in empty
    assert "gradient %" not in empty


def test_findings() -> None:
    """The worst come first, with rule and summary; further ones and accepted ones are counted."""
    found = sick()
    many = replace(found, findings=tuple(finding() for _ in range(FINDINGS + 2)))
    text = shown(grown(), examined=Examined(diagnosis=many, step=39))
    assert text.count("[term-jump]") == FINDINGS
    assert "and 2 more findings: poise diagnose" in text
    assert "found at step 39" in text
    text = shown(grown(), examined=Examined(diagnosis=healthy(), step=39, note="later"))
    assert "no fault found at step 39" in text
    assert "later" in text


def test_many_terms_are_counted() -> None:
    """A hundred terms fit a screen."""
    text = shown(grown(tuple(f"term{at}" for at in range(100))))
    assert f"and {100 - TERMS} more" in text
    assert len(text.splitlines()) < TERMS + 20


@pytest.mark.parametrize("width", [60, 80, 200])
def test_hostile_names(width: int) -> None:
    """No name is interpreted, and no line is wider than the terminal."""
    run = grown(HOSTILE)
    run.take([{"kind": "event", "name": one, "text": one} for one in HOSTILE])
    text = shown(run, width=width)
    assert "\x1b" not in text
    assert "[red]" in text
    assert max(map(len, text.splitlines())) <= width


def test_a_terminal_without_blocks() -> None:
    """Where the encoding has no block characters, plain ones are used."""
    text = shown(grown(), encoding="ascii")
    assert "@" in text


def test_lines_that_are_no_records_are_counted() -> None:
    """A damaged record must not look like one that has not begun."""
    raw = io.StringIO()
    console = Console(file=raw, width=80, color_system=None)
    console.print(frame(Growing(), "run", False, Examined(), console, skipped=2))
    assert "2 lines of it cannot be read" in raw.getvalue()
    assert "cannot be read" not in shown(grown())


@pytest.mark.parametrize(("micro", "words"), [(0, "1 micro-batch"), (1, "2 micro-batches")])
def test_micro_batches_are_counted(micro: int, words: str) -> None:
    """One of them is no plural."""
    run = Growing()
    run.take([{"kind": "step", "step": 0, "micro": micro, "terms": {"a": 1.0}}])
    assert words in shown(run).splitlines()


def test_the_bar_of_a_finished_training_is_full() -> None:
    """Steps count from 0: after step 39 of 40 nothing is left."""
    text = shown(grown(total_steps=40))
    assert "━" * 24 in text
    assert "left" not in text
    assert "━" * 24 not in shown(grown(total_steps=41))
