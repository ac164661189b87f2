"""The table of terms fits any width and never rounds a share to nothing."""

import pytest
from rich.cells import cell_len

from poise.report import measured_rows
from poise.report.measured import Measured, measured
from poise.report.measured_rows import columns, moves, place_columns, rows
from tests.report.probed import TERMS, probed_run


def _measured() -> Measured:
    found = measured(probed_run())
    assert found is not None
    return found


def _width(table: list[tuple[str, ...]]) -> int:
    return (
        sum(max(cell_len(cell) for cell in column) + 2 for column in zip(*table, strict=True)) - 2
    )


def test_whole_table() -> None:
    """Every column that was measured, in the declared order of the terms."""
    found = _measured()
    table = rows(found.terms, columns(found, full=True))
    assert table[0] == (
        "term",
        "weight",
        "value",
        "value %",
        "gradient %",
        "update %",
        "cosine",
        "direction %",
        "response",
    )
    assert [row[0] for row in table[1:]] == list(TERMS)
    assert table[3][5] == "3.2e-5%"
    assert table[3][1] == "1e-7"


@pytest.mark.parametrize("width", [30, 40, 58, 78, 98])
def test_it_fits(width: int) -> None:
    """Headings get short, then the last columns go; the first never does."""
    found = _measured()
    table = rows(found.terms, columns(found, full=True), width)
    assert _width(table) <= width
    assert [row[0] for row in table] == ["term", *TERMS]
    if width >= 58:
        assert {"value %", "val %"} & set(table[0])
        assert {"gradient %", "grad %"} & set(table[0])


def test_what_moves_is_told_from_first_to_last() -> None:
    """A share that changes threefold is told with both ends; one that stays is not."""
    found = _measured()
    told = dict(moves(columns(found, full=False), found.terms))
    assert told["gradient %"] == "cls 89% -> 58%, reg 11% -> 42%"
    assert "update %" not in told


def test_a_further_place_has_no_values() -> None:
    """At the edge only what was measured there is shown."""
    titles = [one.title for one in place_columns(_measured().places[1])]
    assert titles == ["gradient %", "cosine", "direction %"]


def test_sentences() -> None:
    """Place, number of probes, motion and cost are each one line."""
    found = _measured()
    assert measured_rows.title(found.places[0]) == (
        "at the shared parameters ('trunk.0'), medians of 8 probes, steps 0 to 70"
    )
    assert measured_rows.motion(found) == (
        "trunk.0 0.15% of its norm per optimizer step (median of 8 steps)"
    )
    assert measured_rows.costs(found).startswith("2 ms at the shared parameters")
