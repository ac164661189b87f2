"""Policy ratios outside their clip range."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.clip_fraction import ClipFraction
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"policy_loss": decay(RNG, 1, 0.5), "value_loss": decay(RNG, 2, 1)}


@pytest.mark.parametrize("name", ["clip_fraction", "train/clipfrac", "clip_frac"])
def test_most_samples_clipped(name: str) -> None:
    """From none to nine in ten."""
    (one,) = found_by(ClipFraction(), make_run(TERMS, statistics={name: np.linspace(0, 1, N)}))
    assert (one.severity, one.terms) == (Severity.WARNING, (name, "policy_loss"))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("clip_fraction", np.linspace(0, 0.4, N)),
        ("clip_fraction", np.where(np.arange(N) % 10 == 0, 0.9, 0.2)),
        ("clip_fraction", np.linspace(0, 90, N)),
        ("clip_score", np.linspace(0, 1, N)),
        ("grad_clip_fraction", np.ones(N)),
        ("critic/vf_clipfrac", np.linspace(0, 1, N)),
    ],
)
def test_what_healthy_policies_log_is_silent(name: str, values: np.ndarray) -> None:
    """Four in ten at most, single batches, percentages of something else, other clips."""
    assert not found_by(ClipFraction(), make_run(TERMS, statistics={name: values}))
