"""The words of a comparison."""

from dataclasses import replace

import pytest

from poise.comparing.comparison import Pair
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


def test_a_module_that_one_side_lacks_says_so() -> None:
    """Unless nothing was measured there: then nobody knows which modules it has."""
    mine, shared = Pair(before=None, after=0.01), Pair(before=0.02, after=0.03)
    one = replace(compared(), motion={"trunk": shared, "head": mine})
    assert comparison_rows.motion(one) == "trunk 2% -> 3%, head 1% (only in AFTER)"
    alone = replace(compared(), motion={"head": mine})
    assert comparison_rows.motion(alone) == "head not measured -> 1%"
    gone = replace(compared(), motion={"trunk": shared, "head": Pair(before=0.01, after=None)})
    assert comparison_rows.motion(gone).endswith("head 1% (only in BEFORE)")
    assert comparison_rows.motion(replace(compared(), motion={})) == ""


def test_a_share_that_one_side_lacks_says_why() -> None:
    """Another objective's term is only on its side; one without a probe there was not measured."""
    one = replace(
        compared(),
        only_before=("old",),
        only_after=("new",),
        gradient_shares={
            "old": Pair(before=0.15, after=None),
            "new": Pair(before=None, after=0.2),
            "watched": Pair(before=0.05, after=None),
            "both": Pair(before=0.8, after=0.8),
        },
        responses={"both": Pair(before=-0.1, after=-0.1)},
    )
    assert comparison_rows.measured(one)[1:] == [
        ("old", "15% (only in BEFORE)", ""),
        ("new", "20% (only in AFTER)", ""),
        ("watched", "5% -> not measured", ""),
        ("both", "80% -> 80%", "-10% -> -10%"),
    ]
