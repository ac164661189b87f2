"""The zoo's own machinery, and that it holds what it promises; `make zoo` runs all of it."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from benchmarks import zoo as scores
from zoo.case import Case, faulty, healthy
from zoo.desk import Desk, Printer
from zoo.observe import Seen, names, observe, train

from poise.doctor import Evidence, Fault, Finding, Severity
from zoo import CASES, FIRST

NAMED = {one.name: one for one in CASES}
BLIND = {which: [one for one in CASES if one.blind == which] for which in (1, 2)}


def test_the_zoo_is_large_and_covers_every_fault() -> None:
    """At least 60 faulty and 30 healthy trainings, and two of each fault class."""
    count = Counter(one.fault for one in FIRST)
    assert count[None] >= 30
    assert sum(count.values()) - count[None] >= 60
    assert {fault.value for fault in Fault if count[fault.value] < 2} == set()


def test_every_training_is_declared() -> None:
    """Names are unique, faults are fault classes, and each says in words what it is."""
    assert len(NAMED) == len(CASES)
    known = {fault.value for fault in Fault}
    for one in CASES:
        assert {*one.faults} <= known, one.name
        assert one.story, one.name
        assert one.least in {"warning", "note"}, one.name


def test_the_split_is_fixed() -> None:
    """Half of the names may be tuned on, and always the same ones."""
    assert {name: NAMED[name].tune for name in (
        "annealing_ignored", "half_precision_temperature", "learns_by_heart",
        "distillation_asks_twice", "ctc_forgets_its_weight", "generator_and_critic",
    )} == {
        "annealing_ignored": True, "half_precision_temperature": True, "learns_by_heart": True,
        "distillation_asks_twice": False, "ctc_forgets_its_weight": False,
        "generator_and_critic": False,
    }  # fmt: skip
    assert 0.4 <= sum(one.tune for one in FIRST) / len(FIRST) <= 0.6


@pytest.mark.parametrize("which", [1, 2])
def test_each_blind_set_covers_every_fault_too(which: int) -> None:
    """At least one of each fault class, healthy ones beside them, and no story of another set."""
    blind = BLIND[which]
    count = Counter(one.fault for one in blind)
    assert {fault.value for fault in Fault if not count[fault.value]} == set()
    assert sum(count.values()) - count[None] >= 26
    assert count[None] >= 20
    assert {one.story for one in blind}.isdisjoint(o.story for o in CASES if o.blind != which)


@pytest.mark.parametrize(("which", "modules"), [(1, "ab"), (2, "cd")])
def test_nothing_is_tuned_on_a_blind_set(which: int, modules: str) -> None:
    """A training is blind by the module it is written in, and then it is of neither half."""
    blind = BLIND[which]
    assert [one.name for one in blind if one.tune] == []
    assert {one.train.__module__ for one in blind} == {
        f"zoo.{kind}.blind_{part}" for kind in ("faulty", "healthy") for part in modules
    }  # fmt: skip
    assert {scores.part(one) for one in blind} == {f"blind {which}"}


def test_the_first_set_has_two_halves() -> None:
    """What is not blind is tuned on or held out, and its modules are named for what they hold."""
    assert {scores.part(one) for one in FIRST} == {"tune", "held out"}
    assert [one.name for one in FIRST if "blind" in one.train.__module__] == []


def test_each_set_is_summed_without_the_others() -> None:
    """Each blind set has a row of its own, and changes no other."""
    seen = Seen(findings=(), named=True, hinted=True, delay=3, early=())
    missed = Seen(findings=(), named=False, hinted=False, delay=None, early=())
    shown = {one.name: {"watched": seen, "log": seen} for one in CASES}
    shown |= {one.name: {"watched": missed, "log": missed} for one in BLIND[2]}
    rows = scores.summary(CASES, shown).columns
    recall = dict(zip(rows[0].cells, rows[1].cells, strict=True))
    many = sum(bool(one.faults) for one in FIRST)
    assert recall["watched, all"] == recall["log, all"] == f"{many}/{many} 100%"
    many = sum(bool(one.faults) for one in BLIND[1])
    assert recall["watched, blind 1"] == recall["log, blind 1"] == f"{many}/{many} 100%"
    many = sum(bool(one.faults) for one in BLIND[2])
    assert recall["watched, blind 2"] == recall["log, blind 2"] == f"0/{many} 0%"
    lines = [*scores.listed(CASES, shown, "log")]
    assert len(lines) == many
    assert all(line.startswith("  miss (blind 2)  ") for line in lines)


def test_a_blind_training_does_what_it_says(tmp_path: Path) -> None:
    """The loss runs away from its onset on, and not before; nothing is diagnosed here."""
    case = NAMED["features_in_millimetres"]
    desk = train(case, tmp_path, watched=False)
    assert desk.log is not None
    found = [line.split("numbers=")[1] for line in desk.log.read_text().splitlines()]
    values = [float(part.partition(",")[0]) for part in found]
    assert max(values[20 : case.onset // 2]) < 1  # every other step is printed
    assert values[-1] > 1e9


def test_a_later_blind_training_does_what_it_says(tmp_path: Path) -> None:
    """Both losses are finite up to the empty text, and none is after it; nothing is diagnosed."""
    case = NAMED["row_of_padding_alone"]
    desk = train(case, tmp_path, watched=False)
    assert desk.log is not None
    rows = [line.split(",") for line in desk.log.read_text().splitlines()[1:]]
    lost = [(int(row[0]), "nan" in row[1:4]) for row in rows]
    assert {step for step, nan in lost if nan} == {step for step, _ in lost if step >= case.onset}


def finding(fault: Fault, severity: Severity, *terms: str) -> Finding:
    """A finding of which only these matter."""
    fact = Evidence(text="", series="", steps=(0, 1), value=1.0)
    return Finding(
        rule="x", fault=fault, severity=severity, terms=terms, steps=(0, 1), summary="",
        evidence=(fact,), cause="", action="", verify="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (finding(Fault.STUCK, Severity.WARNING, "ce"), True),
        (finding(Fault.STUCK, Severity.ERROR, "val/ce"), True),
        (finding(Fault.STUCK, Severity.ERROR), True),
        (finding(Fault.STUCK, Severity.NOTE, "ce"), False),
        (finding(Fault.STUCK, Severity.WARNING, "kd"), False),
        (finding(Fault.CONFLICT, Severity.WARNING, "ce"), False),
    ],
)
def test_what_counts_as_named(found: Finding, named: bool) -> None:
    """The declared fault, on one of its terms (or on none), at least as severe as declared."""
    case = faulty("stuck", terms=("ce",))(lambda _: None)
    assert names(case, found) is named


def test_a_note_counts_where_it_is_declared_enough() -> None:
    """A log that begins anew harms nothing, so a note is all that it deserves."""
    case = faulty("stuck", least="note")(lambda _: None)
    assert names(case, finding(Fault.STUCK, Severity.NOTE, "any"))


def half_precision() -> Case:
    """A short training of the zoo."""
    return NAMED["half_precision_temperature"]


def test_a_fault_is_observed_with_its_delay(tmp_path: Path) -> None:
    """It is named at the first look, and the records that are kept are used again."""
    seen = observe(half_precision(), tmp_path)["watched"]
    assert (seen.named, seen.delay) == (True, 1)
    log = tmp_path / half_precision().name / "log.csv"
    before = log.stat().st_mtime_ns
    assert observe(half_precision(), tmp_path)["watched"] == seen
    assert log.stat().st_mtime_ns == before


def test_a_training_is_watched_and_logged_the_same(tmp_path: Path) -> None:
    """The log of a watched training is that of an unwatched one, to the last byte."""
    texts = []
    for watched in (True, False):
        folder = tmp_path / str(watched)
        folder.mkdir()
        desk = train(half_precision(), folder, watched=watched)
        assert desk.run.exists() is watched
        assert desk.log is not None
        texts.append(desk.log.read_bytes())
    assert texts[0] == texts[1]
    assert desk.marks[-1][1] == len(texts[0])


@healthy
def late(desk: Desk) -> None:
    """Two parameters on their way to 0 and an evaluation, for the test below."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with desk.open(model, optimizer, style="text", each=2) as session:
        for _ in range(3):
            loss = model(torch.ones(4, 2)).square().mean()
            session.total({"ce": loss}, {"ce": 0.5}).backward()
            session.log(accuracy=0.25)
            session.prints(loss=7.0)
            optimizer.step()
            optimizer.zero_grad()
        with session.evaluation("dev"):
            session.total({"ce": torch.tensor(2.0)})
            session.total({"ce": torch.tensor(4.0)})


