"""Measured shares on a terminal: the part that `poise diagnose` and `poise read` have in common."""

from collections.abc import Sequence

from poise.report import measured_rows
from poise.report.measured import Measured, Place, measured
from poise.report.measured_rows import Column
from poise.report.page import BOLD, DIM, Page
from poise.run import Run

COSINE = "cosine: between a term's gradient and the sum of the others'"
MOVES = "first -> last quarter: "


def print_measured(run: Run, page: Page, *, full: bool) -> bool:
    """Prints the table of terms and how far modules move; False for a run without probes.

    Args:
        run: Any run.
        page: Where to.
        full: Also direction shares, further places and what the probes took.
    """
    found = measured(run)
    if found is None:
        return False
    page.blank()
    if found.places:
        _terms(found, page, full=full)
    if moved := measured_rows.motion(found):
        page.line(("motion: ", BOLD), moved, indent=0 if not found.places else 2, hang=8)
    if full:
        for place in found.places[1:]:
            _further(found, place, page)
        if costs := measured_rows.costs(found):
            page.blank()
            page.line(("cost of a probe: ", BOLD), costs, hang=2)
    return True


def _terms(found: Measured, page: Page, *, full: bool) -> None:
    place = found.places[0]
    page.line(("measured ", BOLD), measured_rows.title(place), hang=2)
    shown = measured_rows.columns(found, full=full)
    rows = measured_rows.rows(found.terms, shown, page.width - 2)
    page.table(rows)
    if (left_out := len(shown) - len(rows[0]) + 1) > 0:
        names = ", ".join(one.title for one in shown[-left_out:])
        page.line((f"no room for {names}: widen the terminal", DIM), indent=2)
    if full and place.cosine:
        page.line((COSINE, DIM), indent=2, hang=2)
    _moves(shown, found.terms, page)


def _moves(shown: Sequence[Column], terms: Sequence[str], page: Page) -> None:
    told = [f"{name} {words}" for name, words in measured_rows.moves(shown, terms)]
    if told:
        page.line((MOVES, BOLD), "; ".join(told), indent=2, hang=2)


def _further(found: Measured, place: Place, page: Page) -> None:
    page.blank()
    page.line(("measured ", BOLD), measured_rows.title(place), hang=2)
    shown = measured_rows.place_columns(place)
    terms = [one for one in found.terms if one in place.gradient]
    page.table(measured_rows.rows(terms, shown, page.width - 2))
    _moves(shown, terms, page)
