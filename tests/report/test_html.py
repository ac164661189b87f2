"""The HTML report is one file, safe against every name, and small."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poise.doctor.diagnosis import Diagnosis
from poise.doctor.suggest import Suggestion
from poise.report.charts import BINS, POINTS, chart_data
from poise.report.html import render_html
from poise.report.plain import NAME_CELLS
from poise.report.shell import embedded
from poise.run import Kind, Run
from tests.report.builders import finding, healthy, hostile, sick, table
from tests.report.probed import probed
from tests.report.suggested import with_wish


class _Page(HTMLParser):
    """Elements, attributes, scripts, styles and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._open: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._open = tag if tag in self.raw else None
        if self._open:
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.raw[self._open][-1] += data
        else:
            self.text += data

    def one(self, tag: str, name: str) -> list[str | None]:
        return [value for other, key, value in self.attributes if (other, key) == (tag, name)]


def _data(diagnosis: Diagnosis) -> dict[str, Any]:
    return json.loads(_Page(render_html(diagnosis)).raw["script"][0])


def _long_run(size: int, terms: int) -> Run:
    x = np.arange(size)
    rng = np.random.default_rng(1)
    columns = {
        f"term_{k}": (Kind.TERM, np.exp(-x / size * (k + 1)) + 0.1 * rng.random(size))
        for k in range(terms)
    }
    columns["loss"] = (Kind.TOTAL, sum(values for _, values in columns.values()))
    return Run(path=Path("runs/long"), format="poise", tables=(table(columns, steps=x),))


def test_findings_come_first_in_the_order_of_the_terminal() -> None:
    """Every finding once, causes before symptoms, before any chart."""
    page = _Page(render_html(sick()))
    ids = [value for value in page.one("article", "id") + page.one("details", "id") if value]
    assert ids == ["finding-1", "finding-2", "finding-3", "finding-2.1", "finding-2.2"]
    places = [page.text.index(one.summary) for one in sick().findings]
    assert places == sorted(places)
    assert places[-1] < page.text.index("Charts")
    for one in sick().findings:
        for words in (one.cause, one.action, one.rule, one.evidence[0].text):
            assert words in page.text


