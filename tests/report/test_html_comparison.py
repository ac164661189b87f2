"""A comparison as one HTML file."""

import re
from pathlib import Path

import pytest

from poise.report.html_comparison import render_comparison_html
from tests.report.chromium import Browser, chromium
from tests.report.compared import compared, hostile_comparison


def test_the_page_tells_the_verdict_and_loads_nothing() -> None:
    """Verdict, numbers, findings and both names; no reference to anything outside."""
    text = render_comparison_html(compared())
    for words in ("Better", "different objective", "aligned by step", "[starved]", "Solid: before"):
        assert words in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_hostile_names_stay_text() -> None:
    """Names that try to be markup are escaped in the page and in its data."""
    text = render_comparison_html(hostile_comparison())
    assert "<img src=x" not in text
    assert "document.title='owned'</script>" not in text
    assert text.count("<script") == 3


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="no chromium found: apt-get install chromium")
def test_the_page_opens_quietly(tmp_path: Path) -> None:
    """A real browser draws every chart, logs nothing and asks for nothing."""
    page = tmp_path / "comparison.html"
    page.write_text(render_comparison_html(compared()), encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        assert browser.look("document.querySelectorAll('.plot canvas').length") == 5
        assert browser.complaints() == []
        assert browser.requests() == []
