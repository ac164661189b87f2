"""The recipe as a whole, on its quick training of sixty steps."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import poise
from poise.doctor.finding import Severity
from poise.recipes import find, run
from poise.recipes.plasticity.training import PRINTED_RATE, Trainer, rate_factor
from poise.recipes.plasticity.variants import SETUPS
from poise.report.ending import ending

pytest.importorskip("transformers")
RECIPE = find("plasticity")
GOLDEN = Path(__file__).parents[2] / "golden" / "recipes" / "plasticity.json"
STAGE_1, JUMP, STEPS = 10, 30, 60
"""Optimizer steps of a quick run: the end of stage 1, the beginning of stage 3, all."""
Runs = dict[str, poise.Run]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A quick run of every variant."""
    folder = tmp_path_factory.mktemp("plasticity")
    names = [one.name for one in RECIPE.variants]
    found = {name: run(RECIPE, name, folder / name, quick=True) for name in names}
    return {name: poise.read_run(path) for name, path in found.items()}


def motion(one: poise.Run, until: int) -> list[float]:
    """Motion of every module in the measured steps before `until`."""
    table = next(table for table in one.tables if table.grain == "probe")
    series = [x for x in table.series.values() if x.name.startswith("motion/")]
    assert series
    return [float(v) for x in series for v in x.values[table.steps_of(x) < until]]


def error(one: poise.Run) -> float:
    """The metric that decides."""
    return ending(one).metrics["relative_error"]


def test_the_last_evaluations_are_the_golden_ones(runs: Runs) -> None:
    """To 3%: what another processor's rounding makes of sixty steps.

    POISE_GOLDEN=write renews the file.
    """
    found: dict[str, dict[str, float]] = {}
    for name, one in runs.items():
        end = ending(one)
        terms = {key: term.evaluated for key, term in end.terms.items()}
        found[name] = {key: value for key, value in terms.items() if value is not None}
        found[name] |= {key: end.metrics[key] for key in ("relative_error", "logit_error")}
    if os.environ.get("POISE_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    expected = json.loads(GOLDEN.read_text())
    assert set(found) == set(expected)
    for name, numbers in expected.items():
        assert found[name] == pytest.approx(numbers, rel=0.03, abs=0.005), name


@pytest.mark.parametrize("name", ["reported", "note-fix"])
def test_in_stage_one_nothing_moves_while_another_rate_is_printed(runs: Runs, name: str) -> None:
    """Motion exactly 0 and a learning rate of exactly 0, printed as 1e-3; afterwards it moves."""
    train = runs[name].train
    assert not np.any(train.series["lr"].values[:STAGE_1])
    assert (train.series["printed_lr"].values[:STAGE_1] == PRINTED_RATE).all()
    early = motion(runs[name], STAGE_1)
    assert len(early) >= 2
    assert set(early) == {0.0}
    assert max(motion(runs[name], STEPS)) > 0
    metric = next(t for t in runs[name].tables if t.split == "eval").series["relative_error"]
    assert metric.values[0] == metric.values[1]


def test_without_the_late_scheduler_stage_one_moves(runs: Runs) -> None:
    """The near miss: the same training with the scheduler stepped at every update."""
    assert max(motion(runs["rate-fix"], STAGE_1)) > 0


def test_the_total_jumps_about_tenfold_at_the_stage_boundary(runs: Runs) -> None:
    """On one batch with the same parameters, by the weights alone; at half the batches."""
    train = runs["reported"].train
    names = ("direct", "attention", "fidelity", "regularisation")
    values = [train.series[name].values[JUMP] for name in names]
    before, after = (
        sum(
            train.series[f"weight/{name}"].values[at] * value
            for name, value in zip(names, values, strict=True)
        )
        for at in (JUMP - 1, JUMP)
    )
    assert after == pytest.approx(train.series["total"].values[JUMP], rel=1e-5)
    assert 8 < after / before < 16


def test_the_diagnosis_names_the_zero_rate_first_and_what_hides_it(runs: Runs) -> None:
    """Then the jump, then attention encoding in stage 1."""
    findings = poise.diagnose(runs["reported"]).findings
    rules = [one.rule for one in findings]
    assert (findings[0].rule, findings[0].terms) == ("lr-zero", ("lr",))
    assert "exactly 0" in findings[0].evidence[1].text
    assert "lr-not-as-logged" in rules
    assert rules.index("lr-zero") < rules.index("total-jump") < rules.index("gradient-dominance")
    owner = findings[rules.index("gradient-dominance")]
    assert owner.terms == ("attention",)
    assert owner.steps[1] <= STAGE_1


def test_the_cured_run_has_none_of_these_findings(runs: Runs) -> None:
    """Nothing worse than a note."""
    findings = poise.diagnose(runs["cured"]).findings
    assert not {one.rule for one in findings} & {"lr-zero", "lr-not-as-logged", "total-jump"}
    assert all(one.severity is Severity.NOTE for one in findings)


def test_the_cure_is_better_than_both(runs: Runs) -> None:
    """On held-out text, against the real forward pass, already after sixty steps."""
    assert error(runs["cured"]) < 0.95 * error(runs["reported"])
    assert error(runs["cured"]) < 0.95 * error(runs["note-fix"])


def test_the_gradient_factor_is_undone_by_clipping_and_adam() -> None:
    """x10, then clip 0.5, then AdamW: the same weights to rounding as without the factor."""
    ids = torch.randint(0, 256, (2, 8), generator=torch.Generator().manual_seed(1))
    ends: list[torch.Tensor] = []
    for scale in (1.0, 10.0):
        setup = SETUPS["attention-10-1"]
        trainer = Trainer(setup, 12, torch.Generator().manual_seed(0))
        for _ in range(6):
            out = trainer.outputs(ids)
            loss = scale * 100 * (out.modulated - out.target.mlp).square().mean()
            loss.backward()
            trainer.update()
        ends.append(trainer.model.modulation.to_b.weight.detach().clone())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-7)


def test_the_rate_rises_and_falls() -> None:
    """From exactly 0 to 1 and back to 0."""
    factors = [rate_factor(step, 60) for step in range(61)]
    assert (factors[0], max(factors), factors[-1]) == (0.0, 1.0, 0.0)
    assert factors[4:] == sorted(factors[4:], reverse=True)


def test_a_text_of_ones_own_trains_too(tmp_path: Path) -> None:
    """`--text` in place of the topics of pydoc."""
    path = tmp_path / "mine.txt"
    path.write_text("to be, or not to be, that is the question. " * 40)
    found = ending(poise.read_run(run(RECIPE, "cured", tmp_path / "run", quick=True, data=path)))
    assert found.steps == STEPS
    assert 0 < found.metrics["relative_error"] < 1
