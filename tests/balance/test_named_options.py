"""Tests for poise.balance.named_options."""

import pytest

from poise.balance.named_options import by_term, split
from poise.errors import TermNameError

NAMES = ("a", "b", "c")


def test_numbers_follow_the_present_terms() -> None:
    """In their order, without those that are spared."""
    found = by_term("x", {"tau": {"b": 0.2, "c": 0.3}}, ("c", "a", "b"), NAMES, spared=("a",))
    assert found["tau"].tolist() == [0.3, 0.2]


def test_other_values_stay_as_they_are() -> None:
    """Only dicts are names to numbers."""
    assert by_term("x", {"mu": 1.0, "mode": "min"}, NAMES, NAMES) == {"mu": 1.0, "mode": "min"}


def test_an_unknown_name_is_refused() -> None:
    """With the nearest one."""
    with pytest.raises(TermNameError, match=r"unknown term 'aa'.*Did you mean 'a'"):
        by_term("x", {"w": {"aa": 1.0}}, NAMES, NAMES)


def test_split_takes_what_is_the_balancer_s() -> None:
    """The rest stays for the method."""
    options: dict[str, object] = {"heads": "own", "c": 0.5, "optimizer": None}
    assert split(options) == {"heads": "own", "optimizer": None}
    assert options == {"c": 0.5}
