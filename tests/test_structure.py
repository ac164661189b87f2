"""The shape of the tree: one concept a file, small files, a test file for each."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "poise").rglob("*.py"))
MODULES = [path for path in SOURCES if path.name != "__init__.py"]

LINES = 400
"""Longest file: what one reader can hold in mind."""

TESTED_ELSEWHERE = {
    "__main__.py": "tests/test_cli.py runs it",
    "errors.py": "every message is tested where it is raised",
    "run.py": "exercised by every reader and rule",
    "balance/rule.py": "tests/contracts/test_balancers.py and tests/balance/test_balancer.py",
    "balance/row.py": "data only; tests/contracts/test_balancers.py",
    "balance/scalarizer.py": "tests/balance/test_scalarizer_rule.py",
    "read/frame.py": "data only",
    "read/text/frames.py": "tests/read/text drives the reader as a whole, dialect by dialect",
    "read/text/plan.py": "as read/text/frames.py",
    "read/text/records.py": "as read/text/frames.py",
    "read/text/scan.py": "as read/text/frames.py",
    "read/text/tokens.py": "as read/text/frames.py",
    "recipes/distill/averaging.py": "tests/recipes/distill/test_terms.py",
    "recipes/distill/cured.py": "tests/recipes/distill/test_terms.py",
    "recipes/distill/measures.py": "tests/recipes/distill/test_terms.py",
    "record/columns.py": "tests/record/test_reader.py",
    "record/header.py": "tests/record/test_recorder.py",
    "record/lock.py": "tests/record/test_recorder.py: two writers",
    "report/heading.py": "tests/report/test_terminal.py",
    "report/page.py": "tests/report/test_terminal.py",
    "report/reading.py": "tests/report/test_terminal.py",
    "report/terminal_rules.py": "tests/report/test_terminal.py",
    "report/terminal_run.py": "tests/report/test_terminal.py",
    "objective/role.py": "data only",
    "objective/show.py": "tests/objective/test_breakdown.py",
    "probe/quiet.py": "tests/probe/test_fork.py",
    "probe/shared.py": "tests/probe/test_gradients.py",
    "probe/typed.py": "names for torch's untyped calls",
    "recipes/multitask/data.py": "tests/recipes/multitask/test_training.py",
    "recipes/multitask/model.py": "tests/recipes/multitask/test_training.py",
    "recipes/multitask/weighing.py": "tests/recipes/multitask/test_training.py",
    "schedule/form.py": "tests/contracts/test_schedules.py",
    "schedule/gentle.py": "tests/schedule/test_schedule.py",
    "schedule/ramps.py": "tests/schedule/test_schedule.py",
    "schedule/sample.py": "tests/schedule/test_schedule.py",
    "schedule/stages.py": "tests/schedule/test_schedule.py",
    "schedule/warmup.py": "tests/schedule/test_schedule.py",
    "watch/arguments.py": "tests/watch/test_watch.py",
    "watch/evaluation.py": "tests/watch/test_watch.py",
    "watch/facts.py": "tests/watch/test_watch.py",
    "watch/optimizer.py": "tests/watch/test_watch.py",
    "watch/probing.py": "tests/watch/test_watch.py",
    "watch/resume.py": "tests/watch/test_watch.py",
    "watch/writer.py": "tests/watch/test_watch.py",
    "doctor/case.py": "what rules derive is tested through the rules",
    "doctor/series.py": "as doctor/case.py",
    "doctor/finding.py": "data only; tests/contracts/test_rules.py",
    "doctor/diagnosis.py": "tests/doctor/test_diagnose.py",
    "doctor/rule.py": "tests/contracts/test_rules.py",
    "doctor/needs.py": "tests/contracts/test_rules.py",
}
"""Modules without a test file of their name, and why."""


def name_of(path: Path) -> str:
    """Path of a module inside the package."""
    return path.relative_to(ROOT / "src" / "poise").as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    """No file outgrows one screenful of thought."""
    assert len(path.read_text().splitlines()) <= LINES


def test_every_module_has_its_test_file() -> None:
    """`read/jsonl.py` is tested in `tests/read/test_jsonl.py`; exceptions are listed above."""
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    names = [name_of(path) for path in MODULES if f"test_{path.name}" not in tests]
    assert [name for name in names if name not in TESTED_ELSEWHERE] == []


def test_no_exception_is_stale() -> None:
    """A module that has its own test file by now is taken off the list of exceptions."""
    names = {name_of(path) for path in MODULES}
    assert set(TESTED_ELSEWHERE) <= names
