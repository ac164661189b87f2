"""Both runs over each other."""

from poise.comparing.compare import compare
from poise.report.charts_comparison import comparison_charts
from tests.comparing.build import falling, noisy, plain, table
from tests.report.compared import compared


def test_one_chart_a_quantity_with_both_sides() -> None:
    """Before is solid, after is dashed, and the verdict stands beside."""
    data = comparison_charts(compared())
    assert [one["title"] for one in data["panels"]] == [
        "ce",
        "kd",
        "hint",
        "total",
        "accuracy (val)",
    ]
    for one in data["panels"]:
        assert [(line["split"], line["solid"]) for line in one["series"]] == [
            ("before", True),
            ("after", False),
        ]
    assert [one["note"] for one in data["panels"]][:2] == ["better", "rescaled"]
    assert data["axes"][0]["range"] == [0, 199]


def test_runs_of_other_lengths_are_drawn_by_progress() -> None:
    """In thousandths of each run."""
    short, long = (
        plain(table({"ce": noisy(falling(3.0, 1.0, size=n), 0, size=n)})) for n in (50, 500)
    )
    data = comparison_charts(compare(short, long))
    assert data["axes"][0]["range"] == [0, 1000]
    assert data["axes"][0]["name"].startswith("progress")


def test_seeds_are_numbered() -> None:
    """Several runs of a side are lines of their own."""
    one = plain(table({"ce": noisy(falling(3.0, 1.0), 0)}))
    (panel,) = comparison_charts(compare([one, one], one))["panels"]
    assert [line["split"] for line in panel["series"]] == ["before", "before 2", "after"]
