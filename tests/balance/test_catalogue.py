"""Tests for poise.balance.catalogue."""

import poise.balance
from poise.balance import methods


def test_every_entry_can_be_made_as_it_says() -> None:
    """The text of `make` starts with a public name."""
    for name, entry in methods().items():
        assert hasattr(poise.balance, entry.make.partition("(")[0]), name


def test_every_published_method_says_where() -> None:
    """A paper, or what it is in a few words."""
    for name, entry in methods().items():
        assert entry.paper or name in {"Fixed", "GradientShare", "RunningMean"}, name
