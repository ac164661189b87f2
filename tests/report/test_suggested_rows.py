"""Suggested weights in words."""

import ast
from dataclasses import replace

from poise.report.suggested_rows import code, moves, rows, title, wished
from tests.report.suggested import offer, with_wish


def test_the_line_can_be_pasted() -> None:
    """It is one Python statement, and its numbers are the weights to three digits."""
    found = offer()
    (one,) = ast.parse(code(found)).body
    assert isinstance(one, ast.Assign)
    pasted = ast.literal_eval(one.value)
    assert pasted == {name: float(f"{w:.3g}") for name, w in found.weights.items()}
    assert pasted["aux"] == 1e-7


def test_a_row_for_each_wished_term() -> None:
    """Its wish, what it had, its weight with quartiles, and what that gives."""
    table = rows(offer())
    assert [one[0] for one in table] == ["term", "reg", "cls"] or [one[0] for one in table] == [
        "term",
        "cls",
        "reg",
    ]
    assert {one[1] for one in table[1:]} == {"50%"}
    assert all(len(one) == len(table[0]) for one in table)


def test_where_it_comes_from_and_what_moves() -> None:
    """Source, place and probes are told; `reg` grows eightfold, so its right weight falls."""
    found = offer()
    assert title(found).startswith("for the shares that were asked for, at the shared parameters")
    assert "medians of 8 probes" in title(found)
    assert "reg" in moves(found)


def test_names_are_escaped() -> None:
    """Nothing from a log reaches the terminal as it is."""
    (text,) = wished(with_wish())
    assert "\x1b" not in text
    assert "\\x1b" in text
    assert text.endswith("Confidence: fair.")


def test_one_probe_has_no_spread() -> None:
    """No range is printed where nothing was seen of the rest of the run, and how to see more is."""
    found = replace(offer(), probes=1, steps=(4, 4))
    assert "1 probe, step 4: no spread; Watch(every=10, budget=0.2)" in title(found)
    for row in rows(found)[1:]:
        assert row[4] == "-"
        assert " to " not in row[5]
    assert "no spread" not in title(offer())
