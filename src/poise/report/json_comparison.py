"""A comparison as plain JSON; docs/json.md is the contract."""

from collections.abc import Mapping
from dataclasses import replace

from poise.comparing.comparison import Change, Comparison, Pair
from poise.doctor.finding import Finding
from poise.report import plain
from poise.report.json import Json, diagnosis_to_json, paired


def comparison_to_json(one: Comparison) -> Json:
    """The object of schema `poise.comparison/1`: dicts, lists, strings, finite numbers, None."""
    found: Json = {
        "schema": "poise.comparison/1",
        "verdict": one.verdict.value,
        "aligned": one.aligned,
        "before": [diagnosis_to_json(each)["run"] for each in one.before],
        "after": [diagnosis_to_json(each)["run"] for each in one.after],
        "terms": _changes(one, "term"),
        "totals": _changes(one, "total"),
        "metrics": _changes(one, "metric"),
        "only_before": list(one.only_before),
        "only_after": list(one.only_after),
        "gradient_shares": {"where": one.shares_at or None, "terms": _pairs(one.gradient_shares)},
        "motion": _pairs(one.motion),
        "responses": _pairs(one.responses),
        "findings_gone": _findings(one, one.findings_gone),
        "findings_new": _findings(one, one.findings_new),
        "findings_kept": _findings(one, one.findings_kept),
        "warnings": list(one.warnings),
    }
    return {key: paired(value) for key, value in found.items()}


def _changes(one: Comparison, kind: str) -> list[Json]:
    return [_change(each) for each in one.changes if each.kind == kind]


def _change(one: Change) -> Json:
    return {
        "name": one.name,
        "split": one.split,
        "verdict": one.verdict.value,
        "counts": one.counts,
        "before": plain.strict(one.before),
        "after": plain.strict(one.after),
        "difference": plain.strict(one.difference),
        "interval": [plain.strict(one.low), plain.strict(one.high)],
        "factor": plain.strict(one.factor),
        "steps": list(one.steps),
        "noise": plain.strict(one.noise),
        "spread": plain.strict(one.spread),
        "why": one.why,
    }


def _pairs(pairs: Mapping[str, Pair]) -> list[Json]:
    return [
        {"name": name, "before": plain.strict(one.before), "after": plain.strict(one.after)}
        for name, one in pairs.items()
    ]


def _findings(one: Comparison, findings: tuple[Finding, ...]) -> object:
    """As a diagnosis tells them."""
    return diagnosis_to_json(replace(one.after[0], findings=findings))["findings"]
