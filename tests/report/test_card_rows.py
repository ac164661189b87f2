"""The tables of a card."""

from dataclasses import replace

from poise.report.card_rows import arguments, errors, inexact, slopes, symmetric
from tests.report.cards import card


def test_every_second_decade() -> None:
    """Rows at powers of ten, both sides where they differ."""
    (curve,) = card().curves
    rows = errors(curve)
    assert [row[0] for row in rows] == ["error", "1e-6", "1e-4", "1e-2", "1e0", "1e2", "1e4", "1e6"]
    assert rows[0] == ("error", "value, above", "gradient", "value, below", "gradient")
    lines = {name: curve.lines[name.replace("-", "+")] for name in curve.lines}
    both = replace(curve, lines=lines)
    assert symmetric(both)
    assert errors(both)[0] == ("error", "value", "gradient")


def test_slopes_and_arguments() -> None:
    """Dashes for what was not measured, a mark for what is no power."""
    assert slopes(card())[1:] == [("batch", "0.00", "-", "-"), ("classes", "0.26 ~", "-", "-")]
    assert inexact(card())
    assert arguments(card())[1] == ("mass", "prediction", "8", "float32", "yes")
