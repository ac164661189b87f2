"""What the variants differ in."""

import math
from dataclasses import replace

from poise.recipes import find
from poise.recipes.plasticity.variants import SETUPS


def test_every_variant_of_the_recipe_has_its_row() -> None:
    """In any order."""
    assert {one.name for one in find("plasticity").variants} == set(SETUPS)


def test_each_fix_differs_in_one_thing() -> None:
    """From the reported procedure to the repaired loop, step by step."""
    reported, rate, target = (SETUPS[one] for one in ("reported", "rate-fix", "target-fix"))
    assert replace(reported, late_scheduler=False) == rate
    assert replace(rate, reported_target=False) == target
    assert replace(SETUPS["cured"], offset=False) == SETUPS["cured-even"]
    assert replace(reported, adaptive=True) == SETUPS["note-fix"]


def test_fixed_weights_do_not_depend_on_the_counter() -> None:
    """Ten to one, at any time."""
    weights = SETUPS["attention-10-1"].weights
    assert weights is not None
    for counter in (0, 10**6):
        found = weights(counter, 100)
        assert math.isclose(found["direct"], 10 * found["attention"])
