"""Ten stages and what changes with them."""

import pytest

from poise.recipes.peptide.curriculum import REDUCED, REPORTED, SPECTRUM, STAGES, Curriculum

CURRICULUM = Curriculum(first=100, later=20)


def test_there_are_ten_stages_and_a_weight_for_each() -> None:
    """The first is cross-entropy alone, and weights and difficulty never fall."""
    assert len(STAGES) == len(SPECTRUM) == len(REPORTED) == len(REDUCED) == 10
    for weights in (SPECTRUM, REPORTED, REDUCED):
        assert weights[0] == 0.0
        assert list(weights) == sorted(weights)
    for name in ("longest", "noise", "dropout", "ppm", "variation"):
        values = [getattr(one, name) for one in STAGES]
        assert values == sorted(values)
    assert all(new <= old for new, old in zip(REDUCED, REPORTED, strict=True))


def test_a_stage_begins_at_its_first_step() -> None:
    """Not one step before or after."""
    assert CURRICULUM.total_steps == 280
    assert CURRICULUM.starts == (100, 120, 140, 160, 180, 200, 220, 240, 260)
    assert [CURRICULUM.stage(step) for step in (0, 99, 100, 119, 120, 279)] == [0, 0, 1, 1, 2, 9]


def test_weights_switch_or_ramp() -> None:
    """`staged` and `switched` jump at the first step; `ramped` needs a stage to get there."""
    staged, switched = CURRICULUM.staged(REPORTED), CURRICULUM.switched(0.2)
    assert [staged(step) for step in (99, 100, 120, 279)] == [0.0, 0.01, 0.02, 0.10]
    assert [switched(step) for step in (99, 100, 279)] == [0.0, 0.2, 0.2]
    ramped = CURRICULUM.ramped(1.0)
    assert [ramped(step) for step in (99, 100, 110, 120, 279)] == pytest.approx([0, 0, 0.5, 1, 1])
