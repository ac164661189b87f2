"""Terms that rise in evaluation while they fall in training."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.generalisation import EvalRises, EvalStandsStill
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
K = 20


def bowl(depth: float = 1.0) -> np.ndarray:
    """An evaluation that falls to `depth` at a third of the run and rises threefold."""
    return depth * np.concatenate((np.linspace(3, 1, 7), np.linspace(1.1, 3, K - 7)))


def test_one_term_overfits() -> None:
    """Only the term that rises is named, from its best evaluation on."""
    terms = {"ce": decay(RNG, 3, 0.1), "box": decay(RNG, 3, 0.5)}
    run = make_run(terms, evals={"ce": bowl(), "box": 1.2 * decay(RNG, 3, 0.5, n=K)})
    (one,) = found_by(EvalRises(), run)
    assert one.severity is Severity.WARNING
    assert one.terms == ("ce",)
    assert one.steps == (139, 399)


def test_rising_in_both_splits_is_silent() -> None:
    """A term that rises in training too is not memorised."""
    train = np.interp(np.arange(N), np.linspace(0, N, K), bowl(0.4))
    assert not found_by(EvalRises(), make_run({"ce": train}, evals={"ce": bowl()}))


def test_gap_without_a_rise_and_noise_are_silent() -> None:
    """A constant gap is no trend, and neither is a noisy plateau."""
    train = {"ce": decay(RNG, 3, 0.1)}
    assert not found_by(EvalRises(), make_run(train, evals={"ce": decay(RNG, 9, 3, n=K)}))
    for seed in range(20):
        noise = np.exp(0.1 * np.random.default_rng(seed).standard_normal(K))
        assert not found_by(EvalRises(), make_run(train, evals={"ce": 3 * noise}))


def test_negative_losses_are_not_judged() -> None:
    """Negative losses have no ratios; they are left alone."""
    nll = decay(RNG, 3, 0.1) - 1
    assert not found_by(EvalRises(), make_run({"nll": nll}, evals={"nll": bowl() - 2}))


def test_evaluation_that_never_improves_is_a_note() -> None:
    """Training falls to a fifth, evaluation stays; an evaluation that follows is silent."""
    rng = np.random.default_rng(0)
    ce = decay(rng, 5, 1)
    stays = {"ce": 5 * np.exp(0.005 * rng.standard_normal(12))}
    (one,) = found_by(EvalStandsStill(), make_run({"ce": ce}, evals=stays))
    assert (one.severity, one.terms) == (Severity.NOTE, ("ce",))
    follows = {"ce": 1.1 * ce[:: N // 12][:12]}
    assert not found_by(EvalStandsStill(), make_run({"ce": ce}, evals=follows))


def test_training_known_by_heart_and_a_total_are_one_finding() -> None:
    """Training cannot fall any more; evaluation doubles; term and total are named together."""
    rng = np.random.default_rng(0)
    ce = decay(rng, 2, 0.1, tau=0.03)
    rise = np.linspace(0.9, 2.5, 20) * np.exp(0.01 * rng.standard_normal(20))
    (one,) = found_by(EvalRises(), make_run({"ce": ce}, evals={"ce": rise, "loss": rise}))
    assert one.terms == ("ce", "loss")


def test_what_is_known_by_heart_and_hardly_carries_over_is_a_warning() -> None:
    """Training down to a hundredth, evaluation 15% better; at 40% better it is silent."""
    rng = np.random.default_rng(0)
    ce = decay(rng, 4, 0.03, tau=0.1)
    little = {"ce": 4.4 * np.geomspace(1, 0.85, 15)}
    (one,) = found_by(EvalStandsStill(), make_run({"ce": ce}, evals=little))
    assert (one.severity, one.terms) == (Severity.WARNING, ("ce",))
    more = {"ce": 4.4 * np.geomspace(1, 0.6, 15)}
    assert not found_by(EvalStandsStill(), make_run({"ce": ce}, evals=more))


@pytest.mark.parametrize(
    ("scores", "severity"),
    [
        ({"accuracy": np.linspace(0.6, 0.8, 15)}, Severity.NOTE),
        ({"accuracy": np.full(15, 0.6)}, Severity.WARNING),
        ({"seconds": np.linspace(0.6, 0.8, 15)}, Severity.WARNING),
    ],
)
def test_a_score_that_rises_says_that_something_carries_over(
    scores: dict[str, np.ndarray], severity: Severity
) -> None:
    """Fine-tuning: the loss stays in evaluation, the accuracy rises; at rest it says nothing."""
    ce = decay(np.random.default_rng(0), 4, 0.03, tau=0.1)
    evals = {"ce": 4.4 * np.geomspace(1, 0.98, 15)}
    run = make_run({"ce": ce}, evals=evals, eval_statistics=scores)
    (one,) = found_by(EvalStandsStill(), run)
    assert one.severity == severity
