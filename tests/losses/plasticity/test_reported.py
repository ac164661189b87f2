"""The reported forms: what the tests of their working forms do not say."""

import pytest

from poise.losses.plasticity import reported

TERMS = ("direct", "attention", "fidelity", "regularisation")


def test_the_weights_jump_where_stage_three_begins() -> None:
    """Stage 2 starts where stage 1 ends, but stage 3 multiplies direct by 20."""
    weights = reported.stage_weights
    assert weights(999, 1000) == weights(1000, 1000)
    before, after = weights(2999, 1000), weights(3000, 1000)
    assert [after[one] / before[one] for one in TERMS] == pytest.approx(
        [20, 1 / 0.3, 1 / 0.3, 1], rel=1e-2
    )


def test_every_stage_names_all_terms() -> None:
    """No term comes or goes."""
    for step in (0, 150, 500):
        assert tuple(reported.stage_weights(step, 100)) == TERMS