def test_the_log_is_what_a_person_would_print(tmp_path: Path) -> None:
    """Every other step, a total that the program prints itself, and means of the evaluation."""
    desk = train(late, tmp_path, watched=False)
    assert desk.log is not None
    first, third, dev = desk.log.read_text().splitlines()
    assert first.startswith("step 0 loss 7 ce ")
    assert first.endswith("lr 0.1 accuracy 0.25")
    assert third.startswith("step 2 ")
    assert dev == "step 2 dev_loss 3 dev_ce 3"


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("text", "step 3 loss 0.3333 ce 2"),
        ("pairs", "iter=3, loss=0.3333, ce=2"),
        ("bracket", "Epoch [1][4/200]\tloss: 0.3333, ce: 2"),
        ("csv", "step,loss,ce\n3,0.3333,2"),
        ("jsonl", '{"step": 3, "loss": 0.333333, "ce": 2.0}'),
    ],
)
def test_formats(tmp_path: Path, style: str, line: str) -> None:
    """Each format as it is printed elsewhere."""
    printer = Printer(tmp_path / "log", style, 4)
    printer.line(3, {"loss": 0.333333, "ce": 2.0}, 4)
    assert (tmp_path / "log").read_text() == line + "\n"
    assert printer.marks == [(4, len(line) + 1)]
