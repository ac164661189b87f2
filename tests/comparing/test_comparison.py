"""A comparison answers by name, and prints itself."""

import pytest

from poise.comparing.compare import compare
from tests.comparing.build import falling, noisy, plain, table


def test_a_quantity_is_found_by_name_and_split() -> None:
    """An unknown name lists what there is."""
    one = plain(table({"ce": noisy(falling(2.0, 1.0), 0)}))
    found = compare(one, one)
    assert found.of("ce").kind == "term"
    with pytest.raises(KeyError, match="nothing called 'kl' was compared in split 'train'; there"):
        found.of("kl")


def test_plain_text_names_every_quantity() -> None:
    """`print(poise.compare(...))` shows verdicts and intervals."""
    one = plain(table({"ce": noisy(falling(2.0, 1.0), 0)}))
    lines = str(compare(one, one)).split("\n")
    assert lines[0] == "no effect"
    assert lines[1].startswith("ce (train): no effect, 0.9989 -> 0.9989, difference 0 [")
