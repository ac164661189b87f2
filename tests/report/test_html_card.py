"""A card as HTML."""

import json
import re

from poise.report.html_card import card_charts, render_card_html
from tests.report.cards import card


def test_page() -> None:
    """One page with the finding, the tables and the data; names are text, never markup."""
    page = render_card_html(card())
    assert page.startswith("<!doctype html>")
    assert "inspect-clamp" in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert len(json.loads(data[1])["panels"]) == 4


def test_charts_are_drawn_over_powers_of_ten() -> None:
    """Value and gradient in charts of their own, a chart a size; a gap where nothing is known."""
    found = card_charts(card())
    assert [one["id"] for one in found["panels"]] == [
        *("error-value", "error-gradient", "size-batch", "size-classes"),
    ]
    assert all(one["power"] for one in found["axes"])
    below = found["panels"][0]["series"][1]
    assert below["x"][0] == -6.0
    assert below["y"][-1] is None
