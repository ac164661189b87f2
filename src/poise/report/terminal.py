"""A diagnosis on a terminal: causes first, what they explain folded under them."""

from collections import Counter
from itertools import groupby

from rich.console import Console
from rich.style import Style

from poise.doctor.acknowledgement import Accepted
from poise.doctor.diagnosis import Diagnosis, NotChecked
from poise.doctor.finding import Finding, Severity
from poise.report import plain
from poise.report.accepted import accepted_because
from poise.report.heading import header
from poise.report.order import Group, grouped
from poise.report.page import BOLD, DIM, Page
from poise.report.subject import is_column, subject, where
from poise.report.terminal_measured import print_measured
from poise.report.terminal_rules import render_explanation as render_explanation
from poise.report.terminal_rules import render_rules as render_rules
from poise.report.terminal_run import render_run as render_run
from poise.report.terminal_suggested import print_suggestion
from poise.report.terminal_suggested import render_suggestion as render_suggestion
from poise.run import Run

COLOURS = {
    Severity.ERROR: Style(color="red", bold=True),
    Severity.WARNING: Style(color="yellow", bold=True),
    Severity.NOTE: Style(color="cyan", bold=True),
}
GOOD = Style(color="green", bold=True)
EVIDENCE = 3
"""Facts shown per finding; the JSON has all of them."""
REMARKS = 3
"""Remarks of the reader shown above the findings; `poise read` and the JSON have all of them."""


def render(diagnosis: Diagnosis, console: Console) -> None:
    """Prints a diagnosis, worst first; its width and colours are the console's.

    Severity is always a word, so nothing is lost without colour. Names and log lines are shown
    escaped and shortened, and are never interpreted.
    """
    page = Page(console)
    header(diagnosis.run, page)
    for remark in diagnosis.run.remarks[:REMARKS]:
        page.line(("remark: ", BOLD), plain.plain(remark), hang=8)
    page.blank()
    _verdict(diagnosis, page)
    for group in grouped(diagnosis.findings):
        page.blank()
        _group(group, diagnosis.run, page)
    if diagnosis.accepted:
        page.blank()
    for one in diagnosis.accepted:
        _accepted(one, diagnosis.run, page)
    print_measured(diagnosis.run, page, full=False)
    if diagnosis.suggestion is not None:
        page.blank()
        print_suggestion(diagnosis.suggestion, page)
    page.blank()
    _checked(diagnosis, page)


def _accepted(one: Accepted, run: Run, page: Page) -> None:
    finding = one.finding
    page.line(
        ("accepted: ", BOLD),
        f"{finding.severity.value} {finding.fault.value} {subject(finding, run, most=2)}".rstrip(),
        f": {plain.prose(finding.summary, finding)} ",
        (f"[{finding.rule}]", DIM),
        hang=10,
    )
    page.line(("why: ", BOLD), accepted_because(one.acknowledgement), indent=10, hang=5)


def _verdict(diagnosis: Diagnosis, page: Page) -> None:
    ran, idle = len(diagnosis.passed), len(diagnosis.not_checked)
    if not diagnosis.findings:
        if diagnosis.accepted:
            page.line(
                ("nothing new: ", GOOD),
                f"{plain.count(len(diagnosis.accepted), 'finding')}, accepted.",
            )
        elif ran > idle:
            page.line(("healthy: ", GOOD), f"No fault found by {plain.count(ran, 'rule')}.")
        elif ran:
            said = f"{plain.count(ran, 'rule')} ran, {idle} lack their data."
            page.line(("no fault found, but little could be checked: ", BOLD), said)
        else:
            page.line(("not diagnosed: ", BOLD), "no rule could run on this log.")
        return
    counts = [
        (plain.count(amount, severity.value), COLOURS[severity])
        for severity in Severity
        if (amount := sum(one.severity is severity for one in diagnosis.findings))
    ]
    parts: list[str | tuple[str, Style]] = []
    for index, one in enumerate(counts):
        parts += [", "] if index else []
        parts.append(one)
    if diagnosis.worst is Severity.NOTE and ran > idle:
        page.line(("healthy: ", GOOD), "nothing worse than ", *parts)
    else:
        page.line(*parts)


def _group(group: Group, run: Run, page: Page) -> None:
    _finding(group.cause, run, page)
    for index, one in enumerate(group.symptoms):
        named = f" ({plain.listed(one.terms, most=2)})" if one.terms else ""
        about = f" {subject(one, run, most=2)}" if is_column(one, run) else named
        page.line(
            ("explains: " if index == 0 else " " * 10, BOLD),
            (one.severity.value, COLOURS[one.severity]),
            f" {one.fault.value}{about}: {plain.prose(one.summary, one)}",
            (f" [{one.rule}]", DIM),
            indent=2,
            hang=10,
        )


def _finding(one: Finding, run: Run, page: Page) -> None:
    about = f" {subject(one, run, most=3)}".rstrip()
    page.line(
        (one.severity.value, COLOURS[one.severity]),
        (f": {one.fault.value}{about}", BOLD),
        f", {where(one, run)} ",
        (f"[{one.rule}]", DIM),
        hang=2,
    )
    finding_body(one, page)


def finding_body(one: Finding, page: Page) -> None:
    """What follows the heading of a finding: summary, evidence, cause, action, how to verify."""
    page.line(plain.prose(one.summary, one), indent=2)
    for fact in one.evidence[:EVIDENCE]:
        page.line("- ", plain.prose(fact.text, one), indent=4, hang=2)
    if (more := len(one.evidence) - EVIDENCE) > 0:
        page.line((f"and {plain.count(more, 'more fact')}", DIM), indent=6)
    page.field("cause", plain.prose(one.cause, one))
    page.field("do", plain.prose(one.action, one))
    if plain.is_code(one.verify):
        page.literal("verify", plain.lines(one.verify))
    else:
        page.field("verify", plain.plain(one.verify.strip()))


def _checked(diagnosis: Diagnosis, page: Page) -> None:
    if diagnosis.passed and diagnosis.found:
        page.line(f"passed: {plain.count(len(diagnosis.passed), 'other rule')} found nothing")
    if diagnosis.not_checked:
        wanting = Counter(need for one in diagnosis.not_checked for need in one.needs)
        needs = ", ".join(f"{plain.plain(need)} ({n})" for need, n in wanting.most_common())
        count = plain.count(len(diagnosis.not_checked), "rule")
        page.line(f"not checked: {count} for want of ", (needs, DIM), hang=13)


def lacking(not_checked: tuple[NotChecked, ...]) -> list[tuple[str, list[str]]]:
    """What the run lacks, with the rules that lack it; what most rules need comes first.

    Example:
        >>> lacking((NotChecked(rule="warmup", needs=("a rate", "a total")),))
        [('a rate and a total', ['warmup'])]
    """
    pairs = sorted((" and ".join(one.needs), one.rule) for one in not_checked)
    found = [
        (need, [rule for _, rule in both]) for need, both in groupby(pairs, lambda one: one[0])
    ]
    return sorted(found, key=lambda one: -len(one[1]))
