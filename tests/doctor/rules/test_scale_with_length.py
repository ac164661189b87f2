"""Sums and means over counts that vary."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.scale_with_length import ScalesWithLength
from poise.run import Run
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(100, 1000, N).astype(float)


def test_a_sum_among_means() -> None:
    """The summed term is named, with slope 1; the total may follow it."""
    terms = {"text_loss": decay(RNG, 5, 1) * TOKENS, "mean_loss": decay(RNG, 5, 1)}
    found = found_by(ScalesWithLength(), make_run(terms, counts={"tokens": TOKENS}, total=None))
    assert [one.terms for one in found] == [("text_loss",)]
    assert found[0].severity is Severity.WARNING
    assert abs(found[0].evidence[0].value - 1) < 0.1


def test_weak_dependence_and_constant_or_running_counts_are_silent() -> None:
    """Longer is a little harder; a count that hardly varies or only grows explains nothing."""
    harder = decay(RNG, 5, 1) * TOKENS**0.2
    steady = np.full(N, 256.0)
    for values, counts in (
        (harder, TOKENS),
        (decay(RNG, 5, 1) * steady, steady),
        (decay(RNG, 1, 5), np.cumsum(TOKENS)),
    ):
        run = make_run({"text_loss": values}, counts={"tokens": counts})
        assert not found_by(ScalesWithLength(), run)


def test_a_long_run_is_sampled_in_unbroken_pieces() -> None:
    """Sampling single records would leave nothing to take the trend out with."""
    n = 60_000
    tokens = RNG.integers(100, 1000, n).astype(float)
    terms = {"text_loss": decay(RNG, 5, 1, n=n) * tokens}
    (one, *_) = found_by(ScalesWithLength(), make_run(terms, counts={"tokens": tokens}))
    assert abs(one.evidence[0].value - 1) < 0.02


def accumulated(values: np.ndarray, counts: np.ndarray) -> Run:
    """A watched run with four micro-batches a step."""
    size = len(values)
    return watched(
        {"ce": values},
        steps=np.arange(size) // 4,
        micro=np.arange(size),
        counts={"tokens": counts},
        total=None,
    )


def test_parts_of_the_mean_of_a_step_are_no_sums() -> None:
    """Each grows with its own count, which is right: divided by the count of the whole step."""
    mean, counts = decay(RNG, 5, 1), TOKENS
    whole = np.repeat(counts.reshape(-1, 4).sum(axis=1), 4)
    assert not found_by(ScalesWithLength(), accumulated(mean * counts / whole, counts))
    (one,) = found_by(ScalesWithLength(), accumulated(mean * counts / 1000, counts))
    assert one.terms == ("ce",)
