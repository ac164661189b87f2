"""Evaluations and losses that stand still, shares that never change."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.frozen import (
    EvalIdentical,
    LossIdentical,
    ShareConstant,
)
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_identical_evaluations() -> None:
    """The same number to the last digit, eight times, beside a moving training."""
    run = make_run({"a": decay(RNG, 7, 2)}, evals={"loss": np.full(8, 2.718281)})
    (one,) = found_by(EvalIdentical(), run)
    assert one.severity is Severity.ERROR
    assert "8 of 8" in one.summary


def test_evaluations_with_few_digits_or_another_term_are_silent() -> None:
    """Few printed digits repeat by themselves; one moving loss is enough."""
    terms = {"a": decay(RNG, 7, 2)}
    assert not found_by(EvalIdentical(), make_run(terms, evals={"loss": np.full(8, 0.05)}))
    moving = {"loss": np.full(8, 2.718281), "a": decay(RNG, 3, 1, n=8)}
    assert not found_by(EvalIdentical(), make_run(terms, evals=moving))


def test_four_digits_need_five_evaluations() -> None:
    """A loss that sits at ln 2 repeats in four digits now and then, but not for long."""
    terms = {"a": decay(RNG, 7, 2)}
    few = np.array([0.7012, 0.6931, 0.6931, 0.6931, 0.6931, 0.6934])
    assert not found_by(EvalIdentical(), make_run(terms, evals={"loss": few}))
    (one,) = found_by(EvalIdentical(), make_run(terms, evals={"loss": np.full(6, 0.6931)}))
    assert one.severity is Severity.WARNING


def test_nothing_trains_between_evaluations() -> None:
    """After the learning rate has ended at 0, equal evaluations are what to expect."""
    lr = np.where(np.arange(N) < 200, 1e-3, 0.0)
    evals = {"loss": np.concatenate((decay(RNG, 7, 2, n=5), np.full(5, 2.718281)))}
    run = make_run({"a": decay(RNG, 7, 2)}, lr=lr, evals=evals)
    assert not found_by(EvalIdentical(), run)


def test_one_checkpoint_evaluated_again_is_silent() -> None:
    """Evaluations at one step are the same by right."""
    run = make_run(
        {"a": decay(RNG, 7, 2)}, evals={"loss": np.full(8, 2.718281)}, eval_steps=np.full(8, 100)
    )
    assert not found_by(EvalIdentical(), run)


def test_identical_losses() -> None:
    """All losses bit-identical from the first to the last record is an error."""
    terms = {"a": np.full(N, 1.23456), "b": np.full(N, 0.1)}
    (one,) = found_by(LossIdentical(), make_run(terms))
    assert one.severity is Severity.ERROR


def test_losses_that_stop_are_a_note_and_coarse_ones_silent() -> None:
    """A converged optimizer stops; three digits repeat by rounding."""
    stopped = decay(RNG, 3, 1)[np.minimum(np.arange(N), 250)]
    (one,) = found_by(LossIdentical(), make_run({"a": stopped}))
    assert one.severity is Severity.NOTE
    assert not found_by(LossIdentical(), make_run({"a": np.full(N, 0.5)}))


def test_terms_that_are_multiples() -> None:
    """Three terms in one fixed ratio are one term."""
    a = decay(RNG, 7, 2)
    (one,) = found_by(ShareConstant(), make_run({"a": a, "b": 0.3 * a, "c": 2 * a}))
    assert one.severity is Severity.WARNING
    assert one.terms == ("a", "b", "c")


def test_weighted_twin_is_a_note_and_a_near_multiple_silent() -> None:
    """A pair may be one term raw and weighted; a ratio that changes by 1% is none."""
    a = decay(RNG, 7, 2)
    (one,) = found_by(ShareConstant(), make_run({"a": a, "a_w": 0.3 * a, "c": decay(RNG, 2, 1)}))
    assert one.severity is Severity.NOTE
    near = 0.3 * a * (1 + 0.01 * RNG.standard_normal(N))
    assert not found_by(ShareConstant(), make_run({"a": a, "b": near, "c": 2 * near**1.01}))


def test_a_pair_with_one_gradient_is_a_term_that_is_trained_twice() -> None:
    """Equal in value and parallel in gradient; not so those of a quantiser, or at one probe."""
    a = decay(RNG, 7, 2)
    terms = {"commit": a, "codebook": a, "recon": decay(RNG, 2, 1)}
    for cosine, severity in (
        ([1.0, 0.99999], Severity.WARNING),
        ([1.0, 0.9], Severity.NOTE),
        ([1.0], Severity.NOTE),
    ):
        run = watched(terms, cosines={("commit", "codebook"): cosine})
        (one,) = found_by(ShareConstant(), run)
        assert one.severity is severity
        assert ("parallel" in one.summary) == (severity is Severity.WARNING)
