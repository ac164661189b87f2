"""The HTML report in a real Chromium: it opens, draws, obeys, and asks for nothing."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from poise.doctor.diagnosis import Diagnosis
from poise.report.html import render_html
from poise.run import Kind, Run
from tests.report.builders import finding, hostile, sick, table
from tests.report.chromium import Browser, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no chromium found: apt-get install chromium"),
]

# Pixels of every chart that are neither transparent nor grey: the lines of its series.
INK = """[...document.querySelectorAll(".plot canvas")].map((one) => {
  const pixels = one.getContext("2d").getImageData(0, 0, one.width, one.height).data;
  let coloured = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i + 3] > 200 && Math.abs(pixels[i] - pixels[i + 2]) > 40) coloured++;
  return coloured;
})"""
STEPS = """(() => { const one = document.querySelector("#terms-0 .u-over").getBoundingClientRect();
  return [one.left, one.top, one.width, one.height]; })()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests, with a fresh profile."""
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def _open(browser: Browser, folder: Path, diagnosis: Diagnosis, **how: bool | int) -> None:
    page = folder / "report.html"
    page.write_text(render_html(diagnosis), encoding="utf-8")
    browser.open(page, **how)  # pyright: ignore[reportArgumentType]


def _quiet(browser: Browser) -> None:
    assert browser.complaints() == []
    assert browser.requests() == []


@pytest.mark.parametrize("dark", [False, True])
def test_page_draws_every_chart(browser: Browser, tmp_path: Path, dark: bool) -> None:
    """All four charts hold coloured lines; nothing is logged, nothing is requested."""
    _open(browser, tmp_path, sick(), dark=dark)
    assert browser.look("document.documentElement.dataset.charts") == "4"
    ink = browser.look(INK)
    assert len(ink) == 4
    assert min(ink) > 100
    _quiet(browser)
    browser.screenshot(tmp_path / "page.png")
    head = (tmp_path / "page.png").read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    assert width > 1000
    assert height > 2000


def test_a_finding_zooms_all_charts_and_back(browser: Browser, tmp_path: Path) -> None:
    """Clicking a finding shows its steps; `whole run` undoes it; a mark leads to its finding."""
    _open(browser, tmp_path, sick())
    ticks = 'document.querySelectorAll("#rate-0 .head button")[0].disabled'
    assert browser.look(ticks) is True
    browser.look('document.querySelector("[data-finding=finding-2]").click()')
    assert browser.look(ticks) is False
    browser.look('document.querySelector("#terms-0 .head button:last-child").click()')
    assert browser.look(ticks) is True
    browser.look("document.querySelector(\"#terms-0 .lanes button[title^='2.1 ']\").click()")
    assert browser.look('document.getElementById("finding-2.1").open') is True
    _quiet(browser)


def test_pointer_shows_values_and_dragging_zooms(browser: Browser, tmp_path: Path) -> None:
    """The pointer names the step and what is marked there; a drag zooms every chart."""
    _open(browser, tmp_path, sick())
    browser.look('document.getElementById("terms-0").scrollIntoView()')
    left, top, width, height = browser.look(STEPS)
    middle = top + height / 2

    def mouse(kind: str, x: float) -> None:
        browser.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=left + x * width,
            y=middle,
            button="left",
            buttons=0 if kind == "mouseReleased" else 1,
            clickCount=1,
        )

    browser.call(
        "Input.dispatchMouseEvent", type="mouseMoved", x=left + 5230 / 5990 * width, y=middle
    )
    status = browser.look('document.querySelector("#terms-0 .status").textContent')
    assert status.startswith("step 4,7")
    assert "kinetic: 6 NaN" in status
    assert "1 error: nonfinite in kinetic" in status
    assert browser.look('document.querySelector("#terms-0 .legend .value").textContent')
    for kind, x in (("mousePressed", 0.2), ("mouseMoved", 0.3), ("mouseMoved", 0.4)):
        mouse(kind, x)
    mouse("mouseReleased", 0.4)
    assert browser.look('document.querySelector("#gradient-0 .head button").disabled') is False
    _quiet(browser)


def test_weights_splits_axes_and_names_can_be_switched(browser: Browser, tmp_path: Path) -> None:
    """Every control of the terms chart redraws it without a complaint."""
    _open(browser, tmp_path, sick())
    browser.look(
        """for (const place of ["head", "legend"])
             for (const one of document.querySelectorAll(`#terms-0 .${place} button`)) one.click();
           for (const value of ["linear", "symlog", "log"]) {
             const select = document.querySelector("#terms-0 select");
             select.value = value;
             select.dispatchEvent(new Event("change"));
           }"""
    )
    pressed = 'document.querySelector("#terms-0 .legend li button").getAttribute("aria-pressed")'
    assert browser.look(pressed) == "false"
    browser.look('document.getElementById("further").open = true')
    _quiet(browser)


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    """No name runs as a script, becomes an element or leaves its place."""
    _open(browser, tmp_path, hostile(), width=600)
    assert "owned" not in browser.look("document.title")
    assert browser.look('document.querySelectorAll("img, iframe, b, body script + p").length') == 0
    names = '[...document.querySelectorAll("#terms-0 .label")].map((one) => one.textContent)'
    assert browser.look(names)[0] == "</script><script>document.title='owned'</script>"
    assert browser.look("document.documentElement.scrollWidth <= innerWidth")
    _quiet(browser)


def test_a_hundred_terms_can_be_searched(browser: Browser, tmp_path: Path) -> None:
    """Twelve names are drawn at first; search and `show listed` bring others."""
    size = 400
    columns = {f"head_{k:03}": (Kind.TERM, np.geomspace(1 + k, 0.1, size)) for k in range(100)}
    run = Run(path=Path("runs/many"), format="poise", tables=(table(columns),))
    many = Diagnosis(run=run, findings=(finding(terms=("head_077",)),), not_checked=(), passed=())
    _open(browser, tmp_path, many)
    shown = """[...document.querySelectorAll("#terms-0 .legend li button[aria-pressed=true]")]
      .map((one) => one.title)"""
    assert len(browser.look(shown)) == 12
    assert "head_077" in browser.look(shown)
    browser.look(
        """const search = document.querySelector("#terms-0 input");
           search.value = "head_09";
           search.dispatchEvent(new Event("input"));
           document.querySelector("#terms-0 .tools button").click();"""
    )
    assert len(browser.look(shown)) == 22
    _quiet(browser)


def test_odd_data_is_drawn(browser: Browser, tmp_path: Path) -> None:
    """One record, constants, repeated steps, all NaN, the whole float range: no complaint."""
    few = np.array([1.0, 1.0, 1.0, 1.0])
    tables = (
        table({"one": (Kind.TERM, np.array([5e9])), "two": (Kind.TERM, np.array([-3.0]))}),
        table(
            {
                "constant": (Kind.TERM, few),
                "nan": (Kind.TERM, few * np.nan),
                "range": (Kind.TERM, np.array([1e-308, 1e308, -1e308, 0.0])),
            },
            steps=np.array([7, 7, 7, 7]),
        ),
    )
    for one in tables:
        run = Run(path=Path("odd.csv"), format="csv", tables=(one,))
        _open(browser, tmp_path, Diagnosis(run=run, findings=(), not_checked=(), passed=()))
        assert int(browser.look("document.documentElement.dataset.charts")) >= 1
        _quiet(browser)


def test_printing_is_light_and_unfolded(browser: Browser, tmp_path: Path) -> None:
    """On paper the page is light even from a dark screen, with folded findings open."""
    _open(browser, tmp_path, sick(), dark=True)
    browser.look('dispatchEvent(new Event("beforeprint"))')
    assert browser.look('document.getElementById("finding-2.1").open') is True
    ink = 'getComputedStyle(document.documentElement).getPropertyValue("--ink")'
    assert browser.look(ink) == "#1d2226"
    assert len(browser.call("Page.printToPDF")["data"]) > 10_000
    browser.look('dispatchEvent(new Event("afterprint"))')
    assert browser.look(ink) == "#e4e8eb"
    _quiet(browser)
