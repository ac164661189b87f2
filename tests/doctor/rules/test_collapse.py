"""Statistics that die, and those that may."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.collapse import StatisticCollapse, UncertaintyCollapse
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
FALLING = {"ce": decay(RNG, 5, 1)}


@pytest.mark.parametrize("name", ["code_perplexity", "vq/codebook_usage", "feature_std", "erank"])
def test_a_statistic_that_dies_while_the_total_falls(name: str) -> None:
    """Down to 4% of its level."""
    run = make_run(FALLING, statistics={name: decay(RNG, 400, 15, tau=0.03)})
    (one,) = found_by(StatisticCollapse(), run)
    assert (one.severity, one.terms) == (Severity.WARNING, (name,))


@pytest.mark.parametrize("name", ["ppl", "lm_perplexity", "error", "learning_sigma_max_count"])
def test_what_falls_by_learning_is_silent(name: str) -> None:
    """The perplexity of a language model is its loss."""
    run = make_run(FALLING, statistics={name: decay(RNG, 400, 15, tau=0.03)})
    assert not [one for one in found_by(StatisticCollapse(), run) if one.severity != "note"]


def test_a_policy_that_becomes_decided_is_a_note() -> None:
    """Entropy is meant to fall."""
    run = make_run(FALLING, statistics={"policy/entropy": decay(RNG, 2, 0.05, tau=0.05)})
    (one,) = found_by(StatisticCollapse(), run)
    assert one.severity is Severity.NOTE


def test_specialising_recovering_or_nothing_learned_is_silent() -> None:
    """To a third, down and up again, or while no loss falls."""
    name = "code_perplexity"
    dip = np.where(abs(np.arange(N) - 150) < 40, 5.0, 300.0)
    for values in (decay(RNG, 400, 130), dip):
        assert not found_by(StatisticCollapse(), make_run(FALLING, statistics={name: values}))
    still = make_run({"ce": np.ones(N)}, statistics={name: decay(RNG, 400, 15)})
    assert not found_by(StatisticCollapse(), still)


def test_a_log_variance_that_does_not_slow_down() -> None:
    """The precision has grown by e to the 6th and goes on."""
    run = make_run(FALLING, statistics={"log_var_pose": np.linspace(0, -6, N)})
    (one,) = found_by(UncertaintyCollapse(), run)
    assert one.severity is Severity.WARNING


def test_a_log_variance_that_settles_is_silent() -> None:
    """As far down, but settled after a third of the run."""
    settled = -6 * (1 - np.exp(-np.arange(N) / 40))
    run = make_run(FALLING, statistics={"log_var_pose": settled})
    assert not found_by(UncertaintyCollapse(), run)


def test_a_plain_spread_in_a_watched_run() -> None:
    """What its author chose to log counts, unless it may be that of a policy's actions."""
    dying = {"std": decay(RNG, 400, 15, tau=0.03)}
    watch = {"watch": {"every": 50}}
    (one,) = found_by(StatisticCollapse(), make_run(FALLING, statistics=dying, declared=watch))
    assert (one.severity, one.terms) == (Severity.WARNING, ("std",))
    assert not found_by(StatisticCollapse(), make_run(FALLING, statistics=dying))
    policy = FALLING | {"actor_loss": decay(RNG, 5, 1)}
    assert not found_by(StatisticCollapse(), make_run(policy, statistics=dying, declared=watch))


WATCH = {"watch": {"every": 50}}


@pytest.mark.parametrize(
    "name", ["film_std", "gateVariance", "expert_entropy", "moe.usage", "film/scale"]
)
def test_a_name_is_read_by_its_words(name: str) -> None:
    """A warning in a watched run, a note in a log of which nothing else is known."""
    dying = {name: decay(RNG, 400, 15, tau=0.03)}
    (one,) = found_by(StatisticCollapse(), make_run(FALLING, statistics=dying, declared=WATCH))
    assert (one.severity, one.terms) == (Severity.WARNING, (name,))
    (one,) = found_by(StatisticCollapse(), make_run(FALLING, statistics=dying))
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize(
    "name",
    [
        *("noise_std", "grad_var", "reward_std", "residual_std", "pred_variance", "error_spread"),
        *("mean_rank", "memory_usage", "loss_scale", "kl_scale", "median_rank", "perplexity"),
        "standard",
    ],
)
def test_what_is_scheduled_or_learned_is_no_spread(name: str) -> None:
    """The near miss: as dead, but by its words it may be."""
    dying = {name: decay(RNG, 400, 15, tau=0.03)}
    assert not found_by(StatisticCollapse(), make_run(FALLING, statistics=dying, declared=WATCH))


def test_a_spread_that_comes_back_or_narrows_is_silent() -> None:
    """The near miss: dead for two sixths, then half the level, then dead; or a third is left."""
    back = decay(RNG, 400, 15, tau=0.03)
    back[N // 2 : int(0.62 * N)] = 190
    for values in (back, decay(RNG, 400, 130, tau=0.03)):
        run = make_run(FALLING, statistics={"film_std": values}, declared=WATCH)
        assert not found_by(StatisticCollapse(), run)


def test_a_spread_that_sinks_to_the_end_is_told_by_its_last_tenth() -> None:
    """At 15% of its level a third before the end and at 7% there; one that comes back is not."""
    sinking = np.geomspace(1.0, 0.07, N)
    run = make_run(FALLING, statistics={"feature_std": sinking})
    (one,) = found_by(StatisticCollapse(), run)
    assert one.severity is Severity.WARNING
    back = np.where(np.arange(N) % (N // 3) < N // 6, sinking, 0.5)
    back[-N // 10 :] = 0.05
    assert not found_by(StatisticCollapse(), make_run(FALLING, statistics={"feature_std": back}))
