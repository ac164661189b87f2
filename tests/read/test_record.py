"""Run records as one more format that `read` understands."""

from pathlib import Path

import pytest

from poise.doctor.case import Case
from poise.doctor.hints import role_of
from poise.errors import ReadError
from poise.read import read_run, record
from poise.read.source import open_source
from poise.record import Recorder
from poise.run import Kind


def test_frames(tmp_path: Path) -> None:
    """The training and each evaluated split are a frame with all that the record declares."""
    with Recorder(tmp_path, terms=["ce", "total"], total_steps=5) as recorder:
        recorder.step(0, total=1.0, terms={"ce": 1.0, "total": 2.0}, weights={"ce": 0.5}, lr=0.1)
        recorder.event("stage", "two")
        recorder.step(1, total=1.0)
        recorder.eval(1, split="dev", terms={"ce": 3.0}, log={"acc": 0.5})
    source = open_source(tmp_path / "run.jsonl")
    assert record.matches(source)
    parsed = record.read(source)
    train, dev = parsed.frames
    assert parsed.format == "poise"
    assert parsed.declared == {
        "terms": ("ce", "term/total"),
        "total_steps": 5,
        "roles": {"ce": "task", "term/total": "task"},
    }
    assert (train.split, train.grain, train.size) == ("train", "step", 2)
    assert train.terms == {"ce", "term/total"}
    assert train.totals == {"total"}
    assert train.kinds["weight/ce"] == (Kind.WEIGHT, "ce")
    assert train.columns["weight/ce"].values.tolist() == [0.5, 0.5]
    assert [(one.name, one.step) for one in train.events] == [("stage", 1)]
    assert (dev.split, dev.size, dev.totals, dev.events) == ("dev", 1, frozenset(), ())
    assert dev.columns["acc"].values.tolist() == [0.5]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('{"kind":"header","schema":"poise.run/1"}', True),
        ('{"kind":"hea', True),
        ('\n{"kind":"step","step":1}', True),
        ('{"kind":"sample","step":1}', False),
        ('{"loss":1,"kind":"step"}', False),
    ],
)
def test_matches(tmp_path: Path, text: str, ours: bool) -> None:
    """A record is known by its first line, also by half of it."""
    (tmp_path / "log").write_text(text)
    assert record.matches(open_source(tmp_path / "log")) is ours


def test_nothing_recorded_yet(tmp_path: Path) -> None:
    """A run that has not taken a step says so."""
    Recorder(tmp_path).close()
    with pytest.raises(ReadError, match="come back when the training has taken a step"):
        record.read(open_source(tmp_path / "run.jsonl"))


def test_an_event_keeps_the_step_it_states(tmp_path: Path) -> None:
    """An event written at step 2, before step 4 is recorded, is shown at step 2."""
    with Recorder(tmp_path, terms=["a"]) as recorder:
        for step in (0, 1):
            recorder.step(step, total=1.0, terms={"a": 1.0})
        recorder.event("stage", "second stage", step=2)
        recorder.step(4, total=1.0, terms={"a": 1.0})
    assert [(one.name, one.step) for one in read_run(tmp_path).events] == [("stage", 2)]


def test_a_term_is_a_task_whatever_it_is_called(tmp_path: Path) -> None:
    """In our own record a name says nothing; in a foreign log of the same terms it is a hint."""
    terms = {"ce": 1.0, "aux": 0.5, "kl": 0.25, "gan": 2.0}
    with Recorder(tmp_path / "own", terms=["unused"], roles={"unused": "offset"}) as recorder:
        recorder.declare(facts={"roles": {"kl": "regulariser", "total": "constraint"}})
        for step in range(3):
            recorder.step(step, total=3.75 - step, terms={"unused": 1.0})
    with Recorder(tmp_path / "plain") as recorder:
        for step in range(3):
            recorder.step(step, total=3.75, terms=terms)
    rows = [",".join(("step", *terms)), *(f"{k},1.0,0.5,0.{k}5,2.0" for k in range(3))]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    declared = read_run(tmp_path / "own").declared
    assert declared["roles"] == {
        "unused": "offset",
        "kl": "regulariser",
        "term/total": "constraint",
    }
    plain, foreign = Case(read_run(tmp_path / "plain")), Case(read_run(tmp_path / "log.csv"))
    assert {role_of(plain, name) for name in terms} == {"task"}
    assert [role_of(foreign, name) for name in terms] == [
        "task",
        "regulariser",
        "regulariser",
        "adversary",
    ]


def test_what_becomes_known_later(tmp_path: Path) -> None:
    """Facts of the name of a declaration are that declaration, and go before an earlier one."""
    with Recorder(tmp_path, shares={"a": 0.5, "b": 0.5}, roles={"a": "adversary"}) as recorder:
        facts = {"shares": {"a": 0.1}, "roles": {"b": "offset"}, "total_steps": 7}
        recorder.declare(facts={**facts, "schedules": {"lr": [[0, 1.0]]}})
        recorder.step(0, terms={"a": 1.0, "b": 1.0})
    declared = read_run(tmp_path).declared
    assert declared["shares"] == {"a": 0.1, "b": 0.5}
    assert declared["roles"] == {"a": "adversary", "b": "offset"}
    assert declared["total_steps"] == 7
    assert declared["schedules"] == {"term/lr": [[0, 1.0]]}
