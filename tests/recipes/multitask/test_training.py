"""The multi-task recipe: what its variants come to, and that they differ as they should."""

from pathlib import Path

import numpy as np
import pytest
import torch

import poise
from poise.recipes import Job, find, run
from poise.recipes.multitask import RECIPE
from poise.recipes.multitask.data import Windows, make_windows
from poise.recipes.multitask.training import HELD_OUT_SEED, WINDOWS, data_of
from poise.recipes.multitask.weighing import CURED, UPWEIGHTED, WEIGHINGS
from poise.recipes.running import LARGEST_SEED
from poise.report.ending import ending
from poise.report.measured import measured
from poise.run import Run
from tests.recipes.golden import compare
from tests.recipes.multitask.test_ohlc import table, write

VARIANTS = tuple(one.name for one in RECIPE.variants)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A quick run of every variant."""
    folder = tmp_path_factory.mktemp("multitask")
    return {name: run(RECIPE, name, folder / name, quick=True) for name in VARIANTS}


def weights(found: Run) -> np.ndarray:
    """Recorded weights, a row a step and a column a term."""
    names = [f"weight/{one}" for one in ("type", "ptr", "binary", "countdown")]
    return found.train.aligned(names)[1]


def test_declaration() -> None:
    """The first variant is the incident, and every one can be made."""
    assert find("multitask") is RECIPE
    assert VARIANTS[:3] == ("reported", "note-fix", "cured")
    assert tuple(WEIGHINGS) == VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden(runs: dict[str, Path], variant: str) -> None:
    """A quick run ends with the stored numbers."""
    compare("multitask", variant, runs[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_recorded(runs: dict[str, Path], variant: str) -> None:
    """Six evaluations with the metric and all terms, the last after the last step."""
    found = poise.read_run(runs[variant])
    (evals,) = (one for one in found.evals if one.split == "eval")
    assert evals.steps.tolist() == [5, 10, 15, 20, 25, 30]
    end = ending(found)
    assert end.metrics.keys() >= {RECIPE.metric.name, "span_f1", "pointer_error", "type_accuracy"}
    meant = CURED if variant == "cured" else WEIGHTS
    assert all(end.terms[name].evaluated is not None for name in meant)
    assert evals.series["total"].values[-1] == pytest.approx(
        sum(one * (end.terms[name].evaluated or 0.0) for name, one in meant.items()), rel=1e-5
    )


WEIGHTS = {"type": 0.10, "ptr": 0.70, "binary": 0.10, "countdown": 0.10}
OUTPUTS = np.array([3.0, 2.0, 105.0, 105.0])


def test_the_normaliser_is_the_reported_one(runs: dict[str, Path]) -> None:
    """Weight times the running mean is 10/70/10/10: plain for five steps, then 0.95 exponential."""
    found = poise.read_run(runs["reported"])
    _, terms = found.train.aligned(list(WEIGHTS))
    means = np.cumsum(terms[:5], axis=0) / np.arange(1, 6)[:, None]
    for row in terms[5:]:
        means = np.vstack([means, 0.95 * means[-1] + 0.05 * row])
    meant = np.array(list(WEIGHTS.values()))
    assert weights(found) * means == pytest.approx(np.tile(meant, (30, 1)), rel=1e-6)


@pytest.mark.parametrize(("variant", "power"), [("note-fix", 0.5), ("divide-sqrt", -0.5)])
def test_fixes_of_the_note_go_opposite_ways(
    runs: dict[str, Path], variant: str, power: float
) -> None:
    """The first step, from the same weights, data and dropout, differs by sqrt(outputs) alone."""
    reported, fixed = (weights(poise.read_run(runs[one]))[0] for one in ("reported", variant))
    assert fixed / reported == pytest.approx(OUTPUTS**power, rel=1e-6)


def test_loss_batchnorm_is_no_op_but_drops_the_normaliser(runs: dict[str, Path]) -> None:
    """It divides numbers by sqrt(1): what is left are the plain weights."""
    found = weights(poise.read_run(runs["loss-batchnorm"]))
    assert found == pytest.approx(np.tile(list(WEIGHTS.values()), (len(found), 1)))


def test_only_the_unit_and_the_weights_differ(runs: dict[str, Path]) -> None:
    """The first batch costs the same in class, pointers and span, whatever the variant."""
    first = {name: poise.read_run(runs[name]).train.series for name in VARIANTS}
    for term in ("type", "ptr"):
        assert len({float(f"{first[name][term].values[0]:.5g}") for name in VARIANTS}) <= 2
    same = ("reported", "note-fix", "divide-sqrt", "loss-batchnorm", "raw-sum", "uncertainty")
    assert len({first[name]["countdown"].values[0] for name in same}) == 1
    assert first["cured"]["countdown"].values[0] != first["reported"]["countdown"].values[0]


def test_sigmas_ride_at_the_speed_of_adam(runs: dict[str, Path]) -> None:
    """Each has moved by 30 learning rates: it tells the step count, not the data."""
    series = poise.read_run(runs["uncertainty"]).train.series
    for term, start, sign in (("ptr", -0.30, -1), ("countdown", 0.0, 1)):
        moved = np.log(series[f"sigma_{term}"].values[-1]) - start
        assert sign * moved == pytest.approx(0.030, rel=0.1)


def test_shares_are_honoured(runs: dict[str, Path]) -> None:
    """At the LSTM's output every term has the share of the gradient that was declared."""
    for variant, share in (("shares", 0.1), ("shares-equal", 0.25), ("unit-shares", 0.7)):
        found = measured(poise.read_run(runs[variant]))
        assert found is not None
        (fork,) = (one for one in found.places if "fork" in one.words)
        assert fork.gradient["countdown"].median == pytest.approx(share, abs=0.05)


