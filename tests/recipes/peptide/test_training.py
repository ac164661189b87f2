"""The recipe as a whole, on its quick training."""

import json
import os
from pathlib import Path

import pytest

import poise
from poise.recipes import find, run
from poise.recipes.peptide import training
from poise.recipes.peptide.curriculum import Curriculum
from poise.report.ending import Ending, ending
from poise.report.order import grouped
from tests.recipes.peptide.files import entry, write_mgf

RECIPE = find("peptide")
GOLDEN = Path(__file__).parents[2] / "golden" / "recipes" / "peptide.json"
SHOWN = ("reported", "note-fix", "cured", "clamp")
"""Variants that are trained here: each takes some seconds."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, poise.Run]:
    """One quick run of each."""
    folder = tmp_path_factory.mktemp("peptide")
    found = {name: run(RECIPE, name, folder / name, quick=True) for name in SHOWN}
    return {name: poise.read_run(path) for name, path in found.items()}


def final(one: poise.Run) -> dict[str, float]:
    """The numbers a run ends with."""
    found: Ending = ending(one)
    terms = {name: term.evaluated for name, term in found.terms.items()}
    return {**{k: v for k, v in terms.items() if v is not None}, **found.metrics}


def test_the_last_evaluation_is_the_golden_one(runs: dict[str, poise.Run]) -> None:
    """To 3%: what another processor's rounding makes of a hundred steps.

    POISE_GOLDEN=write renews the file.
    """
    found = {name: final(one) for name, one in runs.items()}
    if os.environ.get("POISE_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    expected = json.loads(GOLDEN.read_text())
    assert set(found) == set(expected)
    for name, numbers in expected.items():
        assert found[name] == pytest.approx(numbers, rel=0.03, abs=0.02), name


def test_variants_are_one_training_until_the_second_stage(runs: dict[str, poise.Run]) -> None:
    """The same cross-entropy to the last bit, and another one afterwards."""
    series = {name: one.train.series["ce"].values for name, one in runs.items()}
    for name in ("note-fix", "cured", "clamp"):
        assert (series[name][:60] == series["reported"][:60]).all()
        assert not (series[name][62:] == series["reported"][62:]).any()


def test_the_reported_total_jumps_where_the_term_starts(runs: dict[str, poise.Run]) -> None:
    """From below 3 to over 7 from one step to the next, cross-entropy as it was."""
    table = runs["reported"].train
    total, ce = table.series["total"].values, table.series["ce"].values
    assert total[55:60].max() < 3 < 7 < total[60:65].min()
    assert abs(ce[60] - ce[59]) < 0.3


@pytest.mark.parametrize(("name", "rule"), [("reported", "gradient-jump")])
def test_the_diagnosis_names_the_cause_first(
    runs: dict[str, poise.Run], name: str, rule: str
) -> None:
    """The start of the precursor term, by its gradient, which explains the growth."""
    diagnosis = poise.diagnose(runs[name])
    first = diagnosis.findings[0]
    assert (first.rule, first.terms, first.steps[0]) == (rule, ("precursor",), 60)
    assert first.evidence[0].value is not None
    assert first.evidence[0].value > 10
    assert grouped(diagnosis.findings)[0].cause is first


def test_the_cured_run_has_no_such_finding(runs: dict[str, poise.Run]) -> None:
    """The near miss: the same term, ramped, of bounded slope."""
    rules = {one.rule for one in poise.diagnose(runs["cured"]).findings}
    assert not rules & {"gradient-jump", "total-jump", "gradient-norm-growth"}


def test_the_clamp_has_value_and_no_gradient(runs: dict[str, poise.Run]) -> None:
    """Nine tenths of the value; exactly 0 at nearly all probes, huge where a mass is within it."""
    table = runs["clamp"].train
    weighted = 0.2 * table.series["precursor"].values[-20:]
    assert (weighted / table.series["total"].values[-20:]).mean() > 0.8
    probes = next(t for t in runs["clamp"].tables if "gradient_norm/precursor" in t.series)
    assert (probes.series["gradient_norm/precursor"].values == 0.0).mean() > 0.9


def test_a_file_of_spectra_trains_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole curriculum of weights on real data, which stay as they are."""
    monkeypatch.setattr(training, "QUICK", Curriculum(first=6, later=1))
    peptides = ["GAK", "GAVK", "PEPTIDEK", "AAGR", "LLSK", "TTVR", "GGWK", "SSNK", "DDQK", "EEFR"]
    path = write_mgf(tmp_path / "a.mgf", [entry(one) for one in peptides])
    out = run(RECIPE, "cured", tmp_path / "run", quick=True, data=path)
    found = ending(poise.read_run(out))
    assert found.steps == 15
    assert found.metrics[RECIPE.metric.name] > 0
