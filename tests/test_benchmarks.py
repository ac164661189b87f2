"""`python -m benchmarks`, its list, and where the numbers of the docs come from."""

import io
import re
import runpy
import sys
from pathlib import Path

import benchmarks.__main__ as entry
import benchmarks.corpus as corpus
import benchmarks.zoo_live_peers as zoo_live_peers
import pytest
from benchmarks.__main__ import BENCHMARKS, SKIPPED, Benchmark
from rich.console import Console

from poise.recipes import find

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for path in (ROOT / "benchmarks").glob("*.py")
    if path.name != "__main__.py" and 'if __name__ == "__main__"' in path.read_text()
)
BY_HAND = {"peers.py": "asks the checks of others about a run of yours; zoo_peers.py has the zoo"}
"""Scripts that no run of all benchmarks includes, and why."""

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMAND = re.compile(
    r"(?:python\s+-m\s+(?P<module>(?:benchmarks|tests)[\w.]*)"
    r"|python\s+(?P<script>(?:benchmarks|examples)/\w+\.py)"
    r"|make\s+(?P<target>bench|zoo|demo|test)\b"
    r"|poise\s+recipe\s+run\s+(?P<recipe>[a-z]+)"
    r"|poise\s+demo\b)"
)
"""What a page may name as the source of its numbers."""
MEASURED = re.compile(r"(?<![\w.`])-?\d+\.\d+(?![\w.]*`)|\d+ of \d+|\d+%")
NO_RESULTS = {
    ("docs/fork.md", "All names"): "arguments and their defaults",
    ("docs/watch.md", "What it can be told"): "arguments by example",
}
"""Sections whose tables hold numbers that nobody measured."""


def script_of(command: str) -> Path:
    """The file that a list of arguments of python runs."""
    first, *rest = command.split()
    path = ROOT / (rest[0].replace(".", "/") if first == "-m" else first)
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def names(text: str) -> set[Path]:
    """The files of all benchmarks, examples and tests that a text says to run."""
    found = set()
    for one in COMMAND.finditer(text):
        if one["module"]:
            found.add(script_of(f"-m {one['module'].rstrip('.')}"))
        elif one["script"]:
            found.add(script_of(one["script"]))
    return found


EXTRA = frozenset(("matplotlib", "sklearn", "tensorboard", "wandb"))
"""What only the extra `bench` brings."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_run_by_make_bench_or_make_zoo(path: Path) -> None:
    """A script whose numbers nobody renews would go stale, or break, unseen."""
    zoo = (ROOT / "Makefile").read_text().partition("\nzoo:")[2].partition("\n\n")[0]
    listed = {script_of(one.command) for one in BENCHMARKS}
    assert path in listed or f"benchmarks.{path.stem}" in zoo or path.name in BY_HAND


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_can_be_loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it imports exists: a script that is run once a month breaks without anybody's notice."""
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(sys, "argv", [str(path)])
    try:
        loaded = runpy.run_path(str(path), run_name="loaded")
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        pytest.skip(f"pip install -e '.[bench]': {error.name} is not installed")
    assert loaded["__name__"] == "loaded"


def test_make_bench_runs_the_list() -> None:
    """There is one list of benchmarks, and it is not in the Makefile."""
    bench = (ROOT / "Makefile").read_text().partition("\nbench:")[2].partition("\n\n")[0]
    assert re.search(r"python -m benchmarks$", bench, re.MULTILINE)
    assert "benchmarks/" not in bench.replace("python -m benchmarks", "")


@pytest.mark.parametrize("one", BENCHMARKS, ids=lambda one: one.name)
def test_a_benchmark_is_quoted_where_the_list_says(one: Benchmark) -> None:
    """Its script exists, in the short version too, and each of its pages names it."""
    assert script_of(one.command).exists()
    assert one.quick is None or script_of(one.quick) == script_of(one.command)
    assert one.pages
    for page in one.pages:
        assert script_of(one.command) in names((ROOT / page).read_text()), page


def test_names_are_told_apart() -> None:
    """Each has a file of its own for its output."""
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_commands_that_exist(page: Path) -> None:
    """Nobody is sent to a script, a target or a recipe that is gone."""
    text = page.read_text()
    assert all(path.exists() for path in names(text))
    makefile = (ROOT / "Makefile").read_text()
    for one in COMMAND.finditer(text):
        assert one["target"] is None or f"\n{one['target']}:" in makefile
        if one["recipe"]:
            assert find(one["recipe"]).name == one["recipe"]


def sections(text: str) -> list[str]:
    """The parts of a page between headings of the second level, code in python left out."""
    text = re.sub(r"```(?:python|bash|toml|json)\n.*?```", "", text, flags=re.DOTALL)
    return re.split(r"^## ", text, flags=re.MULTILINE)


