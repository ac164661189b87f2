"""What a recipe declares."""

import pytest

from poise.errors import RecipeError
from poise.recipes import Metric
from tests.recipes.fake import FAKE


def test_a_variant_is_found_by_name_or_the_known_ones_are_named() -> None:
    """A wrong name is answered with the right ones."""
    assert FAKE.variant("cured").summary == "a learning rate"
    with pytest.raises(RecipeError, match=r"'fake' has no variant 'cure'.*reported, cured"):
        FAKE.variant("cure")


def test_better_follows_the_declared_direction() -> None:
    """Equal is not better, and neither is what cannot be compared."""
    error, score = Metric(name="error"), Metric(name="f1", higher_is_better=True)
    assert error.better(1.0, 2.0)
    assert not error.better(2.0, 1.0)
    assert score.better(2.0, 1.0)
    assert not score.better(1.0, 2.0)
    assert not error.better(1.0, 1.0)
    assert not error.better(float("nan"), 1.0)
