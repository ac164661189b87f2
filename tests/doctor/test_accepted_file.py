"""Acknowledgements in a file: readable, sorted, safe for any name, refused when damaged."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.doctor.accepted_file import beside, load, of_project, store
from poise.doctor.acknowledgement import Acknowledgement
from poise.doctor.finding import Severity
from poise.errors import AcceptError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOAT = st.floats(allow_nan=False)


def acknowledged(rule: str = "value-dominance", **other: object) -> Acknowledgement:
    """One acknowledgement."""
    known = {"terms": ("a",), "why": "planned", "series": "a", "value": 0.9, "threshold": 0.8}
    return Acknowledgement(
        rule=rule,
        severity=Severity.WARNING,
        when=date(2026, 11, 29),
        **(known | other),  # type: ignore[arg-type]
    )


def test_what_a_file_looks_like(tmp_path: Path) -> None:
    """The whole file is fixed: one table an acknowledgement, sorted, one key a line."""
    path = tmp_path / "accepted.toml"
    store(path, [acknowledged("plateau", series="", value=None, threshold=None)])
    store(path, [acknowledged("gradient-conflict", why='so "be" it', terms=("a", "b/ü 🎉"))])
    assert path.read_text(encoding="utf-8").split("\n\n", 1)[1] == (
        '[[accepted]]\nrule = "gradient-conflict"\nterms = ["a", "b/ü 🎉"]\n'
        'severity = "warning"\nwhy = "so \\"be\\" it"\nwhen = 2026-11-29\n'
        'series = "a"\nvalue = 0.9\nthreshold = 0.8\n\n'
        '[[accepted]]\nrule = "plateau"\nterms = ["a"]\nseverity = "warning"\n'
        'why = "planned"\nwhen = 2026-11-29\n'
    )
    assert os.listdir(tmp_path) == ["accepted.toml"]


@settings(deadline=None)
@given(terms=st.lists(TEXT, max_size=3), why=TEXT, series=TEXT, value=FLOAT, threshold=FLOAT)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    terms: list[str],
    why: str,
    series: str,
    value: float,
    threshold: float,
) -> None:
    """Any name, reason and number comes back as it was."""
    path = tmp_path_factory.mktemp("a") / "accepted.toml"
    one = acknowledged(
        terms=tuple(terms), why=why, series=series, value=value, threshold=threshold, file=path
    )
    store(path, [one])
    assert load([path]) == (one,)


def test_accepting_again_replaces(tmp_path: Path) -> None:
    """The same rule and terms stand once, with the later numbers; others stay."""
    path = tmp_path / "accepted.toml"
    store(path, [acknowledged(), acknowledged(terms=("b",))])
    store(path, [acknowledged(value=0.97)])
    assert [(one.terms, one.value) for one in load([path])] == [(("a",), 0.97), (("b",), 0.9)]


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a run directory, beside a log, and for a project in the nearest folder above."""
    assert beside(tmp_path) == tmp_path / "accepted.toml"
    assert beside(tmp_path / "run.jsonl") == tmp_path / "accepted.toml"
    assert beside(tmp_path / "log.csv") == tmp_path / "log.csv.accepted.toml"
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert of_project() == inner / "poise-accepted.toml"
    (tmp_path / "poise-accepted.toml").touch()
    assert of_project() == tmp_path / "poise-accepted.toml"
    (tmp_path / "a" / "poise-accepted.toml").touch()
    assert of_project() == tmp_path / "a" / "poise-accepted.toml"


def test_no_file_holds_nothing(tmp_path: Path) -> None:
    """An absent file and an empty one accept nothing."""
    (tmp_path / "empty").touch()
    assert load([tmp_path / "no", tmp_path / "empty"]) == ()


GOOD = 'rule = "r"\nterms = ["a"]\nseverity = "note"\nwhy = "w"\nwhen = 2026-11-29\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule = ", "expected readable TOML"),
        ("\xff", "expected readable TOML"),
        ("other = 1", r"nothing but \[\[accepted\]\] tables, got other"),
        ("accepted = 3", r"nothing but \[\[accepted\]\] tables"),
        ("accepted = [3]", "number 1: expected 'rule' to be a text, got None"),
        ("[[accepted]]\n" + GOOD.replace('"w"', "3"), "expected 'why' to be a text, got 3"),
        ("[[accepted]]\n" + GOOD.replace("2026-11-29", "2026-11-29T10:00:00"), "to be a day"),
        ('accepted = "x"', "got accepted = 'x'"),
        ("[[accepted]]\n" + GOOD.replace("2026-11-29", '"x"'), "expected 'when' to be a day"),
        ("[[accepted]]\n" + GOOD.replace("note", "bad"), "expected a severity .*got 'bad'"),
        ("[[accepted]]\n" + GOOD + "vaule = 3", "got 'vaule'; remove it"),
        ("[[accepted]]\n" + GOOD + "value = 3", "with the numbers 'value' and 'threshold'"),
        (
            "[[accepted]]\n" + GOOD + 'series = "a"\nvalue = true\nthreshold = 1',
            "with the numbers 'value' and 'threshold'",
        ),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """One line names the file, what was expected and what stands there; nothing is guessed."""
    path = tmp_path / "accepted.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(AcceptError, match=message) as caught:
        load([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be written is one line that says what to do."""
    with pytest.raises(AcceptError, match="expected a file that can be written, got No such file"):
        store(tmp_path / "no" / "accepted.toml", [acknowledged()])
