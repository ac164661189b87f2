"""The distillation recipe: what was reported happens, and the cure cures it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import poise
from poise.errors import RecipeError
from poise.recipes import find, run
from poise.recipes.distill import training
from poise.report.ending import ending
from poise.report.order import grouped
from poise.run import Kind
from tests.recipes.golden import compare

Quick = Callable[[str], Path]
MAIN = ("reported", "note-fix", "cured")


@pytest.mark.parametrize("variant", MAIN)
def test_golden(quick: Quick, variant: str) -> None:
    """The final numbers of a quick run are those that were looked at."""
    compare("distill", variant, quick(variant))


@pytest.mark.parametrize("variant", ["reported", "note-fix"])
def test_no_step_and_the_same_evaluation_every_time(quick: Quick, variant: str) -> None:
    """Accumulation 8, counted twice: 160 micro-batches, no step, learning rate 0, equal evals."""
    found = poise.read_run(quick(variant))
    assert ending(found).steps == 0
    assert len(found.train) == 160
    assert not any(one.values.any() for one in found.train.of_kind(Kind.LEARNING_RATE))
    (evals,) = found.evals
    assert len(evals) == 4
    for name in ("total", "lm", "layerwise", "student_perplexity", "perplexity"):
        assert len(set(evals.series[name].values)) == 1
    assert evals.series["perplexity"].values[0] == pytest.approx(485165195.41)


def test_the_cure_steps_and_learns(quick: Quick) -> None:
    """20 steps, and a better student than both others, measured alike."""
    ends = {name: ending(poise.read_run(quick(name))) for name in MAIN}
    assert ends["cured"].steps == 20
    metric = find("distill").metric
    cured = ends["cured"].metrics[metric.name]
    for name in ("reported", "note-fix"):
        assert metric.better(cured, ends[name].metrics[metric.name])
        assert ends["cured"].metrics["retained_kl"] < ends[name].metrics["retained_kl"]


def test_the_first_finding_is_the_true_cause(quick: Quick) -> None:
    """Never steps; that explains the frozen evaluations; then the objective, then the cap."""
    diagnosis = poise.diagnose(quick("reported"))
    assert diagnosis.findings[0].rule == "optimizer-never-steps"
    groups = grouped(diagnosis.findings)
    assert groups[0].cause.rule == "optimizer-never-steps"
    explained = {one.rule for one in groups[0].symptoms}
    assert {"lr-zero", "eval-identical"} <= explained
    later = [one.cause.rule for one in groups[1:]]
    assert later.index("eval-objective") < later.index("exponential-at-cap")
    shares = [one for one in diagnosis.findings if "layerwise_top2_share" in one.terms]
    assert [one.rule for one in shares] == ["expectation-broken"]


def test_nothing_of_it_is_left_after_the_cure(quick: Quick) -> None:
    """No error, and none of the reported findings."""
    found = {one.rule for one in poise.diagnose(quick("cured")).findings}
    gone = {one.rule for one in poise.diagnose(quick("reported")).findings}
    gone -= {"plateau-while-others-move"}
    assert not found & gone
    assert not [one for one in poise.diagnose(quick("cured")).findings if one.severity == "error"]


def test_the_fix_of_the_notes_changes_no_number(quick: Quick) -> None:
    """An identity and skipped zeros: every evaluation is the same to the rounding of a sum."""
    first, second = (ending(poise.read_run(quick(name))) for name in ("reported", "note-fix"))
    assert second.metrics == pytest.approx(first.metrics, rel=1e-5)


@pytest.mark.parametrize(
    ("variant", "steps"),
    [
        ("no-curriculum", 0),
        ("accumulation-1", 16),
        ("counter", 2),
        ("truncation", 2),
        ("interpolation", 2),
    ],
)
def test_every_other_variant_runs(
    variant: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen micro-batches of each: as many steps as its counter lets through."""
    monkeypatch.setattr(training, "QUICK", training.Size(micros=16, taught=2, held_out=1))
    told: list[float] = []
    path = run(find("distill"), variant, tmp_path / variant, quick=True, progress=told.append)
    assert ending(poise.read_run(path)).steps == steps
    assert told[-1] == 1.0


def test_every_variant_has_its_plan() -> None:
    """What is listed can be trained."""
    assert [one.name for one in find("distill").variants][:3] == [*MAIN]
    assert {one.name for one in find("distill").variants} == set(training.PLANS)


def test_real_text_is_read_and_a_short_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of one's own is trained on; too little text is told."""
    monkeypatch.setattr(training, "QUICK", training.Size(micros=16, taught=2, held_out=1))
    path = tmp_path / "own.txt"
    path.write_text("too short " * 20)
    with pytest.raises(RecipeError, match="at least 40000 characters of text, got 200"):
        run(find("distill"), "cured", tmp_path / "a", quick=True, data=path)
    path.write_text("".join(f"{at} times {at} is {at * at}, as a square.\n" for at in range(1500)))
    out = run(find("distill"), "cured", tmp_path / "b", quick=True, data=path)
    assert ending(poise.read_run(out)).steps == 2
