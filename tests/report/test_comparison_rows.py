"""The words of a comparison."""

import pytest

from poise.report import comparison_rows
from poise.report.comparison_rows import signed
from tests.report.compared import compared


def test_the_verdict_names_what_changed() -> None:
    """Better and rescaled terms by name, the rest counted."""
    said = comparison_rows.verdict(compared())
    assert said == "ce better; kd rescaled; no effect seen in 2 others"


def test_rows_hold_numbers_and_verdicts() -> None:
    """A factor is told where there is one."""
    rows = comparison_rows.rows(compared().changes)
    found = {row[0]: row for row in rows}
    assert found["kd"][-1].startswith("rescaled x")
    assert found["total"][-1] == "different objective"
    assert {len(row) for row in rows} == {5}


def test_reasons_leave_out_what_goes_without_saying() -> None:
    """A term without effect whose difference is within its noise needs no sentence."""
    names = [names for names, _ in comparison_rows.reasons(compared())]
    assert "ce" in names
    assert not any("total" in one for one in names)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "+0"), (float("inf"), "+Infinity"), (-1234.5, "-1.23e3")]
)
def test_signs_are_always_shown(value: float, text: str) -> None:
    """Also of zero and of what is not finite."""
    assert signed(value) == text
