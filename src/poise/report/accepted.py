"""Why a finding is accepted, in words: the same on a terminal and in HTML."""

from rich.console import Console

from poise.doctor.acknowledgement import Acknowledgement
from poise.report import plain
from poise.report.page import BOLD, DIM, Page


def accepted_because(one: Acknowledgement) -> str:
    """The reason, the day, the file, and what would make it come back.

    Example:
        >>> from datetime import date
        >>> from poise.doctor.finding import Severity
        >>> accepted_because(
        ...     Acknowledgement(
        ...         rule="value-dominance",
        ...         terms=("ptr",),
        ...         severity=Severity.WARNING,
        ...         why="planned",
        ...         when=date(2026, 11, 29),
        ...         series="ptr",
        ...         value=0.9,
        ...         threshold=0.8,
        ...     )
        ... )
        'planned (2026-11-29); reported again once ptr, 0.9 when accepted, is beyond 0.95'
    """
    where = "" if one.file is None else f", {plain.plain(one.file.name)}"
    told = f"{plain.plain(one.why)} ({one.when}{where})"
    if one.value is None or one.limit is None:
        return told
    series = plain.name(one.series)
    numbers = f"{plain.brief(one.value)} when accepted, is beyond {plain.brief(one.limit)}"
    return f"{told}; reported again once {series}, {numbers}"


def render_acknowledgement(one: Acknowledgement, console: Console) -> None:
    """Prints what was accepted and what would make it come back."""
    page = Page(console)
    about = f" in {plain.listed(one.terms)}" if one.terms else ""
    page.line(
        ("accepted: ", BOLD), f"{one.severity.value}{about} ", (f"[{one.rule}]", DIM), hang=10
    )
    page.line(("why: ", BOLD), accepted_because(one), indent=10, hang=5)
    if one.file is not None:
        page.line(("kept in: ", BOLD), plain.plain(str(one.file)), indent=10, hang=9)
