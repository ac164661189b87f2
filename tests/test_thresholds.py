"""Which numbers of a rule are scaled, and that they are put back."""

import pytest

pytest.importorskip("torch")

from benchmarks.thresholds import FACTORS, numbers, scaled, sweep

from poise.doctor import probes
from poise.doctor.rules import RULES, gradient_share


def test_numbers_of_helpers_are_scaled_with_those_of_the_rule() -> None:
    """`held_back` compares with STILL, which stands in another module."""
    rule = next(one for one in RULES if one.name == "gradient-starvation")
    found = {one.name: one for one in numbers(rule)}
    assert found["LACKS"].value == gradient_share.LACKS
    assert found["LACKS"].meaning.startswith("Share below which")
    assert probes in found["MOVED"].homes
    assert "OWNS" not in found


def test_a_sweep_puts_every_number_back() -> None:
    """In all modules that hold it."""
    rule = next(one for one in RULES if one.name == "gradient-starvation")
    (moved,) = (one for one in numbers(rule) if one.name == "MOVED")
    before = [vars(home)["MOVED"] for home in moved.homes]
    assert [one.value for one in sweep(rule, moved, [])] == pytest.approx(
        [0.3 * factor for factor in FACTORS]
    )
    assert [vars(home)["MOVED"] for home in moved.homes] == before


def test_shares_and_counts_are_scaled_as_such() -> None:
    """A share above a half keeps its distance to 1; a count is a count."""
    assert scaled(0.95, 2.0) == pytest.approx(0.9)
    assert scaled(3, 0.25) == 1