def test_nothing_is_asked_of_the_network() -> None:
    """No element refers to anything outside the file, and the policy forbids it."""
    page = _Page(render_html(sick()))
    assert not {"img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert page.one("script", "src") == []
    assert page.one("link", "href") == ["data:,"]
    policy = next(value for value in page.one("meta", "content") if value and "default" in value)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_policy_allows_exactly_the_scripts_and_styles_of_poise() -> None:
    """Each inline script and style has its hash in the policy, and no other has."""
    page = _Page(render_html(hostile()))
    policy = next(value for value in page.one("meta", "content") if value and "default" in value)
    code = [*page.raw["script"][1:], *page.raw["style"]]
    hashes = {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in code}
    assert set(re.findall(r"sha256-([^']+)", policy)) == hashes


def test_hostile_names_stay_text() -> None:
    """Names that try to be markup change neither the elements nor the attributes of the page."""
    page = _Page(render_html(hostile()))
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x onerror=" in page.text
    assert "{{ 7*7 }}" in page.text
    raw = render_html(hostile()).replace("\n", "")
    assert all(one.isprintable() for one in raw), "no raw control or direction character"


def test_data_cannot_leave_its_script_element() -> None:
    """The data holds no character that means something to HTML or ends a line of JavaScript."""
    text = _Page(render_html(hostile())).raw["script"][0]
    assert not set(text) & set("<>&\u2028\u2029")
    names = [one["name"] for one in json.loads(text)["panels"][0]["series"]]
    assert names[0] == "</script><script>document.title='owned'</script>"
    assert json.loads(embedded({"a": "</script>\u2028"})) == {"a": "</script>\u2028"}


def test_charts_that_the_log_can_fill() -> None:
    """Terms, shares, learning rate and gradient norm are drawn; statistics wait, folded."""
    data = _data(sick())
    assert [one["id"] for one in data["panels"]] == [
        "terms-0",
        "shares-0",
        "rate-0",
        "gradient-0",
    ]
    assert [one["title"] for one in data["small"]] == ["accuracy", "perplexity"]
    terms = data["panels"][0]
    assert terms["scale"] == "log"
    assert [(one["name"], one["solid"]) for one in terms["series"] if one["name"] == "loss"] == [
        ("loss", True),
        ("loss", False),
    ]
    assert {one["name"]: one.get("weight") for one in terms["series"][1:4]} == {
        "quality": 1.0,
        "physics": 5.0,
        "kinetic": 0.01,
    }


def test_non_finite_values_break_the_line_and_are_counted() -> None:
    """A NaN is null in the line and a counted mark above it."""
    kinetic = _data(sick())["panels"][0]["series"][3]
    assert kinetic["y"].count(None) == 6
    assert kinetic["bad"] == [[5200, 5250, 6, 0, 0]]


def test_findings_restarts_and_events_are_placed() -> None:
    """After the restart positions run 500 ahead of steps, for lines and marks alike."""
    data = _data(sick())
    assert data["restarts"] == [3000]
    assert {one["number"]: one["spans"] for one in data["findings"]} == {
        "1": [[5200, 5250]],
        "2": [[4000, 4010]],
        "2.1": [[4000, 5990]],
        "2.2": [[4000, 5990]],
        "3": [[2500, 2500], [3000, 3000]],
    }
    assert [one["x"] for one in data["events"]] == [5220]


def test_another_way_of_counting_gets_its_own_axis() -> None:
    """Epochs and steps are never drawn on one axis."""
    run = sick().run
    epochs = table(
        {"loss": (Kind.TOTAL, np.linspace(2, 1, 5))},
        split="val",
        steps=np.arange(5),
        step_name="epoch",
        grain="epoch",
    )
    both = Run(path=run.path, format="csv", tables=(run.tables[0], epochs))
    data = chart_data(Diagnosis(run=both, findings=(), not_checked=(), passed=()))
    assert [one["name"] for one in data["axes"]] == ["step", "epoch"]
    assert [one["id"] for one in data["panels"]][-1] == "terms-1"


def test_healthy_run_says_so() -> None:
    """Without findings the page is positive, and the charts are there."""
    page = _Page(render_html(healthy()))
    assert "No fault found by 2 rules." in page.text
    assert len(_data(healthy())["panels"]) == 4


def test_empty_run_is_a_page() -> None:
    """No tables and no records still give a page."""
    empty = Run(path=Path("log.csv"), format="csv", tables=())
    page = _Page(render_html(Diagnosis(run=empty, findings=(), not_checked=(), passed=())))
    assert "0 records" in page.text
    assert "Not diagnosed" in page.text
    header = table({"loss": (Kind.TOTAL, np.array([]))})
    only = Run(path=Path("log.csv"), format="csv", tables=(header,))
    assert _data(Diagnosis(run=only, findings=(finding(),), not_checked=(), passed=()))


def test_a_single_record_is_drawn() -> None:
    """A summary with one record has an axis and one point a series."""
    run = Run(
        path=Path("summary.json"),
        format="summary",
        tables=(table({"a": (Kind.TERM, np.array([5e9])), "b": (Kind.TERM, np.array([-3.0]))}),),
    )
    data = _data(Diagnosis(run=run, findings=(), not_checked=(), passed=()))
    assert [one["x"] for one in data["panels"][0]["series"]] == [[0], [0]]


@pytest.mark.parametrize(("size", "terms"), [(100_000, 100), (200, 3000)])
def test_size_is_bounded(size: int, terms: int) -> None:
    """Long runs and very many terms stay far below 6 MB, and what is not drawn is said."""
    run = _long_run(size, terms)
    diagnosis = Diagnosis(run=run, findings=(finding(),), not_checked=(), passed=())
    assert len(render_html(diagnosis).encode()) < 6_000_000
    data = chart_data(diagnosis)
    drawn = sum(len(one["y"]) for one in data["panels"][0]["series"])
    assert drawn <= POINTS
    assert data["left_out"] == max(terms + 1 - 1200, 0)
    assert len(data["panels"][1]["series"][0]["y"]) == min(BINS, size)


def test_a_page_does_not_grow_with_the_steps() -> None:
    """One million steps of eight terms give a page as large as a hundred thousand give."""
    pages = (_long_run(steps, 8) for steps in (100_000, 1_000_000))
    made = (Diagnosis(run=one, findings=(finding(),), not_checked=(), passed=()) for one in pages)
    short, long = (len(render_html(one)) for one in made)
    assert long < 1.1 * short


def test_long_names_are_short_in_headings() -> None:
    """A name of 300 characters does not fill the page."""
    shown = re.findall(r"<h3>.*?</h3>", render_html(hostile()), flags=re.DOTALL)
    assert all(len(one) < 400 + 2 * NAME_CELLS for one in shown)


def test_suggested_weights_are_on_the_page() -> None:
    """The line to paste, escaped names, or the refusal in words; nothing without probes."""
    page = _Page(render_html(replace(probed(), suggestion=with_wish())))
    assert with_wish().code in page.text
    assert "\x1b" not in page.text
    assert "lags behind at a gradient share of 10%" in page.text
    refused = replace(probed(), suggestion=Suggestion(source="", refused="no <probe>"))
    assert "None to suggest: no <probe>" in _Page(render_html(refused)).text
    assert "suggestion" not in _Page(render_html(probed())).one("section", "id")
