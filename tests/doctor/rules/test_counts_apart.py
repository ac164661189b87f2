"""Reductions over very different counts."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.counts_apart import CountsApart
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by


def made(seed: int, *, share: float, count: float, end: float = 2.0) -> Run:
    """A sum over `count` elements that owns a share, beside a mean over 1."""
    rng = np.random.default_rng(seed)
    return watched(
        {"ts": fall(300, 100, rng), "pt": fall(2, end, rng)},
        shares={"ts": np.full(4, share), "pt": np.full(4, 1 - share)},
        term_counts={"ts": count, "pt": 1.0},
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_sum_beside_a_mean(seed: int) -> None:
    """98% as written, 33% per element: a warning where the other stands still, else a note."""
    (one,) = found_by(CountsApart(), made(seed, share=0.98, count=100))
    assert (one.severity, one.terms) == (Severity.WARNING, ("ts",))
    (one,) = found_by(CountsApart(), made(seed, share=0.98, count=100, end=0.5))
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize(("share", "count"), [(0.98, 10), (0.5, 100), (0.9999, 50)])
def test_counts_that_do_not_decide_are_silent(share: float, count: float) -> None:
    """The near miss: counts that are near, a fair share, or a dominance that counts leave."""
    assert not found_by(CountsApart(), made(0, share=share, count=count))