def test_rare_spans_are_predicted_only_where_they_are_weighted_up(runs: dict[str, Path]) -> None:
    """F1 is 0 in every other variant so early: 7% of the bars are positive."""
    scores = {name: ending(poise.read_run(one)).metrics["span_f1"] for name, one in runs.items()}
    assert scores.pop("cured") > 0.1
    assert set(scores.values()) == {0.0}


def test_the_upweighted_span_is_another_term(runs: dict[str, Path]) -> None:
    """Compared by the metric and not by the loss, which is another objective."""
    found = poise.compare(runs["reported"], runs["cured"])
    assert (found.only_before, found.only_after) == (("binary",), (UPWEIGHTED,))
    assert "span_f1" in {one.name for one in found.changes}


def test_the_cure_is_its_parts(runs: dict[str, Path]) -> None:
    """With `unit-output` it shares the head and the weights, and the first batch but the spans."""
    cured, part = (poise.read_run(runs[one]).train.series for one in ("cured", "unit-output"))
    assert cured["countdown"].values[0] == part["countdown"].values[0]
    assert cured[UPWEIGHTED].values[0] > 1.2 * part["binary"].values[0]
    assert set(cured[f"weight/{UPWEIGHTED}"].values) == set(part["weight/binary"].values) == {0.1}


def test_the_cause_is_named_first(runs: dict[str, Path]) -> None:
    """Already after 30 updates, with the trunk and the cure; the cured run has no such finding."""
    first = poise.diagnose(runs["reported"]).findings[0]
    assert (first.rule, first.terms) == ("normaliser-starves-gradient", ("countdown",))
    assert "'lstm'" in first.summary
    cured = poise.diagnose(runs["cured"]).findings
    assert not [one for one in cured if one.severity is not poise.Severity.NOTE]


def test_real_bars(tmp_path: Path) -> None:
    """A file of bars trains and is measured on its own held-out windows."""
    path = run(RECIPE, "cured", tmp_path / "run", quick=True, data=write(tmp_path, table()))
    end = ending(poise.read_run(path))
    assert end.steps == 30
    assert 0.0 < end.metrics["countdown_error"] < 20.0


def drawn(seed: int) -> tuple[Windows, Windows]:
    """The windows of a seed: to train on, and held out."""
    job = Job(
        variant="cured", out=Path(), seed=seed, quick=True, data=None, progress=lambda _: None
    )
    return data_of(job)


@pytest.mark.parametrize("seed", [0, HELD_OUT_SEED - 1, HELD_OUT_SEED, LARGEST_SEED])
def test_no_seed_trains_on_the_held_out_windows(seed: int) -> None:
    """Not even the one that these are drawn by; the next seed has another stream as well."""
    data, held_out = drawn(seed)
    assert not torch.equal(data.inputs[:1], held_out.inputs[:1])
    first = {round(float(one.sum()), 3) for one in data.inputs}
    assert not first & {round(float(one.sum()), 3) for one in held_out.inputs}
    if seed < LARGEST_SEED:
        assert not torch.equal(data.inputs, drawn(seed + 1)[0].inputs)


def test_the_documented_seeds_draw_what_they_drew() -> None:
    """Seeds 0 to 9, of every number in docs/, are those of the generator."""
    for seed in (0, 9):
        assert torch.equal(drawn(seed)[0].inputs, make_windows(WINDOWS, seed).inputs)


def test_a_seed_is_all_that_varies(tmp_path: Path, runs: dict[str, Path]) -> None:
    """The same one gives the same numbers, bit for bit; another one gives others."""
    again = ending(poise.read_run(run(RECIPE, "cured", tmp_path / "a", quick=True)))
    other = ending(poise.read_run(run(RECIPE, "cured", tmp_path / "b", quick=True, seed=1)))
    known = ending(poise.read_run(runs["cured"]))
    assert again.metrics == known.metrics
    assert other.metrics != known.metrics
