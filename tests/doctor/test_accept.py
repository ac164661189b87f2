"""Accepting findings of a run, and what the next diagnosis makes of it."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

import poise
from poise.errors import AcceptError, RuleNameError
from poise.report.json import diagnosis_to_json

accept = importlib.import_module("poise.doctor.accept")
HEAD = "step,a_loss,b_loss,total\n"


def log(path: Path, bad: int = 2) -> Path:
    """A log whose term `a_loss` is NaN in its last records."""
    rows = [f"{step},{2.0 - step / 100},0.5,{2.5 - step / 100}\n" for step in range(60)]
    rows += [f"{60 + step},nan,0.5,nan\n" for step in range(bad)]
    path.write_text(HEAD + "".join(rows))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A faulty log in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return log(tmp_path / "log.csv")


def of_rule(diagnosis: poise.Diagnosis, rule: str = "nonfinite-term") -> list[poise.Finding]:
    """Findings of a rule that are not accepted."""
    return [one for one in diagnosis.findings if one.rule == rule]


def test_accepted_findings_are_set_apart(run: Path) -> None:
    """They are shown with their reason, count for nothing, and are neither lost nor passed."""
    before = poise.diagnose(run)
    (one,) = poise.accept(run, "nonfinite-term", why=" no labels\n yet ")
    assert (one.terms, one.why, one.value) == (("a_loss",), "no labels yet", 2.0)
    after = poise.diagnose(run)
    assert of_rule(after) == []
    assert [each.finding.rule for each in after.accepted] == ["nonfinite-term"]
    assert set(map(repr, after.found)) == set(map(repr, before.findings))
    assert "nonfinite-term" not in after.passed
    assert "why: no labels yet" in str(after)
    assert "accepted=1" in repr(after)


def test_it_comes_back_when_it_grows(run: Path) -> None:
    """Twice as many NaN are still covered; more are reported again, and say so first."""
    poise.accept(run, "nonfinite-term", why="no labels yet")
    log(run, bad=4)
    assert of_rule(poise.diagnose(run)) == []
    log(run, bad=5)
    (again,) = of_rule(poise.diagnose(run))
    assert again.evidence[0].text.endswith("grown since: a_loss: 5, accepted at 2, up to 4")
    poise.accept(run, "nonfinite-term", why="still none")
    assert of_rule(poise.diagnose(run)) == []


def test_of_the_project(run: Path, tmp_path: Path) -> None:
    """What is accepted for the project holds for its other runs too."""
    other = log(tmp_path / "other.csv")
    poise.accept(run, "nonfinite-term", why="never any labels", project=True)
    assert (tmp_path / "poise-accepted.toml").is_file()
    assert not list(tmp_path.glob("*.csv.accepted.toml"))
    assert of_rule(poise.diagnose(other)) == []


def test_given_acknowledgements_go_before_files(run: Path) -> None:
    """`accepted=` replaces the files; an empty one shows everything."""
    kept = poise.accept(run, "nonfinite-term", why="no labels yet")
    assert of_rule(poise.diagnose(run, accepted=()))
    (run.parent / "log.csv.accepted.toml").unlink()
    assert of_rule(poise.diagnose(run))
    assert not of_rule(poise.diagnose(run, accepted=kept))


def test_a_comparison_does_not_take_accepted_for_gone(run: Path, tmp_path: Path) -> None:
    """A finding that is accepted on one side is on both sides all the same."""
    other = log(tmp_path / "other.csv")
    poise.accept(other, "nonfinite-term", why="no labels yet")
    found = poise.compare(run, other)
    assert "nonfinite-term" not in {one.rule for one in found.findings_gone}
    assert "nonfinite-term" in {one.rule for one in found.findings_kept}


def test_json(run: Path) -> None:
    """The JSON has the finding with all its keys, and what was accepted of it."""
    poise.accept(run, "nonfinite-term", why="no labels yet")
    (one,) = diagnosis_to_json(poise.diagnose(run))["accepted"]  # type: ignore[misc]
    assert one["rule"] == "nonfinite-term"
    told = one["acknowledgement"]
    assert (told["why"], told["value"], told["limit"]) == ("no labels yet", 2.0, 4.0)
    assert told["file"].endswith("log.csv.accepted.toml")


def test_what_cannot_be_accepted(run: Path) -> None:
    """Each wrong call is one line that says what would be right; nothing is written."""
    with pytest.raises(RuleNameError, match="did you mean 'nonfinite-term'"):
        poise.accept(run, "nonfinite-terms", why="x")
    with pytest.raises(AcceptError, match="got the fault class 'nonfinite'; name one of its rules"):
        poise.accept(run, "nonfinite", why="x")
    with pytest.raises(
        AcceptError, match=r"got none in this run; rules that found something: .*non"
    ):
        poise.accept(run, "gradient-conflict", why="x")
    with pytest.raises(AcceptError, match="expected a reason, got an empty one"):
        poise.accept(run, "nonfinite-term", why=" \n")
    with pytest.raises(AcceptError, match=r"\('a_loss'\), got 'a_los'; did you mean 'a_loss'\?"):
        poise.accept(run, "nonfinite-term", why="x", terms=["a_los"])
    assert not list(run.parent.glob("*.toml"))


def test_one_term_of_several_findings(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`terms` chooses among the findings of a rule; two in separate findings cannot be one."""
    found = poise.diagnose(run)
    (one,) = of_rule(found)
    both = (one, replace(one, terms=("b_loss",)))
    monkeypatch.setattr(accept, "diagnose", lambda *_, **__: replace(found, findings=both))
    chosen = poise.accept(run, "nonfinite-term", why="x", terms=["b_loss"])
    assert [each.terms for each in chosen] == [("b_loss",)]
    with pytest.raises(AcceptError, match="in separate findings; accept each by itself"):
        poise.accept(run, "nonfinite-term", why="x", terms=["a_loss", "b_loss"])
    assert len(poise.accept(run, "nonfinite-term", why="x")) == 2
