"""Runs one training of the zoo and tells what is found in it, and from which step on."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from poise.doctor import Diagnosis, Finding, Severity, diagnose
from zoo.case import Case
from zoo.desk import Desk

AFTER = (1, 3, 8, 20, 50, 120, 300)
"""Micro-batches after the onset at which the record is looked at, besides its end."""

SOUND = 30
"""Micro-batches before the onset from which on what was found there is judged."""

TOTALS = ("total", "loss")
"""Names of totals: each holds all terms, so a finding about it is about them."""

Mark = tuple[int, int]
"""Micro-batches done, and bytes of the record by then."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is found in one record of a training.

    Attributes:
        findings: Rule, fault, severity and terms of all findings in the whole record, worst first.
        named: The declared fault is named in it, on its term, as severely as declared.
        hinted: The same, at any severity.
        delay: Micro-batches from the onset to the first look at which it was named; None if it is
            not named. 0 if it was named before.
        early: Warnings and errors in the part before the onset, as in `findings`.
    """

    findings: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    named: bool
    hinted: bool
    delay: int | None
    early: tuple[tuple[str, str, str, tuple[str, ...]], ...]

    @property
    def alarms(self) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
        """Warnings and errors."""
        return tuple(one for one in self.findings if one[2] != "note")


def names(case: Case, finding: Finding, least: str | None = None) -> bool:
    """Is this finding the declared fault, on one of its terms, and severe enough?

    Args:
        case: The training.
        finding: What was found.
        least: The mildest severity that counts; that of the case if not given.
    """
    said = [part for term in finding.terms for part in (term, term.rpartition("/")[2])]
    about = not case.terms or not said or any(one in TOTALS for one in said)
    about |= any(own in one for own in case.terms for one in said)
    severe = finding.severity.rank <= Severity(least or case.least).rank
    return finding.fault.value in case.faults and about and severe


def _told(diagnosis: Diagnosis) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
    return tuple(
        (one.rule, one.fault.value, one.severity.value, one.terms) for one in diagnosis.findings
    )


def _marks(run: Path) -> list[Mark]:
    done, size, marks = 0, 0, []
    for line in run.read_bytes().splitlines(keepends=True):
        size += len(line)
        if json.loads(line).get("kind") == "step":
            done += 1
            marks.append((done, size))
    return marks


def _look(case: Case, record: Path, marks: Sequence[Mark], part: Callable[[int], Path]) -> Seen:
    whole = diagnose(record)
    named = any(names(case, one) for one in whole.findings)
    last = marks[-1][0]
    early: Sequence[tuple[str, str, str, tuple[str, ...]]] = ()
    if case.faults and case.onset >= SOUND:
        early = [one for one in _told(diagnose(part(case.onset))) if one[2] != "note"]
    delay = None
    if named and case.faults:
        cuts = [case.onset + after for after in AFTER if case.onset + after < last]
        looks = (at for at in cuts if any(names(case, one) for one in diagnose(part(at)).findings))
        delay = next(looks, last) - case.onset
    hinted = any(names(case, one, "note") for one in whole.findings)
    return Seen(_told(whole), named, hinted, delay, tuple(early))


def _cut(source: Path, marks: Sequence[Mark], to: Path) -> Callable[[int], Path]:
    text = source.read_bytes()

    def part(at: int) -> Path:
        size = max((end for done, end in marks if done <= at), default=marks[0][1])
        to.parent.mkdir(exist_ok=True)
        to.write_bytes(text[:size])
        return to

    return part


def train(case: Case, folder: Path, *, watched: bool = True, logged: bool = True) -> Desk:
    """Runs the program, seeded and on one thread; what it warns of is for its own user."""
    torch.set_num_threads(1)
    torch.manual_seed(case.seed)
    desk = Desk(folder, watched=watched, logged=logged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.train(desk)
    return desk


def records(case: Case, folder: Path) -> tuple[Path, Path, list[Mark]]:
    """The run directory, the log and the marks of its lines; trains only if they are not there."""
    kept = folder / "marks.json"
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)  # what a killed training left
        folder.mkdir(parents=True)
        desk = train(case, folder)
        assert desk.log is not None  # it was asked for
        told = {"log": desk.log.name, "marks": desk.marks}
        kept.write_text(json.dumps(told))
    told = json.loads(kept.read_text())
    return folder / "run", folder / told["log"], [(done, size) for done, size in told["marks"]]


def observe(case: Case, keep: Path | None = None) -> dict[str, Seen]:
    """What is found in the watched run and in the printed log of one training.

    The log is printed by the program whether it is watched or not, and tests hold that it is the
    same to the last byte.

    Args:
        case: The training.
        keep: Where its records are left, by name, and taken from if they are there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = (Path(name) if keep is None else keep) / case.name
        run, log, printed = records(case, folder)
        stepped = _marks(run / "run.jsonl")
        cut = _cut(run / "run.jsonl", stepped, Path(name) / "part" / "run.jsonl")
        to = Path(name) / "parts" / log.name
        return {
            "watched": _look(case, run, stepped, lambda at: cut(at).parent),
            "log": _look(case, log, printed, _cut(log, printed, to)),
        }