def has_results(section: str) -> bool:
    """Does it have a table or a printed block with three or more measured numbers?"""
    tables = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    printed = re.findall(r"^```(?:text)?\n.*?^```", section, flags=re.DOTALL | re.MULTILINE)
    return any(len(MEASURED.findall(block)) >= 3 for block in tables + printed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_results_name_what_printed_them(page: Path) -> None:
    """A section with a table of results says which command printed it; an incident's page once."""
    name, text = page.relative_to(ROOT).as_posix(), page.read_text()
    if "incidents" in page.parts:
        assert ROOT / "benchmarks" / f"incident_{page.stem}.py" in names(text)
        return
    bare = [part for part in sections(text) if has_results(part) and not COMMAND.search(part)]
    heads = [part.partition("\n")[0] for part in bare]
    assert heads == [section for other, section in NO_RESULTS if other == name]


def test_the_search_for_results_finds_them() -> None:
    """A table of measurements is one, a table of names and a program are not."""
    assert has_results("x\n\n| a | 1.02 | 3.5 |\n| b | 1 of 5 | - |\n")
    assert has_results("```\n  plain 1.02 1.03 1.04\n```\n")
    assert not has_results("| a | b |\n|---|---|\n| 1.5 | `0.25` |\n")
    assert not any(has_results(one) for one in sections("```python\nx = [1.0, 2.0, 3.0]\n```\n"))


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tiny benchmarks in place of the long ones: one goes well, one fails, one cannot run."""
    bodies = {
        "good": "print('ratio 1.5')",
        "bad": "import sys; print('[red]half', flush=True); print('why', file=sys.stderr); exit(3)",
        "absent": "print('no logs here: give a folder'); exit(77)",
    }
    some = []
    for name, body in bodies.items():
        path = tmp_path / f"{name}.py"
        path.write_text(body)
        some.append(Benchmark(name, str(path), ("docs/benchmarks.md",)))
    monkeypatch.setattr(entry, "BENCHMARKS", tuple(some))
    return tmp_path


def test_a_failure_stops_nothing_and_is_the_exit_status(
    listed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All run, each output is kept and shown as it is, the table has every outcome."""
    monkeypatch.setenv("COLUMNS", "160")
    assert entry.main(["--out", str(listed / "kept")]) == 1
    shown = capsys.readouterr().out
    assert (listed / "kept" / "good.txt").read_text() == "ratio 1.5\n"
    assert (listed / "kept" / "bad.txt").read_text() == "[red]half\nwhy\n"
    assert "[red]half" in shown
    assert "3/3" in shown
    table = shown.partition("quoted in")[2]
    assert re.search(r"good .* done .* docs/benchmarks.md", table)
    assert re.search(r"bad .* failed, exit status 3 ", table)
    assert re.search(r"absent .* skipped: no logs here: give a folder ", table)


def test_what_is_skipped_is_no_failure(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the failing one the exit status is 0; quiet output goes into the files only."""
    assert entry.main(["--only", "good", "absent", "--quiet", "--out", str(listed / "kept")]) == 0
    assert "ratio 1.5" not in capsys.readouterr().out
    assert not (listed / "kept" / "bad.txt").exists()


def test_an_interrupt_is_a_failure_with_a_table(
    listed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done until then is told; what was not reached does not count as done."""
    ran = entry.run

    def interrupted(one: Benchmark, *given: object, **more: object) -> entry.Outcome:
        if one.name == "bad":
            raise KeyboardInterrupt
        return ran(one, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(entry, "run", interrupted)
    assert entry.main(["--quiet", "--out", str(listed / "kept")]) == 1
    shown = capsys.readouterr().out
    assert "interrupted in bad" in shown
    assert "done" in shown
    assert "absent" not in shown


def test_an_unknown_name_is_refused(listed: Path) -> None:
    """A misspelt name would otherwise run nothing and look like success."""
    with pytest.raises(SystemExit, match=r"expected a part of a name, got 'godo'; there are good"):
        entry.main(["--only", "godo", "--out", str(listed)])


def test_skipping_has_one_status() -> None:
    """Scripts that cannot run say so with the status that the entry shows as skipped."""
    assert corpus.SKIPPED == zoo_live_peers.SKIPPED == SKIPPED


def test_a_corpus_that_is_absent_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no logs gets a reason, not a failure."""
    monkeypatch.setattr(sys, "argv", ["corpus.py", str(tmp_path)])
    assert corpus.main() == SKIPPED
    assert "no logs under" in capsys.readouterr().out


def test_the_table_folds_long_cells() -> None:
    """Nothing is cut off on a narrow terminal."""
    one = entry.Outcome(Benchmark("name", "x.py", ("docs/a.md",)), 77, 0.0, ROOT, "reason " * 20)
    console = Console(width=60, file=io.StringIO())
    console.print(entry.table([one]))
    assert console.file.getvalue().count("reason") == 20
