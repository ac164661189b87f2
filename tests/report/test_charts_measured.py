"""What probes measured is drawn, beside the value shares."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from poise.doctor.diagnosis import Diagnosis
from poise.report.charts import chart_data
from poise.report.html import render_html
from poise.report.measured import measured
from poise.report.terminal import render
from poise.run import Kind
from tests.report.builders import sick
from tests.report.probed import TERMS, gradients, only, probed


def _panels() -> dict[str, Any]:
    return {one["id"]: one for one in chart_data(probed())["panels"]}


def test_every_measurement_has_a_chart() -> None:
    """Gradient shares follow the value shares, one chart a place; then the rest."""
    assert list(_panels()) == [
        "terms-0",
        "shares-0",
        "gradient-shares-0-0",
        "gradient-shares-0-1",
        "update-shares-0",
        "direction-shares-0",
        "cosines-0",
        "motion-0",
        "response-0",
        "rate-0",
        "gradient-0",
    ]


def test_gradient_shares_are_layers_of_one() -> None:
    """Layers add up to 1 at every probe and are those of the gradients, small ones included."""
    panel = _panels()["gradient-shares-0-0"]
    assert panel["kind"] == "stack"
    assert "at the shared parameters ('trunk.0')" in str(panel["note"])
    series = {one["name"]: one["y"] for one in panel["series"]}
    assert list(series) == list(TERMS)
    assert np.sum(list(series.values()), axis=0) == pytest.approx(np.ones(8), abs=1e-3)
    norms = np.linalg.norm(gradients(), axis=2)
    expected = norms[:, 2] / norms.sum(axis=1)
    assert series["aux"] == pytest.approx(expected, rel=1e-3)


def test_equal_norms_are_drawn_once() -> None:
    """A norm that hides behind its twin is said to be equal."""
    panel = _panels()["gradient-0"]
    assert [one["name"] for one in panel["series"]] == ["grad_norm"]
    assert "grad_norm_used equals grad_norm" in str(panel["note"])


def test_the_page_has_the_table() -> None:
    """The HTML shows the measured table; a log without probes has no such section."""
    page = render_html(probed())
    assert "What each term does" in page
    assert "3.2e-5%" in page
    assert "What each term does" not in render_html(sick())


def test_motion_alone_is_shown_too() -> None:
    """Probes that measured only motion get a line and a chart, and no table of terms."""
    run = only(Kind.MOTION)
    alone = Diagnosis(run=run, findings=(), not_checked=(), passed=())
    panels = [one["id"] for one in chart_data(alone)["panels"]]
    assert "motion-0" in panels
    assert not any("gradient-shares" in one for one in panels)
    assert "Motion: <bdi>trunk.0" in render_html(alone)
    file = io.StringIO()
    render(alone, Console(file=file, width=80))
    assert "\nmotion: trunk.0 0.15%" in file.getvalue()


def test_one_term_shares_nothing() -> None:
    """A term that nothing competes with has no chart of shares and no cosine."""
    run = only(Kind.GRADIENT_SHARE, Kind.GRADIENT_NORM_OF_TERM, terms=("cls",))
    alone = Diagnosis(run=run, findings=(), not_checked=(), passed=())
    panels = [one["id"] for one in chart_data(alone)["panels"]]
    assert not any("gradient-shares" in one for one in panels)
    found = measured(run)
    assert found is not None
    assert found.places[0].cosine == {}
