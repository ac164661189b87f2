"""The end of a run on a terminal: one table of terms, the metrics, and what moved."""

from rich.console import Console

from poise.report import plain
from poise.report.ending import Ending
from poise.report.page import BOLD, DIM, Page

MODULES = 6
"""Modules whose motion is told."""


def render_ending(found: Ending, console: Console, *, title: str, metric: str = "") -> None:
    """Prints the end of a run.

    Args:
        found: As `poise.report.ending.ending` reads it.
        console: Where to.
        title: What was trained.
        metric: The metric that decides; it comes first and is marked.
    """
    page = Page(console)
    page.line((plain.plain(title), BOLD))
    page.line(f"{_made(found)}, {plain.count(found.records, 'training record')}")
    page.table(_rows(found))
    if found.place:
        told = f"gradient % {plain.plain(found.place)}: medians while a term's weight is not 0"
        page.line((told, DIM), indent=2, hang=2)
    for name in sorted(found.metrics, key=lambda one: one != metric):
        mark = " (decides)" if name == metric else ""
        page.line((f"{plain.name(name)}{mark}: ", BOLD), plain.brief(found.metrics[name]))
    if found.motion:
        shown = list(found.motion.items())[:MODULES]
        parts = [f"{plain.name(one)} {plain.percent(t.median)}" for one, t in shown]
        more = f" and {len(found.motion) - MODULES} more" if len(found.motion) > MODULES else ""
        page.line(("motion: ", BOLD), f"{', '.join(parts)}{more} of its norm a step", hang=8)


def _made(found: Ending) -> str:
    if found.steps is None:
        return "optimizer steps unknown"
    return plain.count(found.steps, "optimizer step")


def _rows(found: Ending) -> list[tuple[str, ...]]:
    split = found.split or "eval"
    rows = [("term", "train", plain.name(split), "gradient %")]
    for name, one in found.terms.items():
        cells = (_number(one.train), _number(one.evaluated))
        share = "" if one.gradient is None else plain.percent(one.gradient)
        rows.append((plain.name(name), *cells, share))
    return rows


def _number(value: float | None) -> str:
    return "" if value is None else plain.brief(value)
