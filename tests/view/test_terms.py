"""The table of terms of a growing run."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from poise.record.schema import SCHEMA
from poise.view.growing import Growing
from poise.view.history import BLOCKS
from poise.view.terms import TERMS, last_probe, terms_table

LONG = "日本語の損失の長い名前です" * 3
NAMES = ("ce", LONG, "x" * 90)


def grown(names: tuple[str, ...] = NAMES) -> Growing:
    """Forty steps of terms with odd numbers of digits, probed at two places."""
    run = Growing()
    weights = dict.fromkeys(names, 0.0123)
    run.take([{"kind": "header", "schema": SCHEMA, "terms": list(names), "weights": weights}])
    for at in range(40):
        run.take([{"kind": "step", "step": at, "terms": dict.fromkeys(names, 0.0123 + at * 1e-5)}])
    for where in ("edge", "shared"):
        norms = dict.fromkeys(names, 1.0)
        run.take([{"kind": "probe", "step": 30, "where": where, "norms": norms}])
    return run


def rows(run: Growing, width: int) -> list[str]:
    """The table as it is printed."""
    raw = io.StringIO()
    Console(file=raw, width=width, color_system=None).print(terms_table(run, width, BLOCKS))
    return [one.rstrip() for one in raw.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_nothing_is_cut_and_nothing_is_wider(width: int) -> None:
    """Names are shortened in the middle; a column that does not fit is left out whole."""
    found = rows(grown(), width)
    assert len(found) == 1 + len(NAMES)
    assert max(map(cell_len, found)) <= width
    assert "\u2026" not in "".join(found)
    assert all("0.0126" in one for one in found[1:])
    assert found[1].startswith("ce ")
    assert ("..." in found[3]) == (width < 120)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (24, ["value"]),
        (36, ["value", "gradient %"]),
        (46, ["value", "value %", "gradient %"]),
        (54, ["weight", "value", "value %", "gradient %"]),
    ],
)
def test_what_says_least_is_left_out_first(width: int, shown: list[str]) -> None:
    """First the picture of the course, then weight, value share and gradient share."""
    head = rows(grown(), width)[0].removeprefix("term").split("  ")
    assert [one.strip() for one in head if one.strip()] == shown
    assert "\u2581" not in "".join(rows(grown(), width))
    assert "\u2581" in "".join(rows(grown(), 80))


def test_further_terms_are_counted() -> None:
    """A hundred terms fit a screen."""
    found = rows(grown(tuple(f"t{at}" for at in range(100))), 80)
    assert (len(found), found[-1]) == (TERMS + 2, f"and {100 - TERMS} more")


def test_the_shared_parameters_are_shown_before_other_places() -> None:
    """Whichever was measured first; nothing where nothing was."""
    assert last_probe(Growing()) is None
    found = last_probe(grown(("a", "b")))
    assert found == ("shared", 30, {"a": 0.5, "b": 0.5})
    assert "gradient %" not in rows(grown(("a",)), 20)[0]
