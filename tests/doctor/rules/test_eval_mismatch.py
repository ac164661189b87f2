"""Evaluation totals that measure something else than the training total."""

from dataclasses import replace

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.eval_mismatch import EvalFactor, EvalObjective, train_at
from poise.run import Kind, Run, Series
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import HEALTHY, N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
K = 20


def parts(n: int) -> dict[str, np.ndarray]:
    """Two terms with n records."""
    return {"ce": decay(RNG, 7, 2, n=n), "kl": decay(RNG, 3, 1, n=n)}


def test_other_weights_in_evaluation() -> None:
    """Evaluation that adds the terms up plainly, where training weights one with 0.1."""
    evals = parts(K)
    evals["loss"] = evals["ce"] + evals["kl"]
    run = make_run(parts(N), weights={"kl": 0.1}, evals=evals)
    (one,) = found_by(EvalObjective(), run)
    assert one.severity is Severity.WARNING
    assert "1*ce + 1*kl" in one.summary
    assert "0.1*kl" in one.summary


def test_weights_that_change_in_both() -> None:
    """Evaluation follows the logged weights of training step by step."""
    ramp = np.linspace(0.1, 1, N)
    at = np.linspace(0, N - 1, K).astype(int)
    evals = parts(K)
    evals["loss"] = evals["ce"] + ramp[at] * evals["kl"]
    given = parts(N)
    run = make_run(given, weight_history={"kl": ramp}, evals=evals, eval_steps=at)
    assert not found_by(EvalObjective(), run)
    evals["loss"] = evals["ce"] + evals["kl"]
    (one,) = found_by(
        EvalObjective(),
        make_run(given, weight_history={"kl": ramp}, evals=evals, eval_steps=at),
    )
    assert one.steps == (0, at[-2])


def micro_run(weight: np.ndarray, own: np.ndarray | None) -> Run:
    """300 micro-batches without a step, evaluated five times; `own` is the evaluation's weight."""
    micro = np.arange(300)
    ends = np.arange(60, 301, 60)
    evals = {"ce": np.full(5, 2.0), "kl": np.full(5, 3.0)}
    evals["loss"] = 2.0 + 3.0 * (weight[ends - 1] if own is None else own)
    run = watched(
        parts(300),
        micro=micro,
        steps=0 * micro,
        weight_history={"kl": weight},
        evals=evals,
        eval_steps=0 * ends,
    )
    (table,) = run.evals
    rows = np.arange(5)
    micros = Series(name="micro", kind=Kind.POSITION, rows=rows, values=ends.astype(float))
    series = {**table.series, "micro": micros}
    if own is not None:
        series["weight/kl"] = Series(
            name="weight/kl", kind=Kind.WEIGHT, rows=rows, values=own, of="kl"
        )
    tables = [replace(one, series=series) if one is table else one for one in run.tables]
    return replace(run, tables=tuple(tables))


def test_weights_that_evaluation_records_itself() -> None:
    """Full weights in evaluation under a ramp in training: sure, although the total is constant."""
    (one,) = found_by(EvalObjective(), micro_run(np.linspace(0, 1, 300), np.ones(5)))
    assert one.severity is Severity.WARNING
    assert "1*ce + 1*kl" in one.summary
    assert "0.1973*kl" in one.summary


def test_weights_by_micro_batch_are_followed() -> None:
    """All micro-batches share step 0; evaluation with the weights of its moment is silent."""
    ramp = np.linspace(0, 1, 300)
    assert not found_by(EvalObjective(), micro_run(ramp, None))
    ends = np.arange(60, 301, 60)
    assert not found_by(EvalObjective(), micro_run(ramp, ramp[ends - 1]))


def test_a_run_without_steps_has_no_sums_over_steps() -> None:
    """All micro-batches belong to a step that is not over: nothing to add up, and no warning."""
    assert not found_by(EvalFactor(), micro_run(np.linspace(0, 1, 300), np.ones(5)))


def test_objective_that_changes_during_the_run() -> None:
    """Evaluation that drops a term from the twelfth time on is dated; two strays are nothing."""
    evals = parts(K)
    evals["loss"] = evals["ce"] + evals["kl"]
    evals["loss"][12:] -= evals["kl"][12:]
    (one,) = found_by(EvalObjective(), make_run(parts(N), evals=evals, eval_steps=np.arange(K)))
    assert one.severity is Severity.WARNING
    assert one.steps == (12, 19)
    evals["loss"] = evals["ce"] + evals["kl"]
    evals["loss"][[4, 9]] *= 2
    assert not found_by(EvalObjective(), make_run(parts(N), evals=evals))


def test_terms_that_evaluation_lacks_are_a_note() -> None:
    """Auxiliary terms often exist in training only."""
    (one,) = found_by(EvalObjective(), HEALTHY["unweighted_eval"](RNG))
    assert one.severity is Severity.NOTE
    assert "aux" in one.terms


def test_total_that_is_no_sum_is_a_note() -> None:
    """Without exact weights nothing is proved."""
    evals = parts(K)
    evals["loss"] = 2 * (evals["ce"] + evals["kl"]) * RNG.uniform(0.9, 1.1, K)
    (one,) = found_by(EvalObjective(), make_run(parts(N), evals=evals))
    assert one.severity is Severity.NOTE


def test_same_weights_are_silent() -> None:
    """The same weights on worse terms are generalisation, not another objective."""
    evals = {name: 3 * one for name, one in parts(K).items()}
    evals["loss"] = evals["ce"] + 0.1 * evals["kl"]
    assert not found_by(EvalObjective(), make_run(parts(N), weights={"kl": 0.1}, evals=evals))


def test_a_constant_factor_is_a_warning() -> None:
    """A sum in evaluation beside a mean in training."""
    ce = decay(RNG, 7, 2, noise=0.02)
    at = np.linspace(0, N - 1, 9)[1:].astype(int)
    (one,) = found_by(EvalFactor(), make_run({"ce": ce}, evals={"loss": 64 * ce[at]}))
    assert one.severity is Severity.WARNING
    assert 50 < one.evidence[0].value < 80


def test_drifting_or_small_factor_is_silent() -> None:
    """A gap that grows is generalisation; a factor of 1.5 is dropout."""
    ce = decay(RNG, 7, 2, noise=0.02)
    at = np.linspace(0, N - 1, 9)[1:].astype(int)
    grows = ce[at] * np.linspace(2, 9, 8)
    assert not found_by(EvalFactor(), make_run({"ce": ce}, evals={"loss": grows}))
    assert not found_by(EvalFactor(), make_run({"ce": ce}, evals={"loss": 1.5 * ce[at]}))


def test_training_beside_an_evaluation_before_the_first_record() -> None:
    """The first value stands in; steps that fold back are sorted."""
    steps = np.array([10, 20, 30, 20])
    assert train_at(steps, np.array([4.0, 3.0, 2.0, 1.0]), np.array([0, 100])).tolist() == [4, 2.5]


def test_parts_of_the_mean_of_a_step_are_no_factor() -> None:
    """Four micro-batches that record their quarter: the evaluation is the sum of four."""
    ce = decay(RNG, 7, 2, noise=0.02)
    at = np.linspace(0, N - 1, 9)[1:].astype(int)
    micro = np.arange(N)
    given = {"evals": {"loss": 4 * ce[at]}, "eval_steps": at // 4, "steps": micro // 4}
    assert not found_by(EvalFactor(), watched({"ce": ce}, micro=micro, **given))
    given["evals"] = {"loss": 64 * ce[at]}
    assert found_by(EvalFactor(), watched({"ce": ce}, micro=micro, **given))
