"""Accepted findings are shown as such, on a terminal and in HTML."""

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

from rich.console import Console

from poise.doctor.acknowledgement import Accepted, Acknowledgement
from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Finding
from poise.report.accepted import accepted_because, render_acknowledgement
from poise.report.html import render_html
from poise.report.terminal import render
from tests.report.builders import HOSTILE, sick


def acknowledged(one: Finding, why: str = "planned") -> Acknowledgement:
    """An acknowledgement of a finding."""
    return Acknowledgement(
        rule=one.rule,
        terms=one.terms,
        severity=one.severity,
        why=why,
        when=date(2026, 11, 29),
        series="physics",
        value=30.0,
        threshold=10.0,
        file=Path("runs/a/accepted.toml"),
    )


def accepting(why: str = "planned") -> Diagnosis:
    """A diagnosis of which the first finding is accepted."""
    found = sick()
    first = found.findings[0]
    accepted = (Accepted(finding=first, acknowledgement=acknowledged(first, why)),)
    return replace(found, findings=found.findings[1:], accepted=accepted)


def printed(found: Diagnosis) -> str:
    """What the terminal shows."""
    out = Console(record=True, width=80, file=io.StringIO())
    render(found, out)
    return out.export_text()


def test_terminal() -> None:
    """The finding stands below the others, in one line with its reason, and is not counted."""
    found = accepting()
    text = " ".join(printed(found).split())
    first = found.accepted[0].finding
    assert f"accepted: {first.severity.value} {first.fault.value}" in text
    assert "why: planned (2026-11-29, accepted.toml); reported again once physics, 30 when" in text
    assert text.index("accepted: ") > text.index("cause:")


def test_nothing_but_accepted() -> None:
    """With nothing else the verdict says neither healthy nor a count of faults."""
    found = replace(accepting(), findings=())
    assert "nothing new: 1 finding, accepted." in printed(found)
    assert "Nothing new" in (page := render_html(found))
    assert "All that was found is accepted." in page


def test_html_shows_and_escapes() -> None:
    """The page has the accepted finding and its reason, which is text whatever it says."""
    for why in HOSTILE[:4]:
        page = render_html(accepting(why))
        assert 'id="accepted"' in page
        assert "<script>document.title" not in page
        assert "<img src=x" not in page
    assert 'id="accepted"' not in render_html(sick())


def test_what_accept_prints() -> None:
    """Severity, terms, rule, reason, what brings it back, and the file."""
    one = acknowledged(sick().findings[0])
    out = Console(record=True, width=80, file=io.StringIO())
    render_acknowledgement(one, out)
    text = out.export_text()
    assert f"[{one.rule}]" in text
    assert "kept in: runs/a/accepted.toml" in text
    assert "beyond 60" in " ".join(text.split())


def test_without_a_number() -> None:
    """Where no number decides, none is told."""
    one = replace(acknowledged(sick().findings[0]), value=None, file=None)
    assert accepted_because(one) == "planned (2026-11-29)"
