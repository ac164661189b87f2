"""A loss function's card on a terminal: findings first, then what was measured."""

from rich.console import Console

from poise.doctor.card import Card
from poise.doctor.finding import Finding, Severity
from poise.report import card_rows, plain
from poise.report.page import BOLD, DIM, Page
from poise.report.terminal import COLOURS, GOOD, finding_body


def render_card(card: Card, console: Console) -> None:
    """Prints a card; its width and colours are the console's."""
    page = Page(console)
    page.line(("loss function ", BOLD), plain.name(card.name), f", {_value(card)}", hang=2)
    page.table(card_rows.arguments(card), left=4)
    page.blank()
    _verdict(card, page)
    for one in card.findings:
        page.blank()
        _finding(one, page)
    _measured(card, page)
    if card.facts:
        page.blank()
        page.line(("measured", BOLD))
        for fact in card.facts:
            page.line("- ", plain.plain(fact.text), indent=2, hang=2)
    page.blank()
    if card.passed:
        page.line("passed: ", ", ".join(card.passed), hang=8)
    for one in card.not_checked:
        page.line(f"not checked: {one.rule}, which needs ", " and ".join(one.needs), hang=13)


def _value(card: Card) -> str:
    return f"{plain.number(float(f'{card.value:.4g}'))} at the example"


def _verdict(card: Card, page: Page) -> None:
    counts = [
        (plain.count(amount, severity.value), COLOURS[severity])
        for severity in Severity
        if (amount := sum(one.severity is severity for one in card.findings))
    ]
    if not counts:
        page.line(("clean: ", GOOD), "no oddity found")
        return
    lead = [("clean: ", GOOD), "nothing worse than "] if card.clean else []
    commas = [", "] * (len(counts) - 1) + [""]
    mixed = [part for pair in zip(counts, commas, strict=True) for part in pair]
    page.line(*lead, *mixed)


def _finding(one: Finding, page: Page) -> None:
    page.line(
        (one.severity.value, COLOURS[one.severity]),
        (f": {one.fault.value} ", BOLD),
        (f"[{one.rule}]", DIM),
        hang=2,
    )
    finding_body(one, page)


def _measured(card: Card, page: Page) -> None:
    curve = card.curve("error")
    if curve is not None:
        page.blank()
        page.line(("value and gradient against the error ", BOLD), (f"({curve.x_label})", DIM))
        page.table(card_rows.errors(curve), left=1)
    if card.slopes:
        page.blank()
        page.line(("growth with size ", BOLD), ("(1: in proportion, 0: not at all)", DIM))
        page.table(card_rows.slopes(card), left=1)
        if card_rows.inexact(card):
            page.line(("~ no power of the size; between the first and the last", DIM), indent=2)
