"""A diagnosis or a run as plain JSON; docs/json.md is the contract."""

import json
from collections.abc import Mapping
from typing import TypeAlias, cast

from poise.doctor.acknowledgement import Accepted
from poise.doctor.diagnosis import Diagnosis
from poise.doctor.finding import Evidence, Finding
from poise.doctor.suggest import Suggestion
from poise.report import plain
from poise.report.json_suggestion import suggestion_to_json
from poise.report.measured import Measured, Place, Trend, measured, ordered
from poise.run import Composition, Run, Series, Table

Json: TypeAlias = dict[str, object]


def diagnosis_to_json(diagnosis: Diagnosis) -> Json:
    """The object of schema `poise.diagnosis/1`: dicts, lists, strings, finite numbers, None."""
    offer = diagnosis.suggestion
    found: Json = {
        "schema": "poise.diagnosis/1",
        "run": _run(diagnosis.run),
        "measured": _measured(diagnosis.run),
        "suggestion": None if offer is None else suggestion_to_json(offer),
        "findings": [finding_to_json(one) for one in diagnosis.findings],
        "accepted": [_accepted(one) for one in diagnosis.accepted],
        "not_checked": [
            {"rule": one.rule, "needs": list(one.needs)} for one in diagnosis.not_checked
        ],
        "passed": list(diagnosis.passed),
    }
    return {key: paired(value) for key, value in found.items()}


def offer_to_json(offer: Suggestion) -> Json:
    """The object of schema `poise.suggestion/1`; as strict as `diagnosis_to_json`."""
    found = {"schema": "poise.suggestion/1", **suggestion_to_json(offer)}
    return {key: paired(value) for key, value in found.items()}


def run_to_json(run: Run) -> Json:
    """The object of schema `poise.read/1`; as strict as `diagnosis_to_json`."""
    found: Json = {
        "schema": "poise.read/1",
        "run": _run(run),
        "measured": _measured(run),
        "tables": [_table(one) for one in run.tables],
        "compositions": [_composition(one) for one in run.compositions],
        "events": [{"name": one.name, "step": one.step, "text": one.text} for one in run.events],
        "remarks": list(run.remarks),
    }
    return {key: paired(value) for key, value in found.items()}


def dumps(what: Json) -> str:
    r"""JSON text in ASCII, two blanks a level.

    Example:
        >>> dumps({"name": "\u00e9", "value": "NaN"})
        '{\n  "name": "\\u00e9",\n  "value": "NaN"\n}'
    """
    return json.dumps(what, indent=2, allow_nan=False)


def paired(what: object) -> object:
    """The same with half a surrogate pair, which no JSON can hold, as U+FFFD."""
    if isinstance(what, str):
        return what.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(what, dict):
        pairs = cast("dict[str, object]", what).items()
        return {paired(key): paired(value) for key, value in pairs}
    if isinstance(what, list):
        return [paired(one) for one in cast("list[object]", what)]
    return what


def _run(run: Run) -> Json:
    steps = run.train.steps if run.tables else None
    composition = run.composition
    weights = {one.name: one for one in composition.terms} if composition else {}
    records: dict[str, int] = {}
    for table in run.tables:
        records[table.split] = records.get(table.split, 0) + len(table)
    names = dict.fromkeys((*ordered(run), *weights))
    return {
        "path": str(run.path),
        "format": run.format,
        "steps": [int(steps.min()), int(steps.max())] if steps is not None and len(steps) else None,
        "records": run.records,
        "total": composition.total if composition else None,
        "terms": [
            {
                "name": name,
                "weight": plain.strict(weights[name].weight) if name in weights else None,
                "weight_source": weights[name].source if name in weights else "unknown",
            }
            for name in names
        ],
        "splits": records,
    }


