"""`poise recipe`: what is trained, printed and written."""

import json
from pathlib import Path

import pytest

from poise.recipes import NAMES, find
from tests.inside import Here


def test_the_list_has_every_recipe_and_variant(here: Here) -> None:
    """With the metric that decides; 80 columns."""
    done = here("recipe", "list")
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        recipe = find(name)
        assert f"{name}: {recipe.summary}"[:60] in done.stdout
        assert f"metric {recipe.metric.name}" in done.stdout
        assert all(f"  {one.name}:" in done.stdout for one in recipe.variants)
    assert max(map(len, done.stdout.split("\n"))) <= 80


def test_a_run_prints_its_end_and_its_diagnosis(here: Here, tmp_path: Path) -> None:
    """The table first, what is wrong after it, and a record that other commands read."""
    out, page = tmp_path / "new" / "a", tmp_path / "new" / "a" / "report.html"
    done = here("recipe", "run", "multitask", "--quick", "--out", out, "--html", page)
    assert done.returncode == 0, done.stderr
    assert page.stat().st_size > 50_000
    lines = done.stdout.splitlines()
    assert lines[0].startswith("multitask, reported: ")
    assert any("optimizer steps, " in one for one in lines[1:3])
    assert "countdown_error (decides): " in done.stdout
    assert done.stdout.index("motion: ") < done.stdout.index("poise, ")
    assert max(map(len, lines)) <= 80
    assert json.loads(here("diagnose", out, "--json").stdout)["run"]["format"] == "poise"


def test_two_variants_are_compared_and_a_page_is_written(here: Here, tmp_path: Path) -> None:
    """As one object, with the same keys for both; the page lies beside the record."""
    out = tmp_path / "a"
    words = ("--quick", "--compare", "cured", "--out", out, "--json")
    done = here("recipe", "run", "multitask", *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["recipe"]) == ("poise.recipe/1", "multitask")
    assert found["metric"]["name"] == "countdown_error"
    first, second = found["runs"]
    assert (first["variant"], second["variant"]) == ("reported", "cured")
    assert first.keys() == second.keys()
    assert found["metric"]["name"] in first["metrics"]
    assert f"report: {out / 'comparison.html'}" in done.stderr
    assert "poise comparison" in (out / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("multitusk",), "did you mean 'multitask'?"),
        (("multitask", "--variant", "curd"), "no variant 'curd'; expected one of reported"),
        (("multitask", "--compare", "curd"), "no variant 'curd'; expected one of reported"),
        (("multitask", "--compare", "reported"), "another variant to compare with, got 'reported'"),
        (("multitask", "--seed", "-1"), "whole number from 0 to 2147483647 as seed, got -1"),
        (("multitask", "--seed", "99999999999999999999"), "as seed, got 99999999999999999999"),
        (("multitask", "--html", "no/such/a.html"), "there is no folder no/such; make it or"),
        (("multitask", "--text", "a.txt"), "does not take --text; it takes --ohlc"),
        (("multitask", "--ohlc", "none.csv"), "expected a file for --ohlc, got none.csv"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    here: Here, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Said before anything is trained or written."""
    done = here("recipe", "run", *words, "--out", tmp_path / "a")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "a").exists()


def test_a_second_run_that_is_there_is_told_before_the_first_is_trained(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after minutes of training; `--out .` has a second directory beside it too."""
    out = tmp_path / "a"
    second = tmp_path / "a-against-cured" / "run.jsonl"
    second.parent.mkdir()
    second.touch()
    out.mkdir()
    words = ("recipe", "run", "multitask", "--quick", "--compare", "cured", "--out")
    monkeypatch.chdir(out)
    for where in (out, "."):
        done = here(*words, where)
        assert (done.returncode, done.stdout) == (2, "")
        assert "a-against-cured holds a run already" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(out.iterdir())


def test_options_are_frozen(here: Here) -> None:
    """The options change only on purpose: by editing this test."""
    text = here("recipe", "run", "--help").stdout
    options = {word for word in text.replace(",", " ").split() if word.startswith("--")}
    assert options == {
        "--variant", "--compare", "--quick", "--out", "--seed", "--mgf", "--text", "--ohlc",
        "--json", "--html", "--help",
    }  # fmt: skip
