"""A comparison as one HTML file that opens offline: both runs over each other."""

from poise.comparing.comparison import Comparison
from poise.report import comparison_rows, plain
from poise.report.charts_comparison import comparison_charts
from poise.report.reading import facts
from poise.report.shell import page


def render_comparison_html(one: Comparison) -> str:
    """The whole report: the verdict, the table of changes, what probes measured, and charts.

    As `render_html`, the page loads nothing, and everything from a log is text in it.
    """
    before, after = (
        [plain.plain(str(each.run.path)) for each in side] for side in (one.before, one.after)
    )
    names = [plain.name(side[0].run.path.name, 60) for side in (one.before, one.after)]
    return page(
        "comparison.html",
        comparison_charts(one),
        title=" and ".join(names),
        names=names,
        sides=[
            ("before", before, ", ".join(facts(one.before[0].run))),
            ("after", after, ", ".join(facts(one.after[0].run))),
        ],
        verdict=one.verdict.value,
        said=comparison_rows.verdict(one),
        tables=[
            (
                f"{comparison_rows.window(one, split)}, aligned by {one.aligned}",
                comparison_rows.rows([each for each in one.changes if each.split == split]),
            )
            for split in comparison_rows.splits(one)
        ],
        reasons=list(comparison_rows.reasons(one)),
        only=comparison_rows.only(one),
        places=comparison_rows.places(one),
        measured=comparison_rows.measured(one),
        motion=comparison_rows.motion(one),
        findings=list(comparison_rows.findings(one)),
        warnings=[plain.plain(each) for each in one.warnings],
    )