def _measured(run: Run) -> Json | None:
    found = measured(run)
    if found is None:
        return None
    return {
        "terms": [_measured_term(found, name) for name in found.terms],
        "places": [_place(found, one) for one in found.places],
        "motion": [{"module": name, **_trend(one)} for name, one in found.motion.items()],
    }


def _measured_term(found: Measured, name: str) -> Json:
    return {
        "name": name,
        "weight": _known(found.weight, name),
        "value": _known(found.value, name),
        "value_share": _known(found.share, name),
        "response": _known(found.response, name),
    }


def _place(found: Measured, one: Place) -> Json:
    return {
        "where": one.where,
        "probes": one.probes,
        "steps": list(one.steps),
        "seconds": _trend(one.seconds) if one.seconds else None,
        "terms": [
            {
                "name": name,
                "gradient_share": _known(one.gradient, name),
                "direction_share": _known(one.direction, name),
                "update_share": _known(one.update, name),
                "cosine_to_rest": _known(one.cosine, name),
            }
            for name in found.terms
            if name in one.gradient
        ],
    }


def _known(trends: Mapping[str, Trend], name: str) -> Json | None:
    return _trend(trends[name]) if name in trends else None


def _trend(one: Trend) -> Json:
    return {
        "median": plain.strict(one.median),
        "first": plain.strict(one.first),
        "last": plain.strict(one.last),
        "count": one.count,
    }


def finding_to_json(one: Finding) -> Json:
    """A finding with all its keys; steps are [0, 0] where there are none."""
    return {
        "rule": one.rule,
        "fault": one.fault.value,
        "severity": one.severity.value,
        "terms": list(one.terms),
        "steps": [int(step) for step in one.steps],
        "summary": one.summary,
        "evidence": [_evidence(fact) for fact in one.evidence],
        "cause": one.cause,
        "action": one.action,
        "verify": one.verify,
        "caused_by": list(one.caused_by),
    }


def _accepted(one: Accepted) -> Json:
    told = one.acknowledgement
    return finding_to_json(one.finding) | {
        "acknowledgement": {
            "why": told.why,
            "when": told.when.isoformat(),
            "file": None if told.file is None else str(told.file),
            "terms": list(told.terms),
            "severity": told.severity.value,
            "series": told.series or None,
            "value": plain.strict(told.value),
            "threshold": plain.strict(told.threshold),
            "limit": plain.strict(told.limit),
        }
    }


def _evidence(one: Evidence) -> Json:
    return {
        "text": one.text,
        "series": one.series,
        "steps": [int(step) for step in one.steps],
        "value": plain.strict(one.value),
        "threshold": plain.strict(one.threshold),
    }


def _table(one: Table) -> Json:
    return {
        "split": one.split,
        "grain": one.grain,
        "step_name": one.step_name,
        "records": len(one),
        "steps": [int(one.steps.min()), int(one.steps.max())] if len(one) else None,
        "restarts": int((one.segments[1:] != one.segments[:-1]).sum()),
        "series": [_series(series, one) for series in one.series.values()],
    }


def _series(one: Series, table: Table) -> Json:
    low, high = plain.ends(one.values) or (None, None)
    return {
        "name": one.name,
        "label": one.label or one.name,
        "kind": one.kind.value,
        "of": one.of,
        "split": table.split,
        "grain": table.grain,
        "count": len(one),
        "first": plain.strict(one.values[0]) if len(one) else None,
        "last": plain.strict(one.values[-1]) if len(one) else None,
        "min": plain.strict(low),
        "max": plain.strict(high),
        "nonfinite": plain.nonfinite(one.values),
    }


def _composition(one: Composition) -> Json:
    return {
        "total": one.total,
        "terms": [
            {"name": term.name, "weight": plain.strict(term.weight), "weight_source": term.source}
            for term in one.terms
        ],
        "residual": plain.strict(one.residual),
        "tolerance": plain.strict(one.tolerance),
        "exact": one.exact,
        "remainder": plain.strict(one.remainder),
        "records": one.records,
        "why": one.why,
    }
