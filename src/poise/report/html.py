"""A diagnosis as one HTML file that opens offline and asks nothing of the network."""

from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Finding, Severity
from poise.doctor.suggest import Suggestion
from poise.report import measured_rows, plain, suggested_rows
from poise.report.accepted import accepted_because
from poise.report.charts import chart_data
from poise.report.measured import measured
from poise.report.order import grouped
from poise.report.reading import reading
from poise.report.shell import page, told
from poise.report.subject import is_column, where
from poise.report.terminal import lacking
from poise.run import Run


def render_html(diagnosis: Diagnosis) -> str:
    """The whole report: findings first, then charts, then what was read and what was not checked.

    The page holds its styles, scripts and data, allows exactly these by the hash of each, and may
    load nothing else. Everything from the log is text in it, never markup.
    """
    groups = [
        {
            "number": str(index),
            "cause": _finding(group.cause, str(index), diagnosis.run),
            "symptoms": [
                _finding(one, f"{index}.{inner}", diagnosis.run)
                for inner, one in enumerate(group.symptoms, start=1)
            ],
        }
        for index, group in enumerate(grouped(diagnosis.findings), start=1)
    ]
    return page(
        "template.html",
        chart_data(diagnosis),
        read=reading(diagnosis.run),
        measured=_measured(diagnosis.run),
        suggestion=_suggestion(diagnosis.suggestion),
        title=plain.name(diagnosis.run.path.name, 60),
        file=plain.name(diagnosis.run.path.name, 120),
        folder=plain.plain(str(diagnosis.run.path.parent)).removeprefix("."),
        counts=[
            (severity.value, plain.count(amount, severity.value))
            for severity in Severity
            if (amount := sum(one.severity is severity for one in diagnosis.findings))
        ],
        worst=diagnosis.worst.value if diagnosis.worst else "",
        groups=groups,
        accepted=[
            _finding(one.finding, f"accepted-{index}", diagnosis.run)
            | {"why": accepted_because(one.acknowledgement)}
            for index, one in enumerate(diagnosis.accepted, start=1)
        ],
        passed=diagnosis.passed,
        lacking=lacking(diagnosis.not_checked),
        unchecked=len(diagnosis.not_checked),
    )


def _measured(run: Run) -> dict[str, object] | None:
    """Tables of what probes measured; None for a run without probes."""
    found = measured(run)
    if found is None:
        return None
    tables: list[dict[str, object]] = []
    for index, place in enumerate(found.places):
        further = index > 0
        shown = (
            measured_rows.place_columns(place)
            if further
            else measured_rows.columns(found, full=True)
        )
        terms = [one for one in found.terms if one in place.gradient or not further]
        tables.append(
            {
                "title": measured_rows.title(place),
                "rows": measured_rows.rows(terms, shown),
                "moves": [": ".join(one) for one in measured_rows.moves(shown, terms)],
                "cosine": bool(place.cosine),
                "further": further,
            }
        )
    return {
        "tables": tables,
        "motion": measured_rows.motion(found),
        "costs": measured_rows.costs(found),
    }


def _suggestion(found: Suggestion | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "refused": plain.plain(found.refused),
        "title": "" if found.refused else suggested_rows.title(found),
        "code": suggested_rows.code(found),
        "rows": suggested_rows.rows(found),
        "moves": suggested_rows.moves(found),
        "wished": list(suggested_rows.wished(found)),
    }


def _finding(one: Finding, number: str, run: Run) -> dict[str, object]:
    return told(one) | {
        "number": number,
        "columns": is_column(one, run),
        "terms": [plain.name(term) for term in one.terms[:6]],
        "more_terms": max(len(one.terms) - 6, 0),
        "steps": where(one, run),
    }
